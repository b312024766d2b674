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
         "EngineCPUUtilization", "DatabaseMemoryUsagePercentage", "CPUCreditBalance"},
    ),
    "AWS/RDS": (
        {"DBInstanceIdentifier", "DBClusterIdentifier", "ProxyName"},
        {"DatabaseConnections", "FreeStorageSpace", "CPUUtilization", "ACUUtilization", "AuroraReplicaLagMaximum",
         "DatabaseConnectionsCurrentlySessionPinned", "VolumeBytesUsed", "FreeableMemory", "CPUSurplusCreditsCharged"},
    ),
}  # fmt: skip
STORES = [
    {"Database": database, "Cache": cache}
    for database, cache in itertools.product(("rds", "aurora", "existing"), ("serverless", "nodes", "existing"))
]


def own_metrics():
    """The metrics of functions/src/telemetry/metrics.rs: fields with a unit, as they are named there."""
    source = (ROOT / "functions/src/telemetry/metrics.rs").read_text()
    fields = re.findall(r'(?:name = "(\w+)"\)\]\s+)?^    (?:pub(?:\(super\))? )?(\w+): (?:Option<)?(?:As\w+<u64>|Duration)', source, re.MULTILINE)
    emitted = {name or field.title().replace("_", "") for name, field in fields}
    return emitted - templates.GOING | templates.COMING["metrics"]


def alarms(name, **given):
    """The alarms of a template, with what is in them."""
    usual = {"Prefix": "store", "Observability": "full", "ErrorAlarms": "true", "Authorizer": "jwt", "CorsOrigins": "", "AlarmTopicArn": "",
             "DatabaseStandby": "true", "DatabaseProxy": "true", "ReserveConcurrency": "true", "CacheReplicas": "1", "DatabaseMaximumConnections": "0",
             "CacheReadsCounted": "100", "DomainName": "", "CacheMaximumStorage": "5", "DatabaseStorage": "20",
             **{f"{one.title()}Concurrency": "10" for one in OPERATIONS}}
    # What an If leaves out is not there, as CloudFormation does it.
    without = lambda alarm: {**alarm, "Metrics": [m for m in alarm.get("Metrics", []) if m != {"Ref": "AWS::NoValue"}]}
    stack = Stack(load(name), **{**usual, **given})
    return {n: without(r["Properties"]) for n, r in stack.resources() if r["Type"] == "AWS::CloudWatch::Alarm"}


ALARMS = ("template", "observability", "api")


