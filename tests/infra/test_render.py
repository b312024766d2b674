"""What an entry in functions.yaml brings about."""

import unittest
from unittest import mock

import templates
from templates import load, references, render


class Rendering(unittest.TestCase):
    NEW = {"does": "Finds messages", "concurrency": 2, "routes": {"Find": "GET /v1/search"}}

    def rendered(self, **entry):
        """The templates with one more function, and what each has that it had not without it."""
        more = [*render.functions(), render.function("search", {**self.NEW, **entry})]
        with mock.patch.object(render, "functions", return_value=more):
            found = {name: templates.yaml_parse(render.render(name)) for name in render.TEMPLATES}
        added = {f"{part}.{key}" for name, template in found.items() for part in ("Parameters", "Resources", "Outputs")
                 for key in set(template.get(part, {})) - set(load(name).get(part, {}))}
        return found, added

    def test_a_new_operation_is_one_entry(self):
        found, added = self.rendered()
        parameters, outputs = ("Search", "SearchConcurrency"), ("SearchErrorsAlarm", "SearchLogGroupArn")
        resources = ("SearchFunction", "SearchRole", "SearchLogGroup", "SearchErrorsAlarm", "SearchIntegration", "SearchPermission", "FindRoute", "FindHeadRoute")
        self.assertEqual(added, {f"{part}.{key}" for part, keys in (("Parameters", parameters), ("Outputs", outputs), ("Resources", resources)) for key in keys})
        root, alarms = found["template"]["Resources"], found["observability"]["Resources"]
        for resource, wanted in (("ProxyPolicy", "SearchRole"), ("CacheMove", "SearchFunction.Alias"), ("Migration", "SearchConcurrency"),
                                 ("Monitoring", "SearchConcurrency"), ("Api", "SearchFunction.Alias")):  # fmt: skip
            self.assertIn(wanted, references(root[resource]["Properties"]), resource)
        for alarm in ("Throttles", "Duration", "Concurrency", "CacheRefused"):
            self.assertIn("search", [one["Id"] for one in alarms[f"{alarm}Alarm"]["Properties"]["Metrics"]])
        drawn = [line for line in render.render("dashboard").splitlines() if '"update"' in line]
        # These are drawn of some writes alone.
        drawn = [line for line in drawn if "DeferredWrites" not in line and "VersionMismatches" not in line]
        with mock.patch.object(render, "functions", return_value=[*render.functions(), render.function("search", self.NEW)]):
            self.assertEqual(sum('"search"' in line for line in render.render("dashboard").splitlines()), len(drawn))

    def test_one_without_redis_gets_no_way_to_it(self):
        root = self.rendered(redis=False)[0]["template"]["Resources"]
        used = set(references([root["SearchFunction"], root["SearchRole"]]))
        self.assertFalse({"RedisPolicy", "Data.Outputs.RedisUrl", "Network.Outputs.StoresGroupId"} & used)
        self.assertIn("Network.Outputs.PostgresGroupId", used)

    def test_what_no_template_knows_is_refused(self):
        for entry, about in (({"does": "x", "memroy": 1}, "may have"), ({"memory": 1}, "needs does"), ({"does": "x", "routes": {}}, "both")):
            with self.assertRaisesRegex(ValueError, about):
                render.function("search", entry)
