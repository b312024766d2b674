#!/usr/bin/env python3
"""Restores an environment as of a point in time into a second stack, after `sam build`:

    restore.py ENV TIME|latest [--as STACK] [--drill]

TIME is like 2026-11-26T12:00:00Z. Writes to the old stack are stopped first, except in a drill. The old stack remains.
"""

import argparse
import datetime
import time

import boto3
from environment import Database, Environment, Refused, main, next_name, stack_status, stamp
from render import functions


def moment(text):
    """A time given as text; None for the latest possible."""
    if text == "latest":
        return None
    try:
        given = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refused(f"{text} is not a time like 2026-11-26T12:00:00Z") from None
    if given.tzinfo is None:
        raise Refused(f"{text} has no time zone: append Z for UTC")
    return given


def stop_writes(client, stack):
    """Stops the writes to a stack. Reads continue."""
    for function in functions():
        if function["writes"]:
            client.put_function_concurrency(FunctionName=f"{stack}-{function['name']}", ReservedConcurrentExecutions=0)


def restore(environment, when, target, drill, clients):
    """Copies the database as of a point in time, takes a snapshot of the copy, deletes the copy, and deploys a stack from the snapshot."""
    source, target = environment.stack, target or next_name(environment.stack)
    if stack_status(clients["cloudformation"], target) is not None:
        raise Refused(f"stack {target} already exists: choose another name with INTO")
    database = Database(clients["rds"], source)
    name = f"{source}-restored-{stamp()}"
    if not drill:
        stop_writes(clients["lambda"], source)
        print(f"{source} no longer accepts writes.", flush=True)
    try:
        database.restore(name, when)
        print(f"{name} is a copy of the database of {source} as of that time.", flush=True)
        database.snapshot(name, of=name)
    finally:
        # Even if the snapshot failed, so that nothing that costs money is left.
        leave(database, name)
    # The next deployment of the environment, from samconfig.toml, turns on the deletion protection.
    environment.deploy(stack=target, DatabaseSnapshot=name, DatabaseDeletionProtection="false")
    return target, name


def leave(database, copy):
    """Deletes a copy, if there is one."""
    try:
        database.delete(copy)
    except database.rds.exceptions.ClientError as error:
        if "NotFound" not in error.response["Error"]["Code"]:
            raise


def said(environment, target, snapshot, drill):
    """What the operator has to do next."""
    if drill:
        return f"""This was a drill. When you have checked the new stack:
  aws cloudformation delete-stack --stack-name {target}
  aws rds delete-db-snapshot --db-snapshot-identifier {snapshot}"""
    return f"""{target} is deployed. In samconfig.toml, set for {environment.name}:
  stack_name = "{target}" and s3_prefix = "{target}", in deploy and in delete
  "DatabaseSnapshot={snapshot}" in parameter_overrides, for as long as that stack lives
Then make deploy ENV={environment.name}, switch callers to its ApiUrl, and delete {environment.stack} when it is no longer needed."""


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
