#!/usr/bin/env python3
"""Deploys an environment, after `sam build`: deploy.py ENV.

The first deployment is two. With its protection on, a database cannot be deleted, and a first deployment that fails after
it was made could not be taken back. So it is turned on when all the rest is there.
"""

import sys

import boto3
from environment import Environment, Refused, main, stack_status


def deploy(environment, cloudformation):
    """Deploys it, once or twice."""
    status = stack_status(cloudformation, environment.stack)
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"):
        raise Refused(f'{environment.stack} is in {status}: docs/deploying.md, "When a deployment fails"')
    protected = environment.says("DatabaseDeletionProtection") != "false" and environment.says("DatabaseUrlSecret") is None
    if status in (None, "REVIEW_IN_PROGRESS") and protected:
        environment.deploy(DatabaseDeletionProtection="false")
        print("All is there; now the database is protected from being deleted.", flush=True)
    environment.deploy()


if __name__ == "__main__":
    main(lambda: deploy(Environment(sys.argv[1]), boto3.client("cloudformation")))
