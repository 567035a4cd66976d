"""Deploys an installation: stacks, job script, tables and procedures, each only if it changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xacct_assets.aws.errors import AccessDenied, DeployFailed
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.feed.sql_files.folder import sql_folder
from xacct_assets.feed.sql_files.migrations import read_migrations
from xacct_assets.operations.deployment import plan, stack_list
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.adoption import Adoption
from xacct_assets.operations.deployment.changes import PlannedStack, describe, refuse_data_loss
from xacct_assets.operations.deployment.deployed_stacks import DeployedStacks
from xacct_assets.operations.deployment.job_files import JobFiles
from xacct_assets.operations.deployment.job_libraries import libraries_zip
from xacct_assets.operations.deployment.network import require_one_network
from xacct_assets.operations.deployment.plan import NOTHING_ADOPTED
from xacct_assets.operations.deployment.retired import find_retired
from xacct_assets.operations.deployment.stack_walk import StackWalk
from xacct_assets.operations.deployment.warehouse_setup import SqlRoute, WarehouseSetup
from xacct_assets.operations.deployment.warehouse_sql import SqlScript

if TYPE_CHECKING:
    from xacct_assets.aws.stack_changes import StackResult
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.feed.sql_files.migrations import Migration
    from xacct_assets.operations.deployment.plan import Account
    from xacct_assets.operations.deployment.stack_list import StackEntry
    from xacct_assets.settings import Settings

Outcome = Literal["deployed", "up to date", "declined"]


class Deployment:
    """Deploys one installation.

    All changes are planned and shown, and agreed to, before the first is made. Where stacks do not
    exist yet, those that need their outputs are planned once they do.

    Args:
        settings: names of the installation.
        feeds: the feeds to deploy.
        root: the folder with infra/, glue/ and sql/.
        report: called with a line about each step.
        agree: asked a question before anything is changed.
        overrides: template parameters that take precedence over the settings.
        allowed_losses: names of namespaces, buckets and secrets that may be replaced or deleted.
    """

    def __init__(
        self,
        settings: Settings,
        feeds: Sequence[FeedSpec],
        root: Path,
        report: Callable[[str], None],
        agree: Callable[[str], bool],
        *,
        overrides: Mapping[str, str] | None = None,
        allowed_losses: Collection[str] = (),
    ) -> None:
        self._settings = settings
        self._feeds = feeds
        self._root = root
        self._report = report
        self._agree = agree
        self._overrides = dict(overrides or {})
        self._allowed_losses = frozenset(allowed_losses)
        self._accounts = Accounts(settings)
        self._adoption = Adoption(settings, self._accounts, report)
        self._stacks = DeployedStacks(settings, self._accounts, report, self._overrides)
        self._changed = False

    def run(
        self, *, sql_over: SqlRoute = "wire", accounts: Sequence[Account] = plan.ACCOUNTS
    ) -> Outcome:
        """Deploy everything, or the part of one account.

        Args:
            sql_over: how SQL is sent to Redshift.
            accounts: which accounts are deployed. Account B needs no rights in A; account A's
                stack is made from the outputs of B's.

        Returns:
            Whether a stack, the job script or its libraries changed, or the changes were declined.

        Raises:
            AwsFailure: a step failed; names the step, the reason and the fix.
        """
        # Reads all files first: an error in one of them must not stop a deployment half-way.
        scripts = [
            SqlScript.read(path)
            for path in plan.scripts(self._root, self._feeds, self._settings.extra_feeds_dir)
        ]
        migrations = self._read_migrations()
        job_script = (self._root / "glue" / "load.py").read_bytes()
        libraries = libraries_zip(self._root / "glue")
        self._check_overrides()
        for account in accounts:
            arn = self._accounts.verify(account)
            self._report(f"account {account.upper()}: {arn}")
            self._adoption.require_names(account)
        if "b" in accounts:
            require_one_network(self._settings, self._accounts.sessions["b"], self._overrides)
        if "b" in accounts and "processing-bucket" in self._settings.adopted:
            self._job_files.require_free()
        warehouse = WarehouseSetup(
            self._settings, self._accounts.sessions["b"], sql_over, self._report
        )
        with closing(self._stacks):
            if not self._make_stacks(accounts, warehouse, job_script, libraries):
                return "declined"
            if "b" in accounts:
                records = self._migrate(warehouse, migrations)
                if records is None:
                    return "declined"
                warehouse.apply([*scripts, *records], self._feeds, self._display_path)
        return "deployed" if self._changed else "up to date"

    def _make_stacks(
        self,
        accounts: Sequence[Account],
        warehouse: WarehouseSetup,
        job_script: bytes,
        libraries: bytes,
    ) -> bool:
        """Make the stacks, and what belongs to each; False if the changes were declined."""
        adopted = NOTHING_ADOPTED
        if "b" in accounts:
            self._name_retired_feeds()
            adopted = self._adoption.find()
        every = stack_list.entries(self._settings, self._root, self._feeds, adopted)

        def make(entry: StackEntry, planned: PlannedStack) -> StackResult:
            result = self._execute(planned)
            if entry.key == stack_list.ACCOUNT_B:
                self._adoption.join_warehouse(adopted, result.outputs)
                warehouse.make_user(secret_is_new=result.change == "created")
                # Before the feeds' stacks, whose Glue jobs refer to the script.
                self._upload(job_script, libraries)
            elif entry.key == stack_list.ACCOUNT_A:
                for left in self._adoption.join_buckets(planned.plan, self._feeds):
                    self._report(left)
            return result

        walk = StackWalk(
            [entry for entry in every if entry.account in accounts],
            self._stacks.outputs(every),
            self._stacks,
            self._report,
            self._agreed,
        )
        return walk.run(make)

    def _read_migrations(self) -> dict[str, list[Migration]]:
        """The migrations of each feed, by its name."""
        extra = self._settings.extra_feeds_dir
        return {
            feed.name: read_migrations(feed.name, sql_folder(feed.name, self._root, extra))
            for feed in self._feeds
        }

    def _migrate(
        self, warehouse: WarehouseSetup, migrations: Mapping[str, Sequence[Migration]]
    ) -> list[SqlScript] | None:
        """Ask about the migrations of tables that are there, and apply them.

        Returns:
            The records of those of tables that are not there yet; None if it was declined.
        """
        if not any(migrations.values()):
            return []
        shared = [SqlScript.read(path) for path in plan.shared_scripts(self._root)]
        pending = warehouse.pending_migrations(self._feeds, migrations, shared)
        for line in pending.describe():
            self._report(line)
        if pending.apply and not self._agree("Apply these migrations to the tables?"):
            return None
        warehouse.migrate(pending)
        self._changed |= bool(pending.apply)
        return [pending.records()] if pending.record else []

    def _execute(self, planned: PlannedStack) -> StackResult:
        result = self._stacks.execute(planned)
        self._changed |= result.change != "up to date"
        return result

    def _agreed(self, stacks: Sequence[PlannedStack], *, asked_for_new: bool) -> bool:
        """Show the changes, and ask whether to make them.

        Args:
            stacks: the planned stacks.
            asked_for_new: whether a question about new stacks was answered with yes.

        Raises:
            DeployFailed: data would be lost that no flag names.
        """
        for planned in stacks:
            for line in describe(planned):
                self._report(line)
        refuse_data_loss(stacks, self._allowed_losses)
        to_ask = [
            planned.changes
            for planned in stacks
            if planned.changes.id is not None and not (asked_for_new and planned.changes.new)
        ]
        return not to_ask or self._agree("Make these changes?")

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
        templates = [
            path.read_text(encoding="utf-8") for path in (self._root / "infra").glob("*.yaml")
        ]
        for key in self._overrides:
            if not any(plan.has_parameter(text, key) for text in templates):
                raise DeployFailed(
                    f"no template has a parameter {key}",
                    fix="see the Parameters of infra/*.yaml for the names",
                )

    @property
    def _job_files(self) -> JobFiles:
        s3 = self._accounts.sessions["b"].client("s3")
        bucket = Bucket(s3, self._settings.processing_bucket, self._settings.account_b)
        return JobFiles(bucket, self._settings.suffix)

    def _upload(self, job_script: bytes, libraries: bytes) -> None:
        for url, uploaded in self._job_files.upload(job_script, libraries).items():
            self._changed |= uploaded
            self._report(f"{url}: {'uploaded' if uploaded else 'up to date'}")

    def _display_path(self, path: Path) -> str:
        return str(path.relative_to(self._root) if path.is_relative_to(self._root) else path)
