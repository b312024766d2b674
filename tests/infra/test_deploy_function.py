"""The function that takes the steps of a deployment for CloudFormation, as its code stands in the template."""

import io
import json
import sys
import types
import unittest
from unittest import mock

from botocore.exceptions import ClientError

import templates
from templates import load, of_type, references, render

SECRET = {"username": "administrator", "password": "secret"}
DONE = {"more": False, "generation": "g1"}
PROBED = {"guarantee": "reads are current", "checks": [{"name": "acl", "ok": True, "detail": ""}]}
MIGRATION = {"Version": "arn:migrate:7", "Settings": ["1", "info"], "Cache": "nodes db-1", "Instances": ["9", "4"]}
THROTTLED = ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}}, "Invoke")


def error(sentence):
    """What Lambda answers when the work of migrate or probe fails: the runtime's `Diagnostic` of a String, as `on_event` of
    the functions returns it. Its errorType is the name of a reference's type."""
    return {"errorType": "&alloc::string::String", "errorMessage": sentence}


# What Lambda itself answers when a function does not start, or does not end.
EXITED = {"errorType": "Runtime.ExitError", "errorMessage": "RequestId: 1 Error: Runtime exited with error: exit status 1"}
TIMED_OUT = {"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out after 60.00 seconds"}


class Cloud:
    """Stands for Secrets Manager, CloudFormation and Lambda, which gives these answers one after the other."""

    def __init__(self, *answers, status="UPDATE_IN_PROGRESS", outputs=None):
        self.answers, self.invoked, self.slept, self.config = list(answers), [], [], {}
        self.stack = {"StackStatus": status}
        if outputs:
            self.stack["Outputs"] = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]

    def client(self, name, **given):
        self.config[name] = given.get("config")
        return self

    def get_secret_value(self, SecretId):
        assert SecretId == "arn:secret"
        return {"SecretString": json.dumps(SECRET)}

    def describe_stacks(self, StackName):
        assert StackName == "arn:stack"
        return {"Stacks": [self.stack]}

    def invoke(self, FunctionName, Payload):
        self.invoked.append((FunctionName, json.loads(Payload)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        failed = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
        return {**failed, "Payload": io.BytesIO(json.dumps(answer).encode())}


def handle(cloud, step="Migration", wanted=None, old=None, request="Update", secret="arn:secret", left=900_000):
    """What CloudFormation is sent: outcome, data, reason. Each invocation and each second of sleep uses up time."""
    sent = []
    response = types.ModuleType("cfnresponse")
    response.SUCCESS, response.FAILED = "SUCCESS", "FAILED"
    response.send = lambda event, context, outcome, data, physical, reason=None: sent.append((outcome, data, physical, reason))
    code = load("template")["Resources"]["DeployFunction"]["Properties"]["Code"]["ZipFile"]
    properties = dict(MIGRATION if wanted is None else wanted)
    if secret:
        properties["Secret"] = secret
    event = {"ResourceType": f"Custom::{step}", "StackId": "arn:stack", "RequestType": request, "ResourceProperties": properties}
    if old is not None:
        event["OldResourceProperties"] = old
    context = types.SimpleNamespace(
        get_remaining_time_in_millis=lambda: left - 120_000 * len(cloud.invoked) - 1_000 * sum(cloud.slept)
    )
    with (
        mock.patch.dict(sys.modules, {"cfnresponse": response}),
        mock.patch("boto3.client", cloud.client),
        mock.patch("time.sleep", cloud.slept.append),
    ):
        space = {}
        exec(compile(code, "index.py", "exec"), space)
        space["handle"](event, context)
    [(outcome, data, physical, reason)] = sent
    assert physical == step
    return outcome, data, reason


class Migrate(unittest.TestCase):
    def test_it_migrates_as_the_administrator_and_returns_generation_and_settings(self):
        for request in ("Create", "Update"):
            cloud = Cloud(DONE)
            outcome, data, reason = handle(cloud, request=request)
            self.assertEqual((outcome, reason), ("SUCCESS", None))
            self.assertEqual(cloud.invoked, [("arn:migrate:7", {**SECRET, "settings": "nodes db-1"})])
            self.assertEqual(data["Generation"], "g1")
            self.assertRegex(data["Settings"], "^[0-9a-f]{12}$")

    def test_an_existing_database_is_migrated_by_its_own_user(self):
        cloud = Cloud(DONE)
        self.assertEqual(handle(cloud, secret=None)[0], "SUCCESS")
        self.assertEqual(cloud.invoked, [("arn:migrate:7", {"settings": "nodes db-1"})])

    def test_another_setting_or_generation_is_another_hash_and_the_same_is_the_same(self):
        def settings(generation, *given):
            return handle(Cloud({"generation": generation}), wanted={**MIGRATION, "Settings": list(given)})[1]["Settings"]

        hashes = [settings("g1", "1", "info"), settings("g1", "2", "info"), settings("g2", "1", "info")]
        self.assertEqual(len(set(hashes)), 3)
        self.assertEqual(settings("g1", "1", "info"), hashes[0])

    def test_the_connections_needed_are_two_for_each_instance_and_the_few_others(self):
        # Not what Postgres reserves: the probe takes that off max_connections.
        self.assertEqual(handle(Cloud(DONE))[1]["Connections"], str(2 * (9 + 4 + 1) + 1 + 1))
        self.assertEqual(handle(Cloud(DONE), wanted={**MIGRATION, "Instances": []})[1]["Connections"], "4")

    def test_it_is_invoked_again_while_there_is_more_to_do(self):
        cloud = Cloud({"more": True}, {"more": True}, DONE)
        self.assertEqual(handle(cloud)[:2], handle(Cloud(DONE))[:2])
        self.assertEqual(len(cloud.invoked), 3)

    def test_if_it_takes_too_long_the_message_says_that_the_next_deployment_continues(self):
        cloud = Cloud(*[{"more": True}] * 9)
        outcome, _, reason = handle(cloud)
        self.assertEqual(outcome, "FAILED")
        self.assertIn("deploy again", reason)
        self.assertLess(len(cloud.invoked), 7)

    def test_a_throttled_invocation_is_tried_again_and_no_other(self):
        cloud = Cloud(THROTTLED, THROTTLED, DONE)
        self.assertEqual(handle(cloud)[0], "SUCCESS")
        self.assertEqual(cloud.slept, [10, 10])
        cloud = Cloud(*[THROTTLED] * 99)
        self.assertEqual(handle(cloud)[0], "FAILED")
        for failure in (ClientError({"Error": {"Code": "ServiceException"}}, "Invoke"), TimeoutError("read timed out")):
            cloud = Cloud(failure)
            self.assertEqual(handle(cloud)[0], "FAILED")
            self.assertEqual(len(cloud.invoked), 1)

    def test_a_failure_fails_the_deployment_and_says_why_without_the_password(self):
        with mock.patch("builtins.print") as printed:
            outcome, _, reason = handle(Cloud(error("column x exists")))
        self.assertEqual((outcome, reason), ("FAILED", "Migration failed: column x exists"))
        self.assertNotIn("secret", str(printed.mock_calls))

    def test_no_wait_outlasts_an_idle_connection_and_none_is_repeated_by_the_client(self):
        cloud = Cloud(DONE)
        handle(cloud)
        config = cloud.config["lambda"]
        self.assertTrue(config.tcp_keepalive)
        self.assertLessEqual(config.read_timeout, 300)
        self.assertEqual(config.retries, {"total_max_attempts": 1})


class RolledBack(unittest.TestCase):
    """CloudFormation rolls a deployment back, and requests the old version of each step."""

    def cloud(self, *answers):
        outputs = {"Generation": "g0", "Guarantee": "all", "Report": "all again", "ApiUrl": "https://a"}
        return Cloud(*answers, status="UPDATE_ROLLBACK_IN_PROGRESS", outputs=outputs)

    def test_the_old_migrate_returns_the_generation_if_it_can(self):
        self.assertEqual(handle(self.cloud(DONE))[1]["Generation"], "g1")

    def test_if_it_cannot_the_generation_is_the_last_one_deployed(self):
        outcome, data, reason = handle(self.cloud(error("no connection")))
        self.assertEqual((outcome, data["Generation"]), ("SUCCESS", "g0"))
        self.assertIn("no connection", reason)
        self.assertEqual(set(data), {"Generation", "Settings", "Connections"})

    def test_neither_guard_nor_probe_nor_move_blocks_the_rollback(self):
        outcome, data, _ = handle(self.cloud(error("refused")), "Probe", {"Version": "arn:probe:3", "Settings": "a"})
        self.assertEqual((outcome, data["Guarantee"]), ("SUCCESS", "all"))
        wanted = {"Version": "arn:migrate:6", "Generation": "g0", "Probe": "arn:probe:2"}
        outcome, data, _ = handle(self.cloud(error("retired")), "CacheMove", wanted)
        self.assertEqual((outcome, data["Report"]), ("SUCCESS", "all again"))
        self.assertEqual(handle(self.cloud(), "Guard", Guard.wanted("rds"), Guard.wanted("aurora"))[0], "SUCCESS")


class Probe(unittest.TestCase):
    WANTED = {"Version": "arn:probe:3", "Settings": ["a", "g1"]}

    def test_its_result_is_printed_and_its_guarantee_returned(self):
        with mock.patch("builtins.print") as printed:
            outcome, data, _ = handle(cloud := Cloud(PROBED), "Probe", self.WANTED)
        self.assertEqual((outcome, data["Guarantee"]), ("SUCCESS", "reads are current"))
        self.assertEqual(cloud.invoked, [("arn:probe:3", {})])
        self.assertEqual(json.loads(printed.call_args.args[0]), PROBED)

    def test_a_check_that_fails_fails_the_deployment_with_its_sentence(self):
        for answer, sentence in (
            (error("Redis is a primary: REDIS_URL leads to a replica"), "Redis is a primary: REDIS_URL leads to a replica"),
            (EXITED, EXITED["errorMessage"]),
            (TIMED_OUT, TIMED_OUT["errorMessage"]),
        ):
            outcome, _, reason = handle(Cloud(answer), "Probe", self.WANTED)
            self.assertEqual((outcome, reason), ("FAILED", f"Probe failed: {sentence}"))


class CacheMove(unittest.TestCase):
    WANTED = {"Version": "arn:migrate:7", "Probe": "arn:probe:3", "Generation": "g1", "Aliases": []}

    def longest(self, template):
        """The longest time-out of what may still be running old code: the functions whose aliases the move waits for."""
        waited_for = references(template["Resources"]["CacheMove"]["Properties"]["Aliases"])
        usual = template["Globals"]["Function"]["Timeout"]
        return max(template["Resources"][one.split(".")[0]]["Properties"].get("Timeout", usual) for one in waited_for)

    def test_the_generation_moves_when_no_old_code_can_still_be_running(self):
        cloud = Cloud({"generation": "g1"}, PROBED)
        self.assertEqual(handle(cloud, "CacheMove", self.WANTED)[0], "SUCCESS")
        self.assertEqual(cloud.invoked[0], ("arn:migrate:7", {**SECRET, "move": "g1"}))
        longest = self.longest(load("template"))
        self.assertGreater(sum(cloud.slept), longest)
        # That of the sweep, which is longer than that of what serves callers.
        self.assertGreater(longest, load("template")["Globals"]["Function"]["Timeout"])

    def test_only_migrate_and_probe_which_deployments_alone_invoke_are_not_waited_for(self):
        waited_for = set(references(load("template")["Resources"]["CacheMove"]["Properties"]["Aliases"]))
        functions = set(of_type(load("template"), "AWS::Serverless::Function"))
        self.assertEqual(functions - {one.split(".")[0] for one in waited_for}, {"MigrateFunction", "ProbeFunction"})

    def test_a_longer_time_out_is_waited_for(self):
        slow = [one | {"timeout": 50} if one["name"] == "add" else one for one in render.functions()]
        with mock.patch.object(render, "functions", return_value=slow):
            template = templates.yaml_parse(render.render("template"))
        with mock.patch.dict(globals(), load=lambda _: template):
            handle(cloud := Cloud({"generation": "g1"}, PROBED), "CacheMove", self.WANTED)
        self.assertGreater(sum(cloud.slept), self.longest(template))

    def test_the_probe_is_invoked_once_more_when_writes_reach_the_cache(self):
        cloud = Cloud({"generation": "g1"}, PROBED)
        with mock.patch("builtins.print") as printed:
            outcome, data, _ = handle(cloud, "CacheMove", self.WANTED)
        self.assertEqual((outcome, data["Report"]), ("SUCCESS", "reads are current"))
        self.assertEqual([version for version, _ in cloud.invoked], ["arn:migrate:7", "arn:probe:3"])
        self.assertEqual(json.loads(printed.call_args.args[0]), PROBED)
        move = load("template")["Resources"]["CacheMove"]["Properties"]
        self.assertEqual(move["Probe"], {"Ref": "ProbeFunction.Version"})
        outputs = load("template")["Outputs"]
        self.assertEqual(list(references(outputs["Report"]["Value"])), ["CacheMove.Report"])

    def test_when_it_fails_the_sentence_is_reported_and_nothing_is_rolled_back(self):
        for failure in (error("A conversation lives and dies: an add does not reach the cache"), TIMED_OUT, THROTTLED):
            sentence = failure["errorMessage"] if isinstance(failure, dict) else "Rate Exceeded."
            with mock.patch("builtins.print") as printed:
                answers = [failure] if isinstance(failure, dict) else [failure] * 9
                outcome, data, reason = handle(Cloud({"generation": "g1"}, *answers), "CacheMove", self.WANTED)
            self.assertEqual((outcome, reason), ("SUCCESS", None))
            self.assertIn("after the cache had moved", data["Report"])
            self.assertIn(sentence, data["Report"])
            printed.assert_called_once_with(data["Report"])

    def test_a_report_fits_into_an_answer_and_an_output(self):
        _, data, _ = handle(Cloud({"generation": "g1"}, error("x" * 5000)), "CacheMove", self.WANTED)
        self.assertLessEqual(len(data["Report"]), 1000)

    def test_a_move_that_fails_fails_the_deployment(self):
        outcome, _, reason = handle(Cloud(error("x")), "CacheMove", self.WANTED)
        self.assertEqual((outcome, reason), ("FAILED", "CacheMove failed: x"))


class Guard(unittest.TestCase):
    @staticmethod
    def wanted(kind, version="17", database="false", upgrade="false"):
        return {"Database": ["", kind, "", ""], "AllowDatabaseChange": database, "Postgres": version,
                "AllowMajorVersionUpgrade": upgrade, "Settings": [kind]}

    def test_another_database_or_major_version_has_to_be_allowed(self):
        old = self.wanted("rds")
        for wanted, consent in ((self.wanted("aurora"), "AllowDatabaseChange=true"),
                                (self.wanted("rds", "18"), "AllowMajorVersionUpgrade=true")):
            outcome, _, reason = handle(Cloud(), "Guard", wanted, old)
            self.assertEqual(outcome, "FAILED")
            self.assertIn(consent, reason)
        for wanted in (self.wanted("aurora", database="true"), self.wanted("rds", "18", upgrade="true"), old):
            self.assertEqual(handle(Cloud(), "Guard", wanted, old)[0], "SUCCESS")

    def test_a_first_deployment_may_have_any(self):
        self.assertEqual(handle(Cloud(), "Guard", self.wanted("aurora"), request="Create")[0], "SUCCESS")


class Delete(unittest.TestCase):
    def test_nothing_is_done_when_a_step_goes(self):
        for step in ("Guard", "Migration", "Probe", "CacheMove"):
            cloud = Cloud(status="DELETE_IN_PROGRESS")
            self.assertEqual(handle(cloud, step, {}, request="Delete")[0], "SUCCESS")
            self.assertEqual((cloud.invoked, cloud.slept), ([], []))


if __name__ == "__main__":
    unittest.main()
