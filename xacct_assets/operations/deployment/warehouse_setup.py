"""Which login makes tables and users in Redshift, and whom the pipeline logs in as.

- The admin: the secret of XACCT_ADMIN_SECRET; else, of a namespace made here, the secret that
  Redshift keeps for its admin.
- The pipeline's user: that of the Redshift secret. It is made here, unless the secret and the
  namespace are both adopted: then it is the owner's, and without an admin it makes the tables too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xacct_assets.aws.errors import LoginFailed, SecretInvalid
from xacct_assets.aws.redshift.data_api import DataApi
from xacct_assets.aws.redshift.serverless import Serverless
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.secretsmanager import (
    Endpoint,
    WarehouseCredentials,
    read_warehouse_credentials,
)
from xacct_assets.contract.logins import ROTATION_WINDOW
from xacct_assets.operations.deployment.adopted import require_admin
from xacct_assets.operations.deployment.database_user import DatabaseUser
from xacct_assets.operations.deployment.migrations import (
    PendingMigrations,
    apply_migration,
    find_pending,
)
from xacct_assets.operations.deployment.warehouse_sql import DataApiSql, Sql, SqlScript, WireSql

if TYPE_CHECKING:
    from xacct_assets.aws.sessions import Sessions
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.feed.sql_files.migrations import Migration
    from xacct_assets.settings import Settings

SqlRoute = Literal["wire", "data-api"]


class WarehouseSetup:
    """The SQL of a deployment.

    Args:
        settings: of the installation.
        sessions: with deployment rights in account B.
        route: how SQL is sent.
        report: called with a line about each step.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        route: SqlRoute,
        report: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._route = route
        self._report = report

    def make_user(self, *, secret_is_new: bool) -> None:
        """Make the pipeline's database user, if it is this installation's.

        Args:
            secret_is_new: whether account B's stack was made just now.

        Raises:
            AwsFailure: there is no usable admin, or the user is not this installation's.
        """
        if not self._makes_user or self._admin is None:
            return
        user = DatabaseUser(self._pipeline.user, self._admin)
        done = user.make(
            self._pipeline.password, can_log_in=self._can_log_in, secret_is_new=secret_is_new
        )
        self._report(f"database user {user.name}: {done or 'up to date'}")

    def pending_migrations(
        self,
        feeds: Sequence[FeedSpec],
        migrations: Mapping[str, Sequence[Migration]],
        shared: Sequence[SqlScript],
    ) -> PendingMigrations:
        """The migrations that are not recorded; see `find_pending`."""
        return find_pending(self._table_owner, feeds, migrations, shared)

    def migrate(self, pending: PendingMigrations) -> None:
        """Apply migrations to tables that are there.

        Raises:
            StatementFailed: one failed; those before it were applied.
        """
        for migration in pending.apply:
            apply_migration(self._table_owner, migration)
            self._report(f"migration {migration.name} of feed {migration.feed}: applied")

    def apply(
        self,
        scripts: Sequence[SqlScript],
        feeds: Sequence[FeedSpec],
        display: Callable[[Path], str],
    ) -> None:
        """Apply the scripts, and grant the pipeline's user what it needs.

        Args:
            scripts: in order.
            feeds: whose tables are verified and granted.
            display: a script's path for the report.
        """
        names = ", ".join(display(script.path) for script in scripts)
        user = self._pipeline.user
        if self._admin is None:
            self._table_owner.apply(scripts, feeds)
            self._report(f"SQL applied as {user} over {self._route}: {names}")
            return
        grants = DatabaseUser(user, self._admin).grants(feeds)
        self._admin.apply([*scripts, grants], feeds)
        self._report(
            f"SQL applied as the admin over {self._route}: {names}, and the grants of {user}"
        )

    def drop_user(self, feeds: Sequence[FeedSpec]) -> bool:
        """Drop the pipeline's user from an adopted namespace; False if there is none of ours."""
        if not self._makes_user or self._admin is None:
            return False
        return DatabaseUser(self._pipeline.user, self._admin).drop(feeds)

    @property
    def _table_owner(self) -> Sql:
        return self._admin or self._sql_of(self._pipeline, self._settings.redshift_secret)

    @property
    def _makes_user(self) -> bool:
        adopted = self._settings.adopted
        return "secret" not in adopted or not adopted & {"workgroup", "namespace"}

    @cached_property
    def _pipeline(self) -> WarehouseCredentials:
        secrets = self._sessions.client("secretsmanager")
        return read_warehouse_credentials(secrets, self._settings.redshift_secret)

    @cached_property
    def _admin(self) -> Sql | None:
        """The admin's login; None if the tables are made by the pipeline's user."""
        settings = self._settings
        name = settings.admin_secret
        if name is None and not settings.adopted & {"workgroup", "namespace"}:
            serverless = Serverless(self._sessions.client("redshift-serverless"))
            name = serverless.namespace(settings.namespace).admin_secret
        if name is None:
            require_admin(settings)
            return None
        pipeline = self._pipeline
        # A secret that Redshift keeps has user and password only.
        endpoint = Endpoint(pipeline.host, pipeline.port, pipeline.database)
        secrets = self._sessions.client("secretsmanager")
        credentials = read_warehouse_credentials(secrets, name, defaults=endpoint)
        return self._sql_of(credentials, name, endpoint)

    def _can_log_in(self) -> bool:
        sql = self._sql_of(self._pipeline, self._settings.redshift_secret, rotation_window=0)
        try:
            sql.query("SELECT 1 AS one")
        except LoginFailed:
            return False
        return True

    def _sql_of(
        self,
        credentials: WarehouseCredentials,
        secret: str,
        defaults: Endpoint | None = None,
        *,
        rotation_window: float = ROTATION_WINDOW,
    ) -> Sql:
        """A login over the route."""
        if self._route == "wire":
            client = self._sessions.client("secretsmanager")
            read = partial(read_warehouse_credentials, client, secret, defaults=defaults)
            return WireSql(Warehouse(read, rotation_window=rotation_window))
        if credentials.secret_arn is None or not credentials.data_api_compatible:
            raise SecretInvalid(
                f"the Data API cannot log in with {secret}",
                reason='it accepts only JSON with "username" and "password"',
                fix="deploy with --sql-over wire",
            )
        api = DataApi(
            self._sessions.client("redshift-data"),
            self._settings.workgroup,
            self._settings.database,
            credentials.secret_arn,
            rotation_window=rotation_window,
        )
        return DataApiSql(api)
