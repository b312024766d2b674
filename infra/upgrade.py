#!/usr/bin/env python3
"""Brings the Postgres of an environment to a major version, after `sam build`: upgrade.py ENV VERSION.

In place, after a snapshot: address, identity and password stay, and so does all that is cached. Postgres stands still for
some minutes meanwhile, and requests are answered 503.
"""

import sys

import boto3
from environment import Database, Environment, Refused, main, stack_status, stamp


def targets(rds, found):
    """The major versions that a database can be brought to in one step."""
    versions = rds.describe_db_engine_versions(Engine=found["Engine"], EngineVersion=found["EngineVersion"])["DBEngineVersions"]
    if not versions:
        raise Refused(f"RDS does not know {found['Engine']} {found['EngineVersion']}")
    return {one["EngineVersion"].split(".")[0] for one in versions[0]["ValidUpgradeTarget"] if one.get("IsMajorVersionUpgrade")}


def upgrade(environment, version, clients):
    """Takes a snapshot, and deploys with consent to the other version."""
    status = stack_status(clients["cloudformation"], environment.stack)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        raise Refused(f"{environment.stack} is in {status}: it has to be at rest")
    database = Database(clients["rds"], environment.stack)
    now = database.found["EngineVersion"].split(".")[0]
    if now == version:
        raise Refused(f"Postgres is at {version} already")
    if version not in (known := targets(clients["rds"], database.found)):
        raise Refused(f"from {now} Postgres can be brought to {', '.join(sorted(known)) or 'no other'}, not to {version}")
    snapshot = f"{environment.stack}-before-{version}-{stamp()}"
    database.snapshot(snapshot)
    print(f"{snapshot} is what to go back to.", flush=True)
    environment.deploy(PostgresVersion=version, AllowMajorVersionUpgrade="true")
    return snapshot


def run():
    """Reads the arguments."""
    environment, version = Environment(sys.argv[1]), sys.argv[2]
    upgrade(environment, version, {name: boto3.client(name) for name in ("rds", "cloudformation")})
    print(f'Now say "PostgresVersion={version}" in samconfig.toml, for {environment.name}, and gather statistics: analyze.')


if __name__ == "__main__":
    main(run)
