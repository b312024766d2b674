"""An environment of samconfig.toml: its stack, its parameters, and how to deploy it."""

import pathlib
import re
import subprocess
import sys
import time

import tomlkit
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).parents[1]
# As in the templates: the limit of names in RDS and ElastiCache.
LONGEST_NAME = 30


class Refused(Exception):
    """The command cannot be carried out; the message is the reason, in one sentence."""


class Environment:
    """The settings of an environment in samconfig.toml."""

    def __init__(self, name, config=ROOT / "samconfig.toml"):
        configured = tomlkit.parse(config.read_text()).get(name)
        if configured is None:
            raise Refused(f"samconfig.toml has no environment {name}")
        self.name, deploy = name, configured["deploy"]["parameters"]
        self.stack, self.overrides = deploy["stack_name"], list(deploy["parameter_overrides"])

    def parameters(self, **changed):
        """The parameters in the form of sam, with some replaced or added."""
        kept = [one for one in self.overrides if one.split("=", 1)[0] not in changed]
        return [*kept, *(f"{key}={value}" for key, value in changed.items())]

    def says(self, parameter):
        """The configured value of a parameter; None if it has the template's default."""
        said = dict(one.split("=", 1) for one in self.overrides).get(parameter)
        return said.strip('"') if said is not None else None

    def deploy(self, stack=None, **changed):
        """Deploys the built templates, with changed parameters, to this stack or to another."""
        stack = stack or self.stack
        run = ["sam", "deploy", "--config-env", self.name, "--stack-name", stack, "--s3-prefix", stack]
        subprocess.run([*run, "--parameter-overrides", *self.parameters(**changed)], cwd=ROOT, check=True)


def stack_status(cloudformation, stack):
    """The state of a stack; None if it does not exist."""
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def next_name(stack):
    """The name of the stack that replaces another one."""
    base, number = re.fullmatch(r"(.*?)(?:-(\d+))?", stack).groups()
    name = f"{base}-{int(number or 1) + 1}"
    if len(name) > LONGEST_NAME:
        raise Refused(f"{name} is longer than {LONGEST_NAME} characters: choose another name with INTO")
    return name


class Database:
    """The Postgres of a stack, an RDS instance or an Aurora cluster, in RDS's API."""

    def __init__(self, rds, name):
        self.rds, self.name, self.kind = rds, name, "instance"
        try:
            self.found = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
                raise
            self.kind = "cluster"
            self.found = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]

    @property
    def subnet_group(self):
        """Its subnet group."""
        group = self.found["DBSubnetGroup"]
        return group if isinstance(group, str) else group["DBSubnetGroupName"]

    @property
    def security_groups(self):
        """Its security groups."""
        return [group["VpcSecurityGroupId"] for group in self.found["VpcSecurityGroups"]]

    def restorable(self):
        """The earliest and the latest time that this database can be restored to; None if there is no backup yet."""
        if self.kind == "instance":
            found = self.rds.describe_db_instance_automated_backups(DBInstanceIdentifier=self.name)["DBInstanceAutomatedBackups"]
            # An instance that was deleted may have had the same name.
            windows = (one["RestoreWindow"] for one in found if one["DbiResourceId"] == self.found["DbiResourceId"])
            window = next(windows, {})
            times = window.get("EarliestTime"), window.get("LatestTime")
        else:
            times = self.found.get("EarliestRestorableTime"), self.found.get("LatestRestorableTime")
        return times if all(times) else None

    def is_there(self, name):
        """Waits until a database of the same kind is available."""
        wanted = {"DBInstanceIdentifier" if self.kind == "instance" else "DBClusterIdentifier": name}
        self.rds.get_waiter(f"db_{self.kind}_available").wait(**wanted, WaiterConfig={"Delay": 30, "MaxAttempts": 240})

    def restore(self, copy, moment):
        """Creates a copy of this database as of a point in time, in the same private network."""
        common = {"DBSubnetGroupName": self.subnet_group, "VpcSecurityGroupIds": self.security_groups}
        common |= {"UseLatestRestorableTime": True} if moment is None else {}
        if self.kind == "instance":
            common |= {} if moment is None else {"RestoreTime": moment}
            self.rds.restore_db_instance_to_point_in_time(
                SourceDBInstanceIdentifier=self.name, TargetDBInstanceIdentifier=copy, PubliclyAccessible=False,
                DBInstanceClass=self.found["DBInstanceClass"], MultiAZ=False, DeletionProtection=False, **common,
            )  # fmt: skip
        else:
            common |= {} if moment is None else {"RestoreToTime": moment}
            self.rds.restore_db_cluster_to_point_in_time(
                SourceDBClusterIdentifier=self.name, DBClusterIdentifier=copy, DeletionProtection=False, **common
            )
        self.is_there(copy)

    def snapshot(self, name, of=None):
        """Takes a snapshot of this database or of a copy."""
        of, waited = of or self.name, {"WaiterConfig": {"Delay": 30, "MaxAttempts": 240}}
        if self.kind == "instance":
            self.rds.create_db_snapshot(DBInstanceIdentifier=of, DBSnapshotIdentifier=name)
            self.rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier=name, **waited)
        else:
            self.rds.create_db_cluster_snapshot(DBClusterIdentifier=of, DBClusterSnapshotIdentifier=name)
            self.rds.get_waiter("db_cluster_snapshot_available").wait(DBClusterSnapshotIdentifier=name, **waited)

    def delete(self, copy):
        """Deletes a copy, without leaving snapshots or backups of it."""
        if self.kind == "instance":
            self.rds.delete_db_instance(DBInstanceIdentifier=copy, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)
        else:
            self.rds.delete_db_cluster(DBClusterIdentifier=copy, SkipFinalSnapshot=True)


def stamp():
    """The time, in a form that names allow."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def main(do):
    """Runs a command; if it is refused, prints one sentence instead of a trace."""
    try:
        do()
    except (Refused, ClientError) as refused:
        sys.exit(f"error: {refused}")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