class Observability(unittest.TestCase):
    def metrics(self):
        """Every metric that an alarm or the dashboard names: where, namespace, name, dimensions."""
        for name in ALARMS:
            for stores in STORES:
                for alarm, resource in alarms(name, **stores).items():
                    for part in walk(resource):
                        if isinstance(part, dict) and "MetricName" in part:
                            dimensions = {one["Name"]: one["Value"] for one in part["Dimensions"]}
                            yield alarm, part["Namespace"], part["MetricName"], dimensions
        for stores in STORES:
            for widget in templates.dashboard(**stores):
                for metric in widget["properties"].get("metrics", []):
                    if isinstance(metric[0], dict):
                        self.assertRegex(metric[0]["expression"], r"^SEARCH\('\{ConversationStore,Store,Operation,Reason\} MetricName=\"CacheMisses\" Store=\"store\"'|^IF\(")
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
                    self.assertEqual(set(dimensions) - {"Reason"}, {"Store", "Operation"})
                    self.assertEqual(list(dimensions)[:2], ["Store", "Operation"])
                    self.assertEqual("Reason" in dimensions, name == "CacheMisses" and where == "CacheMissesAlarm")
                    self.assertEqual(dimensions["Store"], "store")
                    self.assertIn(dimensions.get("Reason", "cold"), templates.reasons() | templates.COMING["reasons"])
                    self.assertIn(dimensions["Operation"], (*OPERATIONS, "sweep"))
                else:
                    known, names = AWS_METRICS[namespace]
                    self.assertIn(name, names)
                    self.assertLessEqual(set(dimensions), known)
                    if "FunctionName" in dimensions:
                        self.assertIn(dimensions["FunctionName"].removeprefix("store-"), FUNCTIONS)
            seen.add((namespace, name))
        self.assertLessEqual({("ConversationStore", name) for name in own}, seen, "a metric that nobody looks at")

    def test_every_alarm_notifies_and_is_in_the_guide(self):
        guide, slugs = (ROOT / "docs/deploying.md").read_text(), {"*-errors"}
        for name in ALARMS:
            for logical, alarm in of_type(load(name), "AWS::CloudWatch::Alarm").items():
                properties = alarm["Properties"]
                self.assertIn("AlarmTopicArn", references(properties["AlarmActions"]), logical)
                slug = Stack(load(name), Prefix="store").value(properties["AlarmName"]).removeprefix("store-")
                slugs.add(slug)
                slug = re.sub(rf"^({'|'.join(OPERATIONS)})-errors$", "*-errors", slug)
                self.assertTrue(f"| `{slug}` |" in guide, f"the guide has no row for {slug}")
        rows = re.findall(r"^\| `([a-z*-]+)` \|", guide.split("## When an alarm rings")[1], re.MULTILINE)
        self.assertLessEqual(set(rows), slugs, "a row for an alarm that does not exist")

    def test_the_guide_says_which_alarms_are_essential(self):
        def slugs(**given):
            found = [alarms(name, **stores, **given) for stores in STORES for name in ALARMS]
            return {alarm["AlarmName"].removeprefix("store-") for one in found for alarm in one.values()}

        guide = (ROOT / "docs/deploying.md").read_text().split("## When an alarm rings")[1]
        rows = dict(re.findall(r"^\| `([a-z*-]+)` \| ([^|]+) \|", guide, re.MULTILINE))
        essential = slugs(Observability="essential", ErrorAlarms="false")
        self.assertEqual({slug for slug, cell in rows.items() if cell == "yes"}, essential)
        gradual = slugs(Observability="essential", ErrorAlarms="true") - essential
        self.assertEqual(gradual, {f"{name}-errors" for name in OPERATIONS})
        self.assertEqual({slug for slug, cell in rows.items() if cell == "gradual `Rollout`"}, {"*-errors"})
        self.assertEqual({slug for slug, cell in rows.items() if cell == "-"}, slugs() - essential - gradual)

    def test_an_alarm_name_is_there_once(self):
        for stores in STORES:
            names = [alarm["AlarmName"] for name in ALARMS for alarm in alarms(name, **stores).values()]
            self.assertEqual(len(names), len(set(names)), names)

    def test_what_an_alarm_reckons_with_is_among_its_metrics(self):
        functions = {"IF", "FILL", "SUM", "MAX", "MIN", "METRICS"}
        for stores, replicas in itertools.product(STORES, "01"):
            for name in ALARMS:
                for logical, alarm in alarms(name, CacheReplicas=replicas, **stores).items():
                    metrics = {one["Id"]: one for one in alarm["Metrics"]}
                    shown = [one for one in metrics.values() if one.get("ReturnData", True)]
                    self.assertEqual(len(shown), 1 if metrics else 0, logical)
                    for one in shown:
                        asked = set(re.findall(r"[A-Za-z]\w*", re.sub(r'"\w+"', "", one["Expression"]))) - functions
                        self.assertLessEqual(asked, set(metrics), logical)
                        [prefix] = re.findall(r'METRICS\("(\w+)"\)', one["Expression"]) or [""]
                        self.assertTrue("METRICS" not in one["Expression"] or any(i.startswith(prefix) for i in metrics))

    def test_no_deployment_names_an_alarm_that_does_not_exist(self):
        gradual = "Canary10Percent5Minutes"
        template = templates.translated({"Rollout": gradual})
        groups = of_type(template, "AWS::CodeDeploy::DeploymentGroup")
        for rollout, observability, answer in itertools.product(("AllAtOnce", gradual), ("essential", "full"), ("true", "false")):
            stack = Stack(template, Rollout=rollout, Observability=observability, RolloutAlarms=answer)
            given = stack.value(load("template")["Resources"]["Monitoring"]["Properties"]["Parameters"])
            monitoring = Stack(load("observability"), **given)
            made = {name for name, _ in monitoring.resources()}
            outputs = {name for name, one in monitoring.template["Outputs"].items()
                       if "Condition" not in one or monitoring.holds(one["Condition"])}
            for group in groups.values():
                alarmed = stack.value(group["Properties"]["AlarmConfiguration"])
                stops = answer == "true" and (observability == "full" or rollout == gradual)
                self.assertEqual(bool(alarmed.get("Alarms")), stops, alarmed)
                named = {one.split(".")[-1] for one in references(alarmed)}
                self.assertLessEqual(named, outputs & made, (rollout, observability))
            self.assertEqual(f"{OPERATIONS[0].title()}ErrorsAlarm" in made, observability == "full" or rollout == gradual)

    def test_alarms_on_nodes_watch_both_of_the_first_shard(self):
        for replicas, nodes in (("0", ["store-0001-001"]), ("1", ["store-0001-001", "store-0001-002"])):
            found = alarms("observability", Database="rds", Cache="nodes", CacheReplicas=replicas)
            for logical in ("CacheNodeProcessorAlarm", "CacheNodeStorageAlarm", "CacheNodeCreditsAlarm"):
                watched = [one["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for one in found[logical]["Metrics"][1:]]
                self.assertEqual(watched, nodes)

    def test_what_connections_are_measured_by(self):
        def of(**given):
            found = alarms("observability", Cache="nodes", **given)
            [alarm] = [one for one in found.values() if one["AlarmName"] == "store-database-connections"]
            return int(alarm["Metrics"][0]["Expression"].split("/")[1]), alarm["Threshold"]

        self.assertEqual(of(Database="rds", DatabaseProxy="false"), (80, 80))
        self.assertEqual(of(Database="aurora", DatabaseProxy="false"), (800, 80))
        self.assertEqual(of(Database="rds", DatabaseMaximumConnections="400"), (400, 95))
        # The proxy takes as much by itself, at which no alarm must ring.
        proxy = load("data")["Resources"]["ProxyTarget"]["Properties"]["ConnectionPoolConfigurationInfo"]
        self.assertLess(proxy["MaxConnectionsPercent"], 95)

    def test_the_storage_grows_before_its_alarm_rings(self):
        alarm = alarms("observability", Database="rds", Cache="nodes")["DatabaseStorageAlarm"]
        self.assertLessEqual(alarm["Threshold"], 10)
        self.assertGreater(alarm["DatapointsToAlarm"] * alarm["Metrics"][1]["MetricStat"]["Period"], 300)

    def test_the_silence_of_the_sweep_is_watched_when_there_is_a_sweep(self):
        alarm = load("template")["Resources"]["SweepSilentAlarm"]
        self.assertEqual(alarm["DependsOn"], "CacheMove")
        self.assertIn("SweepFunction.Alias", references(load("template")["Resources"]["CacheMove"]))

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
