"""What a deployment costs: that the guide says what is reckoned, and that the smallest one stays cheap."""

import json
import re
import unittest

import cost
import test_observability
from cost import COLUMNS, GUIDE
from templates import load, walk

# Dollars a month, at a million requests.
LIMIT = 25


def own_metrics(deployment):
    """The metrics of the store's own that alarms read, each with its operation."""
    for alarm in deployment.of_type("AWS::CloudWatch::Alarm"):
        for part in walk(alarm):
            if isinstance(part, dict) and part.get("Namespace") == "ConversationStore":
                dimensions = {one["Name"]: one["Value"] for one in part["Dimensions"]}
                yield part["MetricName"], dimensions["Operation"]


class Cost(unittest.TestCase):
    maxDiff = None

    def test_the_tables_of_the_guide_are_as_reckoned(self):
        guide = GUIDE.read_text()
        self.assertEqual(guide, cost.written(guide), "run .venv-infra/bin/python tests/infra/cost.py")

    def test_the_smallest_deployment_stays_below_its_limit(self):
        self.assertEqual(COLUMNS["smallest"].requests, 1_000_000)
        self.assertEqual(min(COLUMNS.values(), key=lambda one: one.total()), COLUMNS["smallest"])
        self.assertLessEqual(COLUMNS["smallest"].total(), LIMIT)

    def test_an_alarm_costs_as_much_as_it_has_metrics(self):
        prod = COLUMNS["prod"]
        # Three alarms watch the second node, too.
        self.assertEqual(prod.alarm_metrics() - prod.but(CacheReplicas="0").alarm_metrics(), 3)
        self.assertEqual(prod.alarm_metrics() - prod.but(ReserveConcurrency="false").alarm_metrics(), 7)
        named = {alarm["AlarmName"] for alarm in prod.of_type("AWS::CloudWatch::Alarm")}
        self.assertLess(len(named), prod.alarm_metrics())

    def test_what_is_counted_are_the_metrics_of_the_code(self):
        self.assertEqual(set(cost.emitted()), test_observability.own_metrics())
        for name, operations, _ in cost.essential():
            self.assertLessEqual(set(operations), set(cost.emitted()[name]), name)

    def test_each_essential_metric_has_an_alarm_and_no_alarm_has_another(self):
        essential = {(name, operation) for name, operations, _ in cost.essential() for operation in operations}
        gradual = COLUMNS["dev"].but(Rollout="Canary10Percent5Minutes")
        # The errors of the sweep are counted by Lambda, too, and its alarm reads those.
        self.assertEqual(set(own_metrics(gradual)), essential - {("Errors", "sweep")})
        self.assertLess(set(own_metrics(COLUMNS["dev"])), set(own_metrics(gradual)))

    def test_only_a_full_deployment_has_a_dashboard(self):
        for name, dashboards in (("smallest", 0), ("dev", 0), ("prod", 1), ("large", 1)):
            self.assertEqual(len(COLUMNS[name].of_type("AWS::CloudWatch::Dashboard")), dashboards, name)
        self.assertEqual(cost.Deployment("staging", 1).of["Observability"], "full")

    def test_essential_at_warn_writes_less_than_half(self):
        # A full deployment without the lines of cached reads has what was written at every level before.
        before = sum(size for line, size in cost.lines("info", "full").items() if "cached read" not in line)
        self.assertLess(sum(cost.lines("warn", "essential").values()), before / 2)

    def test_the_lines_that_are_counted_are_those_of_a_request(self):
        samples = {name: json.loads(line) for name, line in json.loads((cost.ROOT / "tests/infra/lines.json").read_text()).items()}
        form = load("api")["Resources"]["Stage"]["Properties"]["AccessLogSettings"]["Format"]
        self.assertEqual(set(samples["access"]), set(json.loads(re.sub(r"\$context\.[A-Za-z.]+", "-", form))))
        essential = {(name, operation) for name, operations, _ in cost.essential() for operation in operations}
        for kind in ("full", "essential"):
            for operation in ("recent", "add"):
                line = samples[f"{kind} {operation}"]
                numbers = {name for name, value in line.items() if isinstance(value, int | float)}
                directives = line.get("_aws", {}).get("CloudWatchMetrics", [])
                named = {metric["Name"] for directive in directives for metric in directive["Metrics"]}
                expected = numbers if kind == "full" else {name for name in numbers if (name, operation) in essential}
                self.assertEqual(named, expected, (kind, operation))


if __name__ == "__main__":
    unittest.main()
