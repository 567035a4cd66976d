"""Tries the claims of docs/aws-claims.md on two real AWS accounts: ``make test-aws``.

It shows what it makes and what that costs, asks, runs the tests and removes everything that they
made, also after a failure or an interrupt. ``--plan`` only shows.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conformance import cleanup, plan
from tests.conformance.conftest import GIVEN
from tests.conformance.target import FAMILY, Account, Target, new_prefix

FOLDER = "tests/conformance"
#: IAM's changes are seen "within seconds", and now and then after a minute.
PATIENCE, PAUSE = 180.0, 3.0


class Given:
    """The pytest plug-in that hands the accounts to ``conftest.py``."""

    def __init__(self, target: Target) -> None:
        self.target = target


class Refused(Exception):
    """The command cannot go on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    given = _parser().parse_args(arguments)
    print("Two AWS accounts would get, all of it named", f"{FAMILY}…, and all removed again:")
    print("\n".join(plan.lines()))
    if given.plan:
        return 0
    try:
        target = _target(given)
    except (Refused, BotoCoreError, ClientError) as problem:
        print(f"{problem}\nNothing was made.")
        return 2
    print(f"account A {target.a.id}, account B {target.b.id}, {target.region}, {target.prefix}-…")
    if given.clean_up:
        return _clean_up(target)
    if not given.yes and not _agreed():
        print("Nothing was made.")
        return 2
    # As an interrupt: what was made is removed then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = 1
    try:
        code = int(_tests(target, given.select))
    finally:
        left = _clean_up(target)
    used = ", ".join(f"{count} {what}" for what, count in sorted(target.spent.items()))
    print(f"used: {used or 'nothing that is billed by use'}")
    return code or left


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--plan", action="store_true", help="show plan and cost, make nothing")
    parser.add_argument("--profile-a", help="AWS profile of an administrator of account A")
    parser.add_argument("--profile-b", help="AWS profile of an administrator of account B")
    parser.add_argument("--region", default="us-east-1", help="of both accounts (us-east-1)")
    parser.add_argument("--subnets", help="of the workgroup, comma-separated; default VPC without")
    parser.add_argument("--security-groups", help="of the workgroup, comma-separated")
    parser.add_argument("--select", help="only tests whose names match, as pytest -k does")
    parser.add_argument("--clean-up", metavar="PREFIX", help="only remove what that run has left")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _target(given: argparse.Namespace) -> Target:
    if not given.profile_a or not given.profile_b:
        raise Refused("Name two AWS profiles: make test-aws PROFILE_A=central PROFILE_B=processing")
    if given.clean_up and not given.clean_up.startswith(FAMILY):
        raise Refused(f"--clean-up removes runs of these tests only: {FAMILY}…")
    a, b = (_account(profile, given.region) for profile in (given.profile_a, given.profile_b))
    if a.id == b.id:
        raise Refused(f"Both profiles are of account {a.id}; the claims need two accounts.")
    options = {}
    if given.subnets:
        options["subnetIds"] = given.subnets.split(",")
    if given.security_groups:
        options["securityGroupIds"] = given.security_groups.split(",")
    return Target(
        a=a,
        b=b,
        region=given.region,
        prefix=given.clean_up or new_prefix(),
        patience=PATIENCE,
        pause=PAUSE,
        workgroup_options=options,
    )


def _account(profile: str, region: str) -> Account:
    session = boto3.Session(profile_name=profile, region_name=region)
    # Now, because pytest's configuration of this repository forgets the shell's AWS settings.
    return Account(session.client("sts").get_caller_identity()["Account"], session)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("Without a terminal, --yes agrees to this.")
        return False
    return input("Make all this? [y/N] ").strip().lower() == "y"


def _tests(target: Target, select: str | None) -> int:
    options = ["-q", "--timeout=3600", *(["-k", select] if select else [])]

    class Plugin:
        @staticmethod
        def pytest_configure(config: pytest.Config) -> None:
            config.pluginmanager.register(Given(target), GIVEN)

    return pytest.main([FOLDER, *options], plugins=[Plugin()])


def _clean_up(target: Target) -> int:
    print(f"Removing everything that is named {target.prefix}-…")
    left = cleanup.remove_everything(target)
    if not left:
        print("Nothing is left.")
        return 0
    print("Left, remove it again with", f"--clean-up {target.prefix}:")
    print("\n".join(f"  {item}" for item in left))
    return 1


if __name__ == "__main__":
    sys.exit(main())
