"""`xacct doctor`: checks every connection and resource between this machine and an export.

Checks only read. They run with the credentials of the environment, as the orchestrator does: a
check that passes here passes in a run. Checks whose prerequisite failed are reported as skipped,
as are those of a feed that is not deployed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.feed.deployment import FeedNotDeployed, naming_what_is_not_deployed
from xacct_assets.operations import adopted_checks, doctor_checks

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

Outcome = Literal["ok", "warn", "FAIL", "skipped"]
Check = Callable[[], str | doctor_checks.Caution]
FeedCheck = Callable[["AwsClients", "FeedSpec"], str | doctor_checks.Caution]

CREDENTIALS = "credentials"
REDSHIFT_SECRET = "login for Redshift"  # noqa: S105 -- the name of a check
REDSHIFT_NETWORK = "network path and TLS to Redshift"
REDSHIFT_LOGIN = "login to Redshift"
DEPLOYMENT = "deployment"


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
        deployed: name of a check -> the check of its feed's deployment: it is skipped if that
            found the feed not deployed.
        prerequisite: the check that must have passed; None if there is none.
        skipped_as: name under which the group is reported as skipped; None if a later group's
            skip covers it.
        skip_reason: what the prerequisite's failure means for the group.
    """

    checks: Mapping[str, Check]
    deployed: Mapping[str, str] = field(default_factory=dict)
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
        self._undeployed: set[str] = set()

    def run(self) -> list[Finding]:
        """Run all checks in order; their findings."""
        settings = self._aws.settings
        accounts = f"accounts {settings.account_a} and {settings.account_b}"
        self._add(
            Finding("settings", "ok", f"{accounts}, {settings.region}, suffix {settings.suffix}")
        )
        for group in self._groups():
            if group.prerequisite is None or group.prerequisite in self._passed:
                for name, check in group.checks.items():
                    if group.deployed.get(name) in self._undeployed:
                        self._add(Finding(name, "skipped", "the feed is not deployed"))
                    else:
                        self._run_check(name, check)
            elif group.skipped_as is not None:
                self._add(Finding(group.skipped_as, "skipped", group.skip_reason))
        return self._findings

    def _groups(self) -> list[CheckGroup]:
        return [*self._account_groups(), *self._redshift_groups(), self._service_group()]

    def _account_groups(self) -> list[CheckGroup]:
        aws = self._aws
        return [
            CheckGroup(self._per_feed({"SQL files": doctor_checks.sql_files})),
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
            CheckGroup(
                {
                    **self._per_feed({DEPLOYMENT: doctor_checks.deployment}),
                    "retired feeds": partial(doctor_checks.retired_feeds, aws, self._feeds),
                },
                prerequisite=CREDENTIALS,
                skipped_as="deployment of the feeds",
                skip_reason="no usable credentials",
            ),
            CheckGroup(
                {
                    name: partial(adopted_checks.adopted_bucket, aws.settings, access)
                    for name, access in adopted_checks.needs_of_buckets(
                        aws.settings, self._feeds
                    ).items()
                }
            ),
        ]

    def _redshift_groups(self) -> list[CheckGroup]:
        aws = self._aws
        tables = self._per_feed({"tables and procedure": doctor_checks.tables_and_procedure})
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
                tables,
                deployed=self._of_deployed_feeds(tables),
                prerequisite=REDSHIFT_LOGIN,
                skipped_as="tables and procedures",
                skip_reason="no connection or no login to Redshift",
            ),
        ]

    def _service_group(self) -> CheckGroup:
        aws = self._aws
        glue = self._per_feed(
            {
                "crawler": doctor_checks.crawler,
                "Glue job": doctor_checks.glue_job,
                "catalog database": doctor_checks.catalog_database,
            }
        )
        return CheckGroup(
            {
                "Data API": partial(doctor_checks.data_api, aws),
                **glue,
                "role chain of UNLOAD": partial(doctor_checks.unload_role_chain, aws),
            },
            deployed=self._of_deployed_feeds(glue),
            prerequisite=CREDENTIALS,
            skipped_as="Data API, Glue",
            skip_reason="no usable credentials",
        )

    def _per_feed(self, checks: Mapping[str, FeedCheck]) -> dict[str, Check]:
        return {
            f"{feed.name}: {name}": partial(self._check_feed, check, feed)
            for feed in self._feeds
            for name, check in checks.items()
        }

    def _check_feed(self, check: FeedCheck, feed: FeedSpec) -> str | doctor_checks.Caution:
        with naming_what_is_not_deployed(feed, self._aws):
            return check(self._aws, feed)

    @staticmethod
    def _of_deployed_feeds(checks: Mapping[str, Check]) -> dict[str, str]:
        """For each check of a feed, the check of the feed's deployment."""
        return {name: f"{name.partition(':')[0]}: {DEPLOYMENT}" for name in checks}

    def _run_check(self, name: str, check: Check) -> None:
        started = time.monotonic()
        try:
            found = check()
        except AwsFailure as failure:
            if isinstance(failure, FeedNotDeployed):
                self._undeployed.add(name)
            detail = failure.what + (f": {failure.reason}" if failure.reason else "")
            if failure.principal:
                detail += f" (principal: {failure.principal})"
            self._add(Finding(name, "FAIL", detail, failure.fix, time.monotonic() - started))
            return
        self._passed.add(name)
        seconds = time.monotonic() - started
        if isinstance(found, doctor_checks.Caution):
            self._add(Finding(name, "warn", found.detail, found.fix, seconds))
        else:
            self._add(Finding(name, "ok", found, None, seconds))

    def _add(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._report(finding)
