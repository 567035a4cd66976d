"""Deploys an installation: stacks, job script, tables and procedures, each only if it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xacct_assets.aws.cloudformation import StackEvent, StackResult, Stacks
from xacct_assets.aws.errors import AccessDenied, DeployFailed, SecretInvalid
from xacct_assets.aws.redshift.data_api import DataApi
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.secretsmanager import read_warehouse_credentials
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.job_libraries import libraries_zip
from xacct_assets.operations.deployment.retired import INSTALLATION_TAG, find_retired
from xacct_assets.operations.deployment.warehouse_sql import (
    SqlScript,
    apply_over_data_api,
    apply_over_wire,
)

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings

SqlRoute = Literal["wire", "data-api"]


class Deployment:
    """Deploys one installation.

    Args:
        settings: names of the installation.
        feeds: the feeds to deploy.
        root: the folder with infra/, glue/ and sql/.
        report: called with a line about each step.
        overrides: template parameters that take precedence over the settings.
    """

    def __init__(
        self,
        settings: Settings,
        feeds: Sequence[FeedSpec],
        root: Path,
        report: Callable[[str], None],
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._feeds = feeds
        self._root = root
        self._report = report
        self._overrides = dict(overrides or {})
        self._accounts = Accounts(settings)

    def run(self, *, sql_over: SqlRoute = "wire") -> bool:
        """Deploy everything.

        Args:
            sql_over: how SQL is sent to Redshift.

        Returns:
            Whether a stack, the job script or its libraries changed.

        Raises:
            AwsFailure: a step failed; names the step, the reason and the fix.
        """
        # Reads all files first: an error in one of them must not stop a deployment half-way.
        scripts = [
            SqlScript.read(path)
            for path in plan.scripts(self._root, self._feeds, self._settings.extra_feeds_dir)
        ]
        job_script = (self._root / "glue" / "load.py").read_bytes()
        libraries = libraries_zip(self._root / "glue")
        self._check_overrides()
        for account in plan.ACCOUNTS:
            arn = self._accounts.verify(account)
            self._report(f"account {account.upper()}: {arn}")
        self._name_retired_feeds()
        stack_b = self._deploy_stack(plan.account_b(self._settings, self._root))
        stack_a = self._deploy_stack(
            plan.account_a(self._settings, self._root, stack_b.outputs, self._feeds)
        )
        results = [stack_b, stack_a]
        # Uploaded before the feeds' stacks, whose Glue jobs refer to the script.
        uploaded = self._upload(job_script, libraries)
        for feed in self._feeds:
            results.append(
                self._deploy_stack(
                    plan.feed_stack(self._settings, self._root, feed, stack_b.outputs)
                )
            )
        self._apply_sql(scripts, sql_over)
        return uploaded or any(result.change != "up to date" for result in results)

    def _name_retired_feeds(self) -> None:
        client = self._accounts.sessions["b"].client("cloudformation")
        try:
            retired = find_retired(client, self._settings.suffix, self._feeds)
        except AccessDenied as denied:
            # Deploying needs no right to list stacks.
            self._report(f"feeds that left the settings were not looked for: {denied.what}")
            return
        for feed in retired:
            self._report(f"{feed.describe()}: {feed.retire_command}")

    def _check_overrides(self) -> None:
        names = ("account_a.yaml", "account_b.yaml", "feed.yaml")
        templates = [plan.template(self._root, name) for name in names]
        for key in self._overrides:
            if not any(plan.has_parameter(text, key) for text in templates):
                raise DeployFailed(
                    f"no template has a parameter {key}",
                    fix="see the Parameters of infra/*.yaml for the names",
                )

    def _deploy_stack(self, planned: plan.StackPlan) -> StackResult:
        planned = plan.with_overrides(planned, self._overrides)
        client = self._accounts.sessions[planned.account].client("cloudformation")
        stacks = Stacks(client, on_event=self._report_event)
        result = stacks.deploy(
            planned.name,
            planned.template,
            planned.parameters,
            tags={INSTALLATION_TAG: self._settings.suffix},
        )
        self._report(f"stack {planned.name} (account {planned.account.upper()}): {result.change}")
        return result

    def _report_event(self, event: StackEvent) -> None:
        if event.status.endswith("_IN_PROGRESS") and "ROLLBACK" not in event.status:
            return
        reason = f": {event.reason}" if event.reason and "FAILED" in event.status else ""
        self._report(f"  {event.resource} {event.status}{reason}")

    def _upload(self, job_script: bytes, libraries: bytes) -> bool:
        s3 = self._accounts.sessions["b"].client("s3")
        bucket = Bucket(s3, self._settings.processing_bucket, self._settings.account_b)
        any_uploaded = False
        for key, body in ((plan.SCRIPT_KEY, job_script), (plan.LIBRARIES_KEY, libraries)):
            uploaded = bucket.put_if_changed(key, body)
            any_uploaded = any_uploaded or uploaded
            self._report(f"{bucket.url(key)}: {'uploaded' if uploaded else 'up to date'}")
        return any_uploaded

    def _apply_sql(self, scripts: Sequence[SqlScript], route: SqlRoute) -> None:
        sessions = self._accounts.sessions["b"]
        secret = self._settings.redshift_secret
        read = partial(read_warehouse_credentials, sessions.client("secretsmanager"), secret)
        credentials = read()
        if route == "wire":
            apply_over_wire(scripts, self._feeds, Warehouse(read))
        elif credentials.secret_arn is not None and credentials.data_api_compatible:
            api = DataApi(
                sessions.client("redshift-data"),
                self._settings.workgroup,
                self._settings.database,
                credentials.secret_arn,
            )
            apply_over_data_api(scripts, self._feeds, api)
        else:
            raise SecretInvalid(
                f"the Data API cannot log in with {secret}",
                reason='it accepts only JSON with "username" and "password"',
                fix="deploy with --sql-over wire",
            )
        names = ", ".join(self._display_path(script.path) for script in scripts)
        self._report(f"SQL applied as {credentials.user} over {route}: {names}")

    def _display_path(self, path: Path) -> str:
        return str(path.relative_to(self._root) if path.is_relative_to(self._root) else path)
