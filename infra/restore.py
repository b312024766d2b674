#!/usr/bin/env python3
"""Brings an environment back to a moment, into a stack beside it, after `sam build`:

    restore.py ENV TIME|latest [--as STACK] [--drill]

TIME is like 2026-11-26T12:00:00Z. Writes to the old stack end first, unless it is a drill. The old stack stays as it is.
"""

import argparse
import datetime
import time

import boto3
from environment import Database, Environment, Refused, main, next_name, stack_status, stamp

WRITERS = ("add", "update", "delete")


def moment(text):
    """A time as it is given, in UTC; None for the latest that there is."""
    if text == "latest":
        return None
    try:
        given = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refused(f"{text} is no time like 2026-11-26T12:00:00Z") from None
    if given.tzinfo is None:
        raise Refused(f"{text} does not say its zone: end it with Z for UTC")
    return given


def stop_writes(client, stack):
    """Lets nobody write to a stack any more. Reads go on."""
    for function in WRITERS:
        client.put_function_concurrency(FunctionName=f"{stack}-{function}", ReservedConcurrentExecutions=0)


def restore(environment, when, target, drill, clients):
    """Copies the database as it was, takes a snapshot of the copy, deletes that, and deploys a stack from the snapshot."""
    source, target = environment.stack, target or next_name(environment.stack)
    if stack_status(clients["cloudformation"], target) is not None:
        raise Refused(f"there is a stack {target} already: say another with INTO")
    database = Database(clients["rds"], source)
    name = f"{source}-restored-{stamp()}"
    if not drill:
        stop_writes(clients["lambda"], source)
        print(f"{source} takes no writes any more.", flush=True)
    try:
        database.restore(name, when)
        print(f"{name} is {source} as it was.", flush=True)
        database.snapshot(name, of=name)
    finally:
        # Also where the snapshot failed: nothing is left that costs.
        leave(database, name)
    # Unprotected until it is the environment's own: samconfig.toml then protects it.
    environment.deploy(stack=target, DatabaseSnapshot=name, DatabaseDeletionProtection="false")
    return target, name


def leave(database, copy):
    """Deletes a copy if it was made."""
    try:
        database.delete(copy)
    except database.rds.exceptions.ClientError as error:
        if "NotFound" not in error.response["Error"]["Code"]:
            raise


def said(environment, target, snapshot, drill):
    """What is left for people to do."""
    if drill:
        return f"""It was a drill. When you have looked at it:
  aws cloudformation delete-stack --stack-name {target}
  aws rds delete-db-snapshot --db-snapshot-identifier {snapshot}"""
    return f"""{target} is there. In samconfig.toml, for {environment.name}:
  stack_name = "{target}", and the same as s3_prefix, in deploy and in delete
  parameter_overrides: "DatabaseSnapshot={snapshot}", for as long as that stack lives
Then make deploy ENV={environment.name}, lead callers to its ApiUrl, and delete {environment.stack} when it is missed no more."""


def run():
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment")
    parser.add_argument("time")
    parser.add_argument("--as", dest="target", default="")
    parser.add_argument("--drill", action="store_true")
    given, begun = parser.parse_args(), time.monotonic()
    environment = Environment(given.environment)
    clients = {name: boto3.client(name) for name in ("rds", "lambda", "cloudformation")}
    made = restore(environment, moment(given.time), given.target, given.drill, clients)
    print(f"It took {(time.monotonic() - begun) / 60:.0f} minutes.", said(environment, *made, given.drill), sep="\n")


if __name__ == "__main__":
    main(run)
