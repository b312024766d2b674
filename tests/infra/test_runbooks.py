"""Deploying, restoring and upgrading, rehearsed against moto's RDS: what is asked of AWS and of sam, and what is left."""

import contextlib
import datetime
import io
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.rds.models import rds_backends

from templates import INFRA, REGION, ROOT, load, of_type, references

sys.path.insert(0, str(INFRA))
import deploy  # noqa: E402
import environment  # noqa: E402
import restore  # noqa: E402
import upgrade  # noqa: E402

STACK = "conversation-store-prod"
# What a database can be restored to.
LATEST = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(minutes=5)
EARLIEST = LATEST - datetime.timedelta(days=14)
TARGETS = {"DBEngineVersions": [{"EngineVersion": "17.4", "ValidUpgradeTarget": [
    {"EngineVersion": "17.5", "IsMajorVersionUpgrade": False}, {"EngineVersion": "18.1", "IsMajorVersionUpgrade": True}]}]}  # fmt: skip


class Functions:
    """Stands for Lambda: the reserved concurrency of the functions that write. One of them has none."""

    def __init__(self, failing=None):
        self.before = {f"{STACK}-add": 60, f"{STACK}-update": 15, f"{STACK}-delete": None, f"{STACK}-records": 10}
        self.reserved, self.failing = dict(self.before), failing

    def get_function_concurrency(self, FunctionName):
        reserved = self.reserved[FunctionName]
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def put_function_concurrency(self, FunctionName, ReservedConcurrentExecutions):
        if self.failing == (FunctionName, ReservedConcurrentExecutions):
            raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "PutFunctionConcurrency")
        self.reserved[FunctionName] = ReservedConcurrentExecutions

    def delete_function_concurrency(self, FunctionName):
        self.reserved[FunctionName] = None


def raise_(error):
    """Raises an error, where only an expression may stand."""
    raise error


class Account(unittest.TestCase):
    """An account that has a network, and a stack with the Postgres of prod in it."""

    def setUp(self):
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": REGION}
        for patch in (mock.patch.dict("os.environ", keys), mock_aws(), mock.patch("subprocess.run", self.ran)):
            patch.start()
            self.addCleanup(patch.stop)
        self.runs, self.failing = [], None
        self.rds, self.ec2 = boto3.client("rds"), boto3.client("ec2")
        self.cloudformation = boto3.client("cloudformation")
        self.clients = {"rds": self.rds, "cloudformation": self.cloudformation, "lambda": Functions()}
        self.environment = environment.Environment("prod")
        self.printed = io.StringIO()
        redirected = contextlib.redirect_stdout(self.printed)
        redirected.__enter__()
        self.addCleanup(redirected.__exit__, None, None, None)

    def anew(self):
        """The same with another account."""
        self.doCleanups()
        self.setUp()

    def ran(self, command, cwd, check):
        """Stands for sam."""
        self.assertEqual((cwd, check, command[:2]), (ROOT, True, ["sam", "deploy"]))
        given = dict(zip(command[2:8:2], command[3:9:2], strict=True))
        overrides = dict(one.split("=", 1) for one in command[command.index("--parameter-overrides") + 1 :])
        self.runs.append((given["--stack-name"], overrides))
        if self.failing:
            raise self.failing

    def stack(self, name=STACK):
        template = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
        self.cloudformation.create_stack(StackName=name, TemplateBody=template)

    def database(self, kind="instance"):
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]
                   ["SubnetId"] for n, zone in ((1, "a"), (2, "b"))]  # fmt: skip
        self.group = self.ec2.create_security_group(VpcId=vpc, GroupName="database", Description="d")["GroupId"]
        self.rds.create_db_subnet_group(DBSubnetGroupName="private", DBSubnetGroupDescription="d", SubnetIds=subnets)
        of = {"MasterUsername": "administrator", "MasterUserPassword": "0123456789", "VpcSecurityGroupIds": [self.group],
              "DBSubnetGroupName": "private", "DeletionProtection": False}  # moto gives a copy what the original has
        if kind == "instance":
            self.rds.create_db_instance(DBInstanceIdentifier=STACK, Engine="postgres", EngineVersion="17.4", MultiAZ=True,
                                        DBInstanceClass="db.t4g.medium", AllocatedStorage=100, **of)  # fmt: skip
            # moto's backups have no window.
            of_stack = {"DbiResourceId": self.rds.describe_db_instances()["DBInstances"][0]["DbiResourceId"]}
            window = {"RestoreWindow": {"EarliestTime": EARLIEST, "LatestTime": LATEST}}
            self.backups = [{"DbiResourceId": "db-DELETED", "RestoreWindow": {}}, {**of_stack, **window}]
            backups = lambda DBInstanceIdentifier: {"DBInstanceAutomatedBackups": self.backups}
            known = mock.patch.object(self.rds, "describe_db_instance_automated_backups", backups)
            known.start()
            self.addCleanup(known.stop)
        else:
            self.rds.create_db_cluster(DBClusterIdentifier=STACK, Engine="aurora-postgresql", EngineVersion="17.4", **of)
            rds_backends[DEFAULT_ACCOUNT_ID][REGION].clusters[STACK].earliest_restorable_time = EARLIEST

    def names(self, kind):
        """Databases, and snapshots taken by hand, that there are."""
        if kind == "instance":
            databases = [one["DBInstanceIdentifier"] for one in self.rds.describe_db_instances()["DBInstances"]]
            snapshots = self.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
            return databases, [one["DBSnapshotIdentifier"] for one in snapshots]
        databases = [one["DBClusterIdentifier"] for one in self.rds.describe_db_clusters()["DBClusters"]]
        snapshots = self.rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
        return databases, [one["DBClusterSnapshotIdentifier"] for one in snapshots]


