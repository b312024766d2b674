"""Alarms, dashboard and logs: that what they name exists."""

import itertools
import re
import unittest

import templates
from templates import FUNCTIONS, NESTED, OPERATIONS, ROOT, Stack, load, of_type, references, walk

# Metrics of AWS, each with the dimensions under which it is found.
AWS_METRICS = {
    "AWS/Lambda": ({"FunctionName"}, {"Errors", "Invocations", "Throttles", "Duration", "ConcurrentExecutions"}),
    "AWS/ApiGateway": ({"ApiId"}, {"Count", "4xx", "5xx", "Latency"}),
    "AWS/ElastiCache": (
        {"clusterId", "CacheClusterId"},
        {"ThrottledCmds", "BytesUsedForCache", "ElastiCacheProcessingUnits", "Evictions", "CurrConnections",
         "EngineCPUUtilization", "DatabaseMemoryUsagePercentage"},
    ),
    "AWS/RDS": (
        {"DBInstanceIdentifier", "DBClusterIdentifier", "ProxyName"},
        {"DatabaseConnections", "FreeStorageSpace", "CPUUtilization", "ACUUtilization", "AuroraReplicaLagMaximum",
         "DatabaseConnectionsCurrentlySessionPinned", "VolumeBytesUsed"},
    ),
}  # fmt: skip
STORES = [
    {"Database": database, "Cache": cache}
    for database, cache in itertools.product(("rds", "aurora", "existing"), ("serverless", "nodes", "existing"))
]


def own_metrics():
    """What functions/src/telemetry/metrics.rs tells: the fields of its lines that have a unit, as they are named there."""
    source = (ROOT / "functions/src/telemetry/metrics.rs").read_text()
    fields = re.findall(r'(?:name = "(\w+)"\)\]\s+)?^    (\w+): (?:Option<)?(?:As\w+<u64>|Duration)', source, re.MULTILINE)
    return {name or field.title().replace("_", "") for name, field in fields}


class Observability(unittest.TestCase):
    def metrics(self):
        """Every metric that an alarm or the dashboard names: where, namespace, name, dimensions."""
        for name in ("observability", "api"):
            for stores in STORES:
                given = {"DatabaseStandby": "true", "DatabaseProxy": "true", "ReserveConcurrency": "true", **stores}
                stack = Stack(load(name), Prefix="store", Authorizer="jwt", CorsOrigins="", AlarmTopicArn="", **given)
                for alarm, resource in stack.resources():
                    for part in walk(resource):
                        if isinstance(part, dict) and "MetricName" in part:
                            dimensions = {one["Name"]: one["Value"] for one in part["Dimensions"]}
                            yield alarm, part["Namespace"], part["MetricName"], dimensions
        for stores in STORES:
            for widget in templates.dashboard(**stores):
                for metric in widget["properties"].get("metrics", []):
                    if isinstance(metric[0], dict):
                        self.assertRegex(metric[0]["expression"], r"^SEARCH\('\{ConversationStore,Operation,Reason\} MetricName=\"CacheMisses\"'|^IF\(")
                        continue
                    namespace, name, *rest = metric
                    rest = [part for part in rest if not isinstance(part, dict)]
                    yield widget["properties"]["title"], namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))

    def test_every_metric_exists_under_its_dimensions(self):
        seen, own = set(), own_metrics()
        self.assertGreater(len(own), 15, own)
        for where, namespace, name, dimensions in self.metrics():
            with self.subTest(where=where, metric=name):
                if namespace == "ConversationStore":
                    self.assertIn(name, own)
                    self.assertEqual(set(dimensions), {"Operation"})
                    self.assertIn(dimensions["Operation"], (*OPERATIONS, "sweep"))
                else:
                    known, names = AWS_METRICS[namespace]
                    self.assertIn(name, names)
                    self.assertLessEqual(set(dimensions), known)
                    if "FunctionName" in dimensions:
                        self.assertIn(dimensions["FunctionName"].removeprefix("store-"), FUNCTIONS)
            seen.add((namespace, name))
        self.assertLessEqual({("ConversationStore", name) for name in own}, seen, "a metric that nobody looks at")

    def test_every_alarm_tells_and_is_told_of(self):
        guide = (ROOT / "docs/deploying.md").read_text()
        for name in ("observability", "api"):
            for logical, alarm in of_type(load(name), "AWS::CloudWatch::Alarm").items():
                properties = alarm["Properties"]
                self.assertIn("AlarmTopicArn", references(properties["AlarmActions"]), logical)
                slug = Stack(load(name), Prefix="store").value(properties["AlarmName"]).removeprefix("store-")
                slug = re.sub(rf"^({'|'.join(OPERATIONS)})-errors$", "*-errors", slug)
                self.assertIn(f"| `{slug}` |", guide, "the guide says what to do when it rings")

    def test_an_alarm_name_is_there_once(self):
        for stores in STORES:
            given = {"DatabaseStandby": "true", "DatabaseProxy": "true", "ReserveConcurrency": "true", **stores}
            stack = Stack(load("observability"), Prefix="store", **given)
            names = [r["Properties"]["AlarmName"] for _, r in stack.resources() if r["Type"] == "AWS::CloudWatch::Alarm"]
            self.assertEqual(len(names), len(set(names)), names)

    def test_the_widgets_of_the_dashboard_do_not_overlap(self):
        for stores in STORES:
            taken = set()
            for widget in templates.dashboard(**stores):
                cells = {(x, y) for x in range(widget["x"], widget["x"] + widget["width"])
                         for y in range(widget["y"], widget["y"] + widget["height"])}
                self.assertFalse(cells & taken, widget["properties"])
                self.assertLessEqual(widget["x"] + widget["width"], 24)
                taken |= cells

    def test_every_log_has_an_end(self):
        for name in ("template", *NESTED):
            for group in of_type(load(name), "AWS::Logs::LogGroup").values():
                self.assertEqual(group["Properties"]["RetentionInDays"], {"Ref": "LogRetentionDays"})


if __name__ == "__main__":
    unittest.main()
