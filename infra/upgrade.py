#!/usr/bin/env python3
"""Upgrades the Postgres of an environment to a major version, after `sam build`: upgrade.py ENV VERSION.

The upgrade is in place, after a snapshot: address and password stay the same. Postgres is down for some minutes, and
requests get 503. It has another identity then, so the same deployment also moves the cache, which starts empty.
"""

import sys

import boto3
from environment import Database, Environment, Refused, main, stack_status, stamp


def targets(rds, found):
    """The major versions that a database can be upgraded to in one step."""
    versions = rds.describe_db_engine_versions(Engine=found["Engine"], EngineVersion=found["EngineVersion"])["DBEngineVersions"]
    if not versions:
        raise Refused(f"RDS does not know {found['Engine']} {found['EngineVersion']}")
    return {one["EngineVersion"].split(".")[0] for one in versions[0]["ValidUpgradeTarget"] if one.get("IsMajorVersionUpgrade")}


def upgrade(environment, version, clients):
    """Takes a snapshot, and deploys with the new version allowed."""
    status = stack_status(clients["cloudformation"], environment.stack)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        raise Refused(f"{environment.stack} is in state {status}: wait for it, or fix it first")
    database = Database(clients["rds"], environment.stack)
    now = database.found["EngineVersion"].split(".")[0]
    if now == version:
        raise Refused(f"Postgres already has version {version}")
    if version not in (known := targets(clients["rds"], database.found)):
        raise Refused(f"Postgres {now} can be upgraded to {', '.join(sorted(known)) or 'no other version'}, not to {version}")
    snapshot = f"{environment.stack}-before-{version}-{stamp()}"
    database.snapshot(snapshot)
    print(f"To go back, restore the snapshot {snapshot}.", flush=True)
    # All at once, since new code rejects writes until the cache has moved. Without alarms, since requests fail while Postgres
    # is down, and a rollback cannot bring the old version back.
    consent = {"AllowMajorVersionUpgrade": "true", "Rollout": "AllAtOnce", "RolloutAlarms": "false"}
    environment.deploy(PostgresVersion=version, **consent)
    return snapshot


def run():
    """Reads the arguments."""
    environment, version = Environment(sys.argv[1]), sys.argv[2]
    upgrade(environment, version, {name: boto3.client(name) for name in ("rds", "cloudformation")})
    print(f'Now set "PostgresVersion={version}" in samconfig.toml, for {environment.name}, and gather statistics: analyze.')


if __name__ == "__main__":
    main(run)
