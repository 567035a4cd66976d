"""`xacct deploy`: stacks, script, tables and procedures, each only where something changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.aws.cloudformation import StackEvent, StackResult, Stacks
from xacct_assets.aws.errors import DeployFailed, SecretInvalid, StatementFailed
from xacct_assets.aws.redshift.data_api import MAX_BATCH, DataApi
from xacct_assets.aws.redshift.database_errors import database_errors
from xacct_assets.aws.redshift.sql import qualified, split_statements
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.secretsmanager import read_warehouse_credentials
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.spec import LOADED_AT_COLUMN, FeedSpec
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.job_libraries import libraries_zip

if TYPE_CHECKING:
    from xacct_assets.settings import Settings

Route = Literal["wire", "data-api"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Script:
    """One SQL file and its statements."""

    path: Path
    statements: list[str]


class Deployment:
    """Deploys one installation.

    Args:
        settings: names of the installation.
        feeds: the feeds to deploy.
        root: the checkout with infra/, glue/ and sql/.
        say: told what is being done, a line at a time.
        overrides: template parameters that have precedence over the settings.
    """

    def __init__(
        self,
        settings: Settings,
        feeds: Sequence[FeedSpec],
        root: Path,
        say: Say,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._feeds = feeds
        self._root = root
        self._say = say
        self._overrides = dict(overrides or {})
        self._accounts = Accounts(settings)

    def run(self, *, sql_over: Route = "wire") -> bool:
        """Deploy everything; True if anything was changed.

        Raises:
            AwsFailure: naming the step, the reason and the fix.
        """
        # Read all files first: a mistake in one of them must not stop a deployment half-way.
        scripts = [
            Script(path, _statements(path))
            for path in plan.scripts(self._root, self._feeds, self._settings.extra_feeds_dir)
        ]
        job_script = (self._root / "glue" / "load.py").read_bytes()
        libraries = libraries_zip(self._root / "glue")
        self._check_overrides()
        for account in ("a", "b"):
            arn = self._accounts.prove(account)  # type: ignore[arg-type]
            self._say(f"account {account.upper()}: {arn}")
        stack_b = self._stack(plan.account_b(self._settings, self._root))
        stack_a = self._stack(
            plan.account_a(self._settings, self._root, stack_b.outputs, self._feeds)
        )
        results = [stack_b, stack_a]
        # The job's definition names the script, so it is put there first.
        uploaded = self._upload(job_script, libraries)
        for feed in self._feeds:
            results.append(
                self._stack(plan.feed_stack(self._settings, self._root, feed, stack_b.outputs))
            )
        self._apply_sql(scripts, sql_over)
        return uploaded or any(result.change != "up to date" for result in results)

    def _check_overrides(self) -> None:
        names = ("account_a.yaml", "account_b.yaml", "feed.yaml")
        templates = [plan.template(self._root, name) for name in names]
        for key in self._overrides:
            if not any(plan.has_parameter(text, key) for text in templates):
                raise DeployFailed(
                    f"no template has a parameter {key}",
                    fix="see the Parameters of infra/*.yaml for the names",
                )

    def _stack(self, planned: plan.StackPlan) -> StackResult:
        planned = plan.with_overrides(planned, self._overrides)
        client = self._accounts.sessions[planned.account].client("cloudformation")
        stacks = Stacks(client, on_event=self._show)
        result = stacks.deploy(
            planned.name,
            planned.template,
            planned.parameters,
            tags={"xacct": self._settings.suffix},
        )
        self._say(f"stack {planned.name} (account {planned.account.upper()}): {result.change}")
        return result

    def _show(self, event: StackEvent) -> None:
        if event.status.endswith("_IN_PROGRESS") and "ROLLBACK" not in event.status:
            return
        reason = f": {event.reason}" if event.reason and "FAILED" in event.status else ""
        self._say(f"  {event.resource} {event.status}{reason}")

    def _upload(self, job_script: bytes, libraries: bytes) -> bool:
        s3 = self._accounts.sessions["b"].client("s3")
        bucket = Bucket(s3, self._settings.processing_bucket, self._settings.account_b)
        changed = False
        for key, body in ((plan.SCRIPT_KEY, job_script), (plan.LIBRARIES_KEY, libraries)):
            uploaded = bucket.put_if_changed(key, body)
            changed = changed or uploaded
            self._say(f"{bucket.url(key)}: {'uploaded' if uploaded else 'up to date'}")
        return changed

    def _apply_sql(self, scripts: Sequence[Script], route: Route) -> None:
        sessions = self._accounts.sessions["b"]
        secret = self._settings.redshift_secret
        credentials = read_warehouse_credentials(sessions.client("secretsmanager"), secret)
        if route == "data-api":
            if not credentials.data_api_compatible:
                raise SecretInvalid(
                    f"the Data API cannot log in with {secret}",
                    reason='it takes only JSON with "username" and "password"',
                    fix="deploy with --sql-over wire",
                )
            self._apply_over_data_api(scripts, sessions.client("redshift-data"), credentials)
        else:
            self._apply_over_wire(scripts, Warehouse(lambda: credentials))
        names = ", ".join(self._told(script.path) for script in scripts)
        self._say(f"SQL applied as {credentials.user} over {route}: {names}")

    def _told(self, path: Path) -> str:
        inside = path.is_relative_to(self._root)
        return str(path.relative_to(self._root) if inside else path)

    def _apply_over_wire(self, scripts: Sequence[Script], warehouse: Warehouse) -> None:
        def apply(connection: Any) -> None:
            with connection.cursor() as cursor:
                for script in scripts:
                    for number, sql in enumerate(script.statements, 1):
                        about = f"statement {number} of {script.path}"
                        with database_errors("the wire", statement=about):
                            cursor.execute(sql)
                for feed in self._feeds:
                    for table, columns in _tables(feed).items():
                        cursor.execute(f"SELECT * FROM {qualified(table)} LIMIT 0")  # noqa: S608
                        names = [c[0] for c in cursor.description]
                        _require_columns(feed, table, columns, [_text(name) for name in names])

        warehouse.transaction(apply, idempotent=True)

    def _apply_over_data_api(
        self, scripts: Sequence[Script], client: Any, credentials: Any
    ) -> None:
        api = DataApi(
            client, self._settings.workgroup, self._settings.database, credentials.secret_arn
        )
        for script in scripts:
            for start in range(0, len(script.statements), MAX_BATCH):
                api.batch(script.statements[start : start + MAX_BATCH], name=script.path.name)
        for feed in self._feeds:
            for table, columns in _tables(feed).items():
                schema, _, name = table.rpartition(".")
                found = api.execute(
                    "SELECT column_name FROM information_schema.columns "
                    "WHERE table_schema = :schema AND table_name = :name "
                    "ORDER BY ordinal_position",
                    {"schema": schema or "public", "name": name},
                    name=f"columns of {table}",
                )
                _require_columns(feed, table, columns, [row["column_name"] for row in found.rows])


def _statements(path: Path) -> list[str]:
    try:
        return split_statements(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DeployFailed(f"{path} cannot be read as SQL", reason=str(error)) from error


def _tables(feed: FeedSpec) -> dict[str, list[str]]:
    """The columns that the pipeline expects of the feed's tables, in any order."""
    staging = [*feed.column_names(), PARTITION_COLUMN]
    return {
        feed.warehouse.staging: staging,
        feed.warehouse.fact: [*staging, LOADED_AT_COLUMN],
    }


def _require_columns(feed: FeedSpec, table: str, expected: list[str], actual: list[str]) -> None:
    missing = [name for name in expected if name not in actual]
    if missing:
        raise StatementFailed(
            f"table {table} is not what feed {feed.name} needs",
            reason=f"it has no column {', '.join(missing)}; CREATE TABLE IF NOT EXISTS leaves a "
            "table alone that is there already",
            fix=f"ALTER TABLE {table} ADD COLUMN …, or drop it if it can be loaded again",
        )


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
