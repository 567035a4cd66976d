"""`xacct doctor`: checks every connection and resource between this machine and an export.

Checks only read. They run with the credentials of the environment, as the orchestrator does: a
check that passes here passes in a run. Checks whose prerequisite failed are reported as skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.operations import doctor_checks

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

Outcome = Literal["ok", "FAIL", "skipped"]
Check = Callable[[], str]
FeedCheck = Callable[["AwsClients", "FeedSpec"], str]

CREDENTIALS = "credentials"
REDSHIFT_SECRET = "login for Redshift"  # noqa: S105 -- the name of a check
REDSHIFT_NETWORK = "network path and TLS to Redshift"
REDSHIFT_LOGIN = "login to Redshift"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        detail: what was found, or what is wrong.
        fix: what to do if something is wrong.
        seconds: duration of the check.
    """

    check: str
    outcome: Outcome
    detail: str
    fix: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class CheckGroup:
    """Checks with a common prerequisite.

    Attributes:
        checks: name -> check; a check returns what it found or raises `AwsFailure`.
        prerequisite: the check that must have passed; None if there is none.
        skipped_as: name under which the group is reported as skipped; None if a later group's
            skip covers it.
        skip_reason: what the prerequisite's failure means for the group.
    """

    checks: dict[str, Check]
    prerequisite: str | None = None
    skipped_as: str | None = None
    skip_reason: str = ""


class Doctor:
    """Checks one installation.

    Args:
        aws: the pipeline's clients.
        feeds: the feeds to check.
        report: called with each finding as soon as there is one.
    """

    def __init__(
        self, aws: AwsClients, feeds: Sequence[FeedSpec], report: Callable[[Finding], None]
    ) -> None:
        self._aws = aws
        self._feeds = feeds
        self._report = report
        self._findings: list[Finding] = []
        self._passed: set[str] = set()

    def run(self) -> list[Finding]:
        """Run all checks in order; their findings."""
        for group in self._groups():
            if group.prerequisite is None or group.prerequisite in self._passed:
                for name, check in group.checks.items():
                    self._run_check(name, check)
            elif group.skipped_as is not None:
                self._add(Finding(group.skipped_as, "skipped", group.skip_reason))
        return self._findings

    def _groups(self) -> list[CheckGroup]:
        return [*self._account_groups(), *self._redshift_groups(), self._service_group()]

    def _account_groups(self) -> list[CheckGroup]:
        aws = self._aws
        return [
            CheckGroup({CREDENTIALS: partial(doctor_checks.credentials, aws)}),
            CheckGroup(
                {
                    **self._per_feed(
                        {
                            "raw files in A": doctor_checks.raw_files,
                            "exports in A": doctor_checks.exports,
                        }
                    ),
                    "working bucket in B": partial(doctor_checks.working_bucket, aws),
                },
                prerequisite=CREDENTIALS,
                skipped_as="S3 in both accounts",
                skip_reason="no usable credentials",
            ),
        ]

    def _redshift_groups(self) -> list[CheckGroup]:
        aws = self._aws
        return [
            CheckGroup({REDSHIFT_SECRET: partial(doctor_checks.redshift_secret, aws)}),
            CheckGroup(
                {REDSHIFT_NETWORK: partial(doctor_checks.redshift_network, aws)},
                prerequisite=REDSHIFT_SECRET,
                skipped_as=REDSHIFT_NETWORK,
                skip_reason="no login was found",
            ),
            CheckGroup(
                {REDSHIFT_LOGIN: partial(doctor_checks.redshift_login, aws)},
                prerequisite=REDSHIFT_NETWORK,
            ),
            CheckGroup(
                self._per_feed({"tables and procedure": doctor_checks.tables_and_procedure}),
                prerequisite=REDSHIFT_LOGIN,
                skipped_as="tables and procedures",
                skip_reason="no connection or no login to Redshift",
            ),
        ]

    def _service_group(self) -> CheckGroup:
        aws = self._aws
        return CheckGroup(
            {
                "Data API": partial(doctor_checks.data_api, aws),
                **self._per_feed(
                    {
                        "crawler": doctor_checks.crawler,
                        "Glue job": doctor_checks.glue_job,
                        "catalog database": doctor_checks.catalog_database,
                    }
                ),
                "role chain of UNLOAD": partial(doctor_checks.unload_role_chain, aws),
            },
            prerequisite=CREDENTIALS,
            skipped_as="Data API, Glue",
            skip_reason="no usable credentials",
        )

    def _per_feed(self, checks: dict[str, FeedCheck]) -> dict[str, Check]:
        return {
            f"{feed.name}: {name}": partial(check, self._aws, feed)
            for feed in self._feeds
            for name, check in checks.items()
        }

    def _run_check(self, name: str, check: Check) -> None:
        started = time.monotonic()
        try:
            detail = check()
        except AwsFailure as failure:
            detail = failure.what + (f": {failure.reason}" if failure.reason else "")
            if failure.principal:
                detail += f" (principal: {failure.principal})"
            self._add(Finding(name, "FAIL", detail, failure.fix, time.monotonic() - started))
        else:
            self._passed.add(name)
            self._add(Finding(name, "ok", detail, None, time.monotonic() - started))

    def _add(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._report(finding)
