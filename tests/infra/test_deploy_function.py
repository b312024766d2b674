"""The function that migrates for CloudFormation, as its code stands in the template."""

import io
import json
import sys
import types
import unittest
from unittest import mock

from templates import load

SECRET = json.dumps({"username": "administrator", "password": "secret"})


class Cloud:
    """Stands for Secrets Manager and Lambda."""

    def __init__(self, failure=None):
        self.failure, self.invoked = failure, []

    def get_secret_value(self, SecretId):
        assert SecretId == "arn:secret"
        return {"SecretString": SECRET}

    def invoke(self, FunctionName, Payload):
        self.invoked.append((FunctionName, Payload))
        if self.failure:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(self.failure).encode())}
        return {"Payload": io.BytesIO(b"null")}


def handle(cloud, request="Create", secret="arn:secret", settings=("1", "info")):
    """What CloudFormation is told: outcome, data, reason."""
    told = []
    response = types.ModuleType("cfnresponse")
    response.SUCCESS, response.FAILED = "SUCCESS", "FAILED"
    response.send = lambda event, context, outcome, data, physical, reason=None: told.append((outcome, data, physical, reason))
    code = load("template")["Resources"]["DeployFunction"]["Properties"]["Code"]["ZipFile"]
    properties = {"Version": "arn:version:7", "Settings": list(settings)}
    if secret:
        properties["Secret"] = secret
    with mock.patch.dict(sys.modules, {"cfnresponse": response}), mock.patch("boto3.client", lambda name, **_: cloud):
        space = {}
        exec(compile(code, "index.py", "exec"), space)
        space["handle"]({"RequestType": request, "ResourceProperties": properties}, None)
    [answer] = told
    return answer


class DeployFunction(unittest.TestCase):
    def test_it_migrates_as_the_administrator_and_tells_the_settings(self):
        for request in ("Create", "Update"):
            cloud = Cloud()
            outcome, data, physical, reason = handle(cloud, request)
            self.assertEqual((outcome, physical, reason), ("SUCCESS", "migration", None))
            self.assertEqual(cloud.invoked, [("arn:version:7", SECRET)])
            self.assertRegex(data["Settings"], "^[0-9a-f]{12}$")

    def test_another_setting_is_another_hash_and_the_same_is_the_same(self):
        hashes = [handle(Cloud(), settings=s)[1]["Settings"] for s in (("1", "info"), ("2", "info"), ("1", "info"))]
        self.assertEqual(hashes[0], hashes[2])
        self.assertNotEqual(hashes[0], hashes[1])

    def test_an_existing_database_is_migrated_by_its_own_user(self):
        cloud = Cloud()
        self.assertEqual(handle(cloud, secret=None)[0], "SUCCESS")
        self.assertEqual(cloud.invoked, [("arn:version:7", "{}")])

    def test_a_migration_that_fails_fails_the_deployment_and_says_why(self):
        with mock.patch("builtins.print") as printed:
            outcome, _, _, reason = handle(Cloud({"errorMessage": "column x exists"}))
        self.assertEqual((outcome, reason), ("FAILED", "the migration failed: column x exists"))
        self.assertNotIn("secret", str(printed.mock_calls))

    def test_nothing_is_done_when_it_goes(self):
        cloud = Cloud()
        self.assertEqual(handle(cloud, "Delete")[0], "SUCCESS")
        self.assertEqual(cloud.invoked, [])


if __name__ == "__main__":
    unittest.main()