class Restore(Account):
    WHEN = LATEST - datetime.timedelta(minutes=55)

    def restore(self, when=WHEN, target="", drill=False):
        return restore.restore(self.environment, when, target, drill, self.clients)

    def test_a_stack_from_the_moment_stands_beside_and_nothing_else_is_left(self):
        for kind in ("instance", "cluster"):
            with self.subTest(kind=kind):
                self.anew()
                self.stack()
                self.database(kind)
                target, snapshot = self.restore()
                self.assertEqual(target, "conversation-store-prod-2")
                self.assertEqual(self.names(kind), ([STACK], [snapshot]))
                [(stack, overrides)] = self.runs
                self.assertEqual((stack, overrides["DatabaseSnapshot"]), (target, snapshot))
                configured = dict(one.split("=", 1) for one in self.environment.overrides)
                changed = {"DatabaseSnapshot": snapshot, "DatabaseDeletionProtection": "false"}
                self.assertEqual(overrides, {**configured, **changed})

    def test_the_copy_is_in_the_networks_of_the_original_and_the_moment_is_asked_for(self):
        for kind, moment_at in (("instance", "RestoreTime"), ("cluster", "RestoreToTime")):
            for when, asked in ((self.WHEN, {moment_at: self.WHEN}), (None, {"UseLatestRestorableTime": True})):
                with self.subTest(kind=kind, when=when):
                    self.anew()
                    self.stack()
                    self.database(kind)
                    done = f"restore_db_{kind}_to_point_in_time"
                    with mock.patch.object(self.rds, done, wraps=getattr(self.rds, done)) as called:
                        self.restore(when)
                    given = called.call_args.kwargs
                    self.assertEqual((given["DBSubnetGroupName"], given["VpcSecurityGroupIds"]), ("private", [self.group]))
                    self.assertLessEqual(asked.items(), given.items())
                    self.assertFalse(given["DeletionProtection"], "it could not be cleared away")
                    self.assertEqual({moment_at, "UseLatestRestorableTime"} & set(given), set(asked))

    def test_writes_end_before_the_copy_but_for_a_drill(self):
        self.stack()
        self.database()
        functions, found = self.clients["lambda"], []
        with mock.patch.object(environment.Database, "restore", lambda *_: found.append(dict(functions.reserved))), \
                mock.patch.object(environment.Database, "snapshot"), mock.patch.object(environment.Database, "delete"):
            self.restore(drill=True, target="drill")
            self.restore()
        self.assertEqual(found, [functions.before, dict.fromkeys(functions.before, 0)])
        self.assertEqual(functions.reserved, found[1], "writes to the old stack would be lost")
        for command in (f"put-function-concurrency --function-name {STACK}-add --reserved-concurrent-executions 60",
                        f"delete-function-concurrency --function-name {STACK}-delete"):  # fmt: skip
            self.assertIn(f"\n  aws lambda {command}\n", self.printed.getvalue())

    def test_the_copy_goes_also_where_its_snapshot_fails(self):
        self.stack()
        self.database()
        failure = ClientError({"Error": {"Code": "SnapshotQuotaExceeded"}}, "CreateDBSnapshot")
        with mock.patch.object(self.rds, "create_db_snapshot", side_effect=failure), self.assertRaises(ClientError):
            self.restore()
        self.assertEqual(self.names("instance"), ([STACK], []))
        self.assertEqual(self.runs, [])
        self.assertEqual(self.clients["lambda"].reserved, self.clients["lambda"].before)

    def test_a_failure_before_there_is_a_copy_is_reported_as_it_is_and_writes_are_allowed_again(self):
        self.stack()
        self.database()
        for failure in (ClientError({"Error": {"Code": "InvalidRestoreFault"}}, "Restore"), KeyboardInterrupt("InvalidRestoreFault")):
            found = []
            with mock.patch.object(self.rds, "restore_db_instance_to_point_in_time") as called:
                called.side_effect = lambda **_: found.append(dict(self.clients["lambda"].reserved)) or raise_(failure)
                self.assertRaisesRegex(type(failure), "InvalidRestoreFault", self.restore)
            self.assertEqual(set(found[0].values()), {0}, "they were stopped meanwhile")
            self.assertEqual(self.clients["lambda"].reserved, self.clients["lambda"].before)

    def test_writes_of_which_only_some_could_be_stopped_are_allowed_again(self):
        self.stack()
        self.database()
        self.clients["lambda"] = Functions(failing=(f"{STACK}-update", 0))
        self.assertRaisesRegex(ClientError, "TooManyRequests", self.restore)
        self.assertEqual(self.clients["lambda"].reserved, self.clients["lambda"].before)

    def test_a_time_that_cannot_be_restored_is_refused_while_writes_go_on(self):
        for kind in ("instance", "cluster"):
            self.anew()
            self.stack()
            self.database(kind)
            for when in (EARLIEST - datetime.timedelta(seconds=1), LATEST + datetime.timedelta(hours=1)):
                with mock.patch.object(restore.Writes, "stop") as stopped:
                    self.assertRaisesRegex(environment.Refused, f"from {EARLIEST:%FT%TZ} to .* not to {when:%FT%TZ}", self.restore, when)
                stopped.assert_not_called()
            self.assertEqual(self.names(kind), ([STACK], []))

    def test_without_a_backup_nothing_is_begun(self):
        self.stack()
        self.database()
        for backups in ([], [{**self.backups[1], "RestoreWindow": {"EarliestTime": EARLIEST}}], self.backups[:1]):
            self.backups = backups
            for when in (self.WHEN, None):
                with mock.patch.object(restore.Writes, "stop") as stopped:
                    self.assertRaisesRegex(environment.Refused, "no automated backup", self.restore, when)
                stopped.assert_not_called()

    def test_a_stack_that_is_there_is_not_deployed_over(self):
        self.stack()
        self.stack("conversation-store-prod-2")
        self.assertRaisesRegex(environment.Refused, "already", self.restore)
        self.assertEqual(self.clients["lambda"].reserved, self.clients["lambda"].before)

    def test_times_and_names(self):
        self.assertEqual(restore.moment("2026-11-26T12:00:00Z").isoformat(), "2026-11-26T12:00:00+00:00")
        self.assertIsNone(restore.moment("latest"))
        for wrong in ("yesterday", "2026-11-26T12:00:00"):
            self.assertRaises(environment.Refused, restore.moment, wrong)
        self.assertEqual(environment.next_name("store"), "store-2")
        self.assertEqual(environment.next_name("store-9"), "store-10")
        self.assertRaises(environment.Refused, environment.next_name, "conversation-store-production")

    def test_the_copy_is_another_database_to_the_cache(self):
        # So it has another generation, and no key of the old one is read.
        self.assertIn("Data.Outputs.DatabaseId", references(load("template")["Resources"]["Migration"]["Properties"]["Cache"]))
        self.assertIn("DbiResourceId", str(load("data")["Outputs"]["DatabaseId"]))


