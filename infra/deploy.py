#!/usr/bin/env python3
"""Deploys an environment, after `sam build`: deploy.py ENV.

The first deployment takes two steps. A database with deletion protection cannot be deleted, so a first deployment that
fails after creating it could not be rolled back. The protection is turned on when everything else exists.
"""

import sys

import boto3
from environment import Environment, Refused, main, stack_status


def deploy(environment, cloudformation):
    """Deploys an environment, in one step or two."""
    status = stack_status(cloudformation, environment.stack)
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"):
        raise Refused(f'{environment.stack} is in state {status}: see docs/deploying.md, "When a deployment fails"')
    protected = environment.says("DatabaseDeletionProtection") != "false" and environment.says("DatabaseUrlSecret") is None
    if status in (None, "REVIEW_IN_PROGRESS") and protected:
        environment.deploy(DatabaseDeletionProtection="false")
        print("Everything is deployed. Turning on the deletion protection of the database.", flush=True)
    environment.deploy()


if __name__ == "__main__":
    main(lambda: deploy(Environment(sys.argv[1]), boto3.client("cloudformation")))
