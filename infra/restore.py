#!/usr/bin/env python3
"""Restores an environment as of a point in time into a second stack, after `sam build`:

    restore.py ENV TIME|latest [--as STACK] [--drill]

TIME is like 2026-11-26T12:00:00Z. Writes to the old stack are stopped first, except in a drill, and allowed again if there is
no snapshot to deploy from. The old stack remains.
"""

import argparse
import contextlib
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


def check_restorable(database, when):
    """Refuses a time that the database cannot be restored to."""
    window = database.restorable()
    if window is None:
        raise Refused(f"{database.name} has no automated backup that it could be restored from")
    if when is not None and not window[0] <= when <= window[1]:
        earliest, latest, given = (time.astimezone(datetime.timezone.utc).strftime("%FT%TZ") for time in (*window, when))
        raise Refused(f"{database.name} can be restored to a time from {earliest} to {latest}, not to {given}")


class Writes:
    """The writes to a stack, which its functions' reserved concurrency stops and allows."""

    def __init__(self, client, stack):
        self.client, self.before = client, {}
        for function in functions():
            if function["writes"]:
                name = f"{stack}-{function['name']}"
                self.before[name] = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")

    def stop(self):
        """Stops them. Reads continue, except those of records, which are in the same function as their writes."""
        for name in self.before:
            self.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)

    def allow(self):
        """Allows them again: gives each function the concurrency that it had."""
        for name, reserved in self.before.items():
            if reserved is None:
                self.client.delete_function_concurrency(FunctionName=name)
            else:
                self.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)

    def commands(self):
        """The commands that allow them again."""
        for name, reserved in self.before.items():
            if reserved is None:
                yield f"aws lambda delete-function-concurrency --function-name {name}"
            else:
                yield f"aws lambda put-function-concurrency --function-name {name} --reserved-concurrent-executions {reserved}"


@contextlib.contextmanager
def stopped(writes):
    """Stops writes, and allows them again if what follows fails."""
    # Printed first: they are needed if this program is killed, or may not allow the writes again.
    print("To allow writes to the old stack again:", *writes.commands(), sep="\n  ", flush=True)
    try:
        writes.stop()
        print("Writes are stopped.", flush=True)
        yield
    except BaseException:
        writes.allow()
        print("Writes are allowed again.", flush=True)
        raise


def snapshot_as_of(database, when):
    """Copies a database as of a point in time, takes a snapshot of the copy, and deletes the copy. Returns the snapshot's name."""
    name = f"{database.name}-restored-{stamp()}"
    try:
        database.restore(name, when)
        print(f"{name} is a copy of the database of {database.name} as of that time.", flush=True)
        database.snapshot(name, of=name)
    finally:
        # Even if the snapshot failed, so that nothing that costs money is left.
        leave(database, name)
    return name


def restore(environment, when, target, drill, clients):
    """Stops writes, takes a snapshot of the database as of a point in time, and deploys a stack from it."""
    source, target = environment.stack, target or next_name(environment.stack)
    if stack_status(clients["cloudformation"], target) is not None:
        raise Refused(f"stack {target} already exists: choose another name with INTO")
    database = Database(clients["rds"], source)
    check_restorable(database, when)
    with contextlib.nullcontext() if drill else stopped(Writes(clients["lambda"], source)):
        name = snapshot_as_of(database, when)
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