class Upgrade(Account):
    def upgrade(self, version="18", targets=TARGETS):
        # moto knows no versions.
        with mock.patch.object(self.rds, "describe_db_engine_versions", return_value=targets):
            return upgrade.upgrade(self.environment, version, self.clients)

    def test_a_snapshot_comes_first_and_consent_with_the_version(self):
        for kind in ("instance", "cluster"):
            with self.subTest(kind=kind):
                self.anew()
                self.stack()
                self.database(kind)
                snapshot = self.upgrade()
                self.assertEqual(self.names(kind), ([STACK], [snapshot]))
                [(stack, overrides)] = self.runs
                self.assertEqual(stack, STACK)
                self.assertEqual((overrides["PostgresVersion"], overrides["AllowMajorVersionUpgrade"]), ("18", "true"))
                # No alarm takes back what cannot be taken back, and no new code waits in a canary for the cache to move.
                self.assertEqual((overrides["RolloutAlarms"], overrides["Rollout"]), ("false", "AllAtOnce"))
                configured = dict(one.split("=", 1) for one in self.environment.overrides)
                self.assertNotEqual(configured["Rollout"], "AllAtOnce", "what is tested is that it is overridden")

    def test_what_rds_would_refuse_is_refused_before_anything_is_done(self):
        self.stack()
        self.database()
        for version, targets, why in (("17", TARGETS, "already"), ("19", TARGETS, "can be upgraded to 18"),
                                      ("18", {"DBEngineVersions": []}, "does not know")):  # fmt: skip
            with self.assertRaisesRegex(environment.Refused, why):
                self.upgrade(version, targets)
        with mock.patch.object(upgrade, "stack_status", return_value="UPDATE_ROLLBACK_FAILED"), self.assertRaises(environment.Refused):
            self.upgrade()
        self.assertEqual((self.names("instance")[1], self.runs), ([], []))


