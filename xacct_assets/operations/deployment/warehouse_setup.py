"""Which login makes tables and users in Redshift, and whom the pipeline logs in as.

- The admin: the secret of XACCT_ADMIN_SECRET; else, of a namespace made here, the secret that
  Redshift keeps for its admin; else, with the login by IAM, the identity that deploys.
- The pipeline's user: that of the Redshift secret. It is made here, unless the secret and the
  namespace are both adopted: then it is the owner's, and without an admin it makes the tables too.
- With the login by IAM: the users of the orchestrator's role and of the load jobs' role.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xacct_assets.aws.errors import DeployFailed, LoginFailed, SecretInvalid
from xacct_assets.aws.redshift.data_api import DataApi
from xacct_assets.aws.redshift.iam_login import role_user, temporary_credentials
from xacct_assets.aws.redshift.serverless import Serverless, WorkgroupDescription
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.secretsmanager import (
    Endpoint,
    WarehouseCredentials,
    read_warehouse_credentials,
)
from xacct_assets.contract.logins import ROTATION_WINDOW
from xacct_assets.operations.deployment.adopted import require_admin
from xacct_assets.operations.deployment.database_user import LOAD, RUN, DatabaseUser
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
        for user in self._users(self._admin):
            if self._settings.logs_in_by_iam:
                done = user.make_for_iam()
            else:
                done = user.make(
                    self._pipeline.password,
                    can_log_in=self._can_log_in,
                    secret_is_new=secret_is_new,
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
        if self._admin is None:
            self._table_owner.apply(scripts, feeds)
            self._report(f"SQL applied as {self._pipeline.user} over {self._route}: {names}")
            return
        users = self._users(self._admin)
        self._admin.apply([*scripts, *(user.grants(feeds) for user in users)], feeds)
        self._report(
            f"SQL applied as the admin over {self._route}: {names}, and the grants of "
            + " and ".join(user.name for user in users)
        )

    def drop_user(self, feeds: Sequence[FeedSpec]) -> bool:
        """Drop the pipeline's users from an adopted namespace; False if there is none of ours."""
        if not self._makes_user or self._admin is None:
            return False
        dropped = [user.drop(feeds) for user in self._users(self._admin)]
        return any(dropped)

    def _users(self, admin: Sql) -> list[DatabaseUser]:
        """The users that the pipeline logs in as."""
        settings = self._settings
        if not settings.logs_in_by_iam:
            return [DatabaseUser(self._pipeline.user, admin)]
        orchestrator, job = settings.orchestrator_role_arn, settings.glue_role_arn
        return [
            DatabaseUser(role_user(orchestrator), admin, (RUN,)),
            DatabaseUser(role_user(job), admin, (LOAD,)),
        ]

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
            name = self._serverless.namespace(settings.namespace).admin_secret
        if name is None and settings.logs_in_by_iam:
            return self._own_identity()
        if name is None:
            require_admin(settings)
            return None
        # A secret that Redshift keeps has user and password only.
        endpoint = self._endpoint
        secrets = self._sessions.client("secretsmanager")
        credentials = read_warehouse_credentials(secrets, name, defaults=endpoint)
        return self._sql_of(credentials, name, endpoint)

    @cached_property
    def _endpoint(self) -> Endpoint:
        """Where the pipeline connects to."""
        if self._settings.logs_in_by_iam:
            workgroup = self._workgroup
            return Endpoint(workgroup.host, workgroup.port, self._settings.database)
        pipeline = self._pipeline
        return Endpoint(pipeline.host, pipeline.port, pipeline.database)

    @cached_property
    def _serverless(self) -> Serverless:
        return Serverless(self._sessions.client("redshift-serverless"))

    @cached_property
    def _workgroup(self) -> WorkgroupDescription:
        settings = self._settings
        found = self._serverless.workgroup(settings.workgroup)
        return found.reached_at(settings.warehouse_host, settings.warehouse_port)

    def _own_identity(self) -> Sql:
        """The identity that deploys, as a superuser of the database.

        Raises:
            DeployFailed: it is none.
        """
        database = self._settings.database
        sql: Sql
        if self._route == "wire":
            client = self._sessions.client("redshift-serverless")
            sql = WireSql(
                Warehouse(lambda: temporary_credentials(client, self._workgroup, database))
            )
        else:
            data_api = self._sessions.client("redshift-data")
            sql = DataApiSql(DataApi(data_api, self._settings.workgroup, database))
        (user,) = sql.query(
            "SELECT CAST(usename AS VARCHAR) AS name, usesuper FROM pg_user "
            "WHERE usename = current_user"
        )
        if not user["usesuper"]:
            name = user["name"]
            raise DeployFailed(
                f"the identity that deploys is database user {name}, and no superuser",
                reason="tables and the pipeline's users must be made by one; the identity that "
                "made the namespace is one",
                fix=f'deploy as that identity, let it run ALTER USER "{name}" CREATEUSER, or set '
                "XACCT_ADMIN_SECRET to a secret with the login of a superuser",
            )
        return sql

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
