"""The pipeline's own database users, made and granted what a run needs.

With a secret there is one, which has the secret's password. With the login by IAM there are two,
one for the role of the orchestrator and one for that of the load jobs; they have no password.

A user can read and write the feeds' tables and call their procedures. These belong to the admin,
who makes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import (
    database_user,
    literal,
    load_statement,
    split_statements,
)
from xacct_assets.contract.logins import is_iam_user
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.migration_sql import MIGRATIONS_TABLE
from xacct_assets.operations.deployment.warehouse_sql import Sql, SqlScript

_PACKAGE = "xacct_assets.operations"
#: What a user may do: that of the orchestrator, and that of the load jobs.
RUN, LOAD = "feed_grants", "load_grants"


class DatabaseUser:
    """A user that the pipeline logs in as.

    Args:
        name: of the user.
        admin: a login that may make users and grant rights on the feeds' tables.
        parts: what it does, of `RUN` and `LOAD`.
    """

    def __init__(self, name: str, admin: Sql, parts: Sequence[str] = (RUN, LOAD)) -> None:
        self.name = name
        self._admin = admin
        self._parts = parts

    def make_for_iam(self) -> str | None:
        """Make the user, so that it can be granted rights before its role logs in; None if it is.

        Raises:
            DeployFailed: the user is a superuser.
        """
        if self._exists():
            return None
        # A temporary password is accepted all the same (Redshift guide, CREATE USER).
        self._apply(f"CREATE USER {database_user(self.name)} PASSWORD DISABLE")
        return "made"

    def _exists(self) -> bool:
        """Whether there is such a user.

        Raises:
            DeployFailed: it is a superuser.
        """
        rows = self._admin.query(
            "SELECT usesuper FROM pg_user "  # noqa: S608
            f"WHERE LOWER(usename) = {literal(self.name.lower())}"
        )
        if rows and rows[0]["usesuper"]:
            raise DeployFailed(
                f"database user {self.name} is a superuser",
                reason="the pipeline runs with the rights that it needs and no more",
                fix=f'as another superuser: ALTER USER "{self.name}" NOCREATEUSER'
                if is_iam_user(self.name)
                else "set XACCT_DATABASE_USER to another name",
            )
        return bool(rows)

    def _apply(self, *statements: str) -> None:
        self._admin.apply([SqlScript(Path("database user"), list(statements))], [])

    def make(
        self, password: str, *, can_log_in: Callable[[], bool], secret_is_new: bool
    ) -> str | None:
        """Make the user, or give it the secret's password; what was done, None if nothing.

        Args:
            password: of the secret.
            can_log_in: whether the secret's login is accepted.
            secret_is_new: whether the secret was made just now. Then a user of that name is not
                this installation's, and keeps its password.

        Raises:
            DeployFailed: the user is a superuser, or another's.
        """
        exists = self._exists()
        if exists and secret_is_new:
            raise DeployFailed(
                f"database user {self.name} exists, and this installation did not make it",
                fix="set XACCT_DATABASE_USER to another name; if the user is of an earlier "
                "installation, DROP USER it",
            )
        if exists and can_log_in():
            return None
        verb = "ALTER" if exists else "CREATE"
        # The digest, as CREATE USER takes it: no statement and no log has the password.
        digest = hashlib.md5(f"{password}{self.name}".encode(), usedforsecurity=False)
        self._apply(f"{verb} USER {database_user(self.name)} PASSWORD 'md5{digest.hexdigest()}'")
        return "got the secret's password" if exists else "made"

    def grants(self, feeds: Sequence[FeedSpec]) -> SqlScript:
        """The statements that grant the user what the feeds need."""
        statements: list[str] = []
        for feed in feeds:
            tables = feed.warehouse
            names = {
                "staging": tables.staging,
                "fact": tables.fact,
                "load_audit": tables.load_audit,
                "procedure": tables.procedure,
                "migrations": MIGRATIONS_TABLE,
            }
            schemas = {f"{key}_schema": _schema(name) for key, name in names.items()}
            for part in self._parts:
                text = load_statement(_PACKAGE, part, user=self.name, **names, **schemas)
                statements += split_statements(text)
        return SqlScript(Path("grants"), list(dict.fromkeys(statements)))

    def drop(self, feeds: Sequence[FeedSpec]) -> bool:
        """Take the user's rights back and drop it; False if there is none.

        Raises:
            StatementFailed: it has rights in other schemas, or owns something.
        """
        if not self._exists():
            return False
        schemas = {
            _schema(name)
            for feed in feeds
            for name in (
                feed.warehouse.staging,
                feed.warehouse.fact,
                feed.warehouse.load_audit,
                feed.warehouse.procedure,
                MIGRATIONS_TABLE,
            )
        }
        statements: list[str] = []
        for schema in sorted(schemas):
            text = load_statement(_PACKAGE, "schema_revokes", user=self.name, schema=schema)
            statements += split_statements(text)
        self._apply(*statements, f"DROP USER {database_user(self.name)}")
        return True


def _schema(name: str) -> str:
    return name.rpartition(".")[0] or "public"