class Deploy(Account):
    def deploy(self):
        deploy.deploy(self.environment, self.cloudformation)

    def test_the_first_time_the_database_is_protected_when_all_is_there(self):
        self.deploy()
        (one, first), (other, second) = self.runs
        self.assertEqual((one, other), (STACK, STACK))
        self.assertEqual(first, {**second, "DatabaseDeletionProtection": "false"})
        self.assertNotIn("DatabaseDeletionProtection", second)
        self.assertEqual(load("template")["Parameters"]["DatabaseDeletionProtection"]["Default"], "true")

    def test_later_and_where_nothing_is_protected_it_is_one(self):
        self.stack()
        self.deploy()
        self.environment = environment.Environment("dev")
        self.deploy()
        self.assertEqual([stack for stack, _ in self.runs], [STACK, "conversation-store-dev"])

    def test_a_first_time_that_fails_ends_there(self):
        self.failing = environment.Refused("sam failed")
        self.assertRaises(environment.Refused, self.deploy)
        self.assertEqual(len(self.runs), 1)

    def test_a_stack_that_stands_still_is_left_to_people(self):
        with mock.patch.object(deploy, "stack_status", return_value="UPDATE_ROLLBACK_FAILED"):
            self.assertRaisesRegex(environment.Refused, "When a deployment fails", self.deploy)
        self.assertIn("## When a deployment fails", (ROOT / "docs/deploying.md").read_text())

    def test_an_environment_that_is_not_configured_is_named(self):
        self.assertRaisesRegex(environment.Refused, "no environment qa", environment.Environment, "qa")

    def test_values_with_commas_and_quotes_go_on_as_they_are_written(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder, "samconfig.toml")
            config.write_text('[a.deploy.parameters]\nstack_name = "a"\nparameter_overrides = [\'CorsOrigins="https://a,https://b"\']\n')
            found = environment.Environment("a", config)
        self.assertEqual(found.parameters(X="1"), ['CorsOrigins="https://a,https://b"', "X=1"])
        self.assertEqual(found.says("CorsOrigins"), "https://a,https://b")


class Alike(unittest.TestCase):
    def test_the_names_that_the_scripts_use_are_those_of_the_templates(self):
        data = load("data")
        self.assertEqual(data["Parameters"]["Prefix"]["MaxLength"], environment.LONGEST_NAME)
        [cluster] = of_type(data, "AWS::RDS::DBCluster").values()
        self.assertEqual(cluster["Properties"]["DBClusterIdentifier"], {"Ref": "Prefix"})
        self.assertEqual(data["Resources"]["RdsInstance"]["Properties"]["DBInstanceIdentifier"], {"Ref": "Prefix"})


if __name__ == "__main__":
    unittest.main()
