"""The pipeline's own database user: made with its secret's password, granted what a run needs.

The user can read and write the feeds' tables and call their procedures. These belong to the admin,
who makes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import identifier, literal, load_statement, split_statements
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.migration_sql import MIGRATIONS_TABLE
from xacct_assets.operations.deployment.warehouse_sql import Sql, SqlScript

_PACKAGE = "xacct_assets.operations"


class DatabaseUser:
    """The user that the pipeline logs in as.

    Args:
        name: of the user.
        admin: a login that may make users and grant rights on the feeds' tables.
    """

    def __init__(self, name: str, admin: Sql) -> None:
        self.name = name
        self._admin = admin

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
        rows = self._admin.query(
            f"SELECT usesuper FROM pg_user WHERE usename = {literal(self.name)}"  # noqa: S608
        )
        if rows and rows[0]["usesuper"]:
            raise DeployFailed(
                f"database user {self.name} is a superuser",
                reason="the pipeline runs with the rights that it needs and no more",
                fix="set XACCT_DATABASE_USER to another name",
            )
        if rows and secret_is_new:
            raise DeployFailed(
                f"database user {self.name} exists, and this installation did not make it",
                fix="set XACCT_DATABASE_USER to another name; if the user is of an earlier "
                "installation, DROP USER it",
            )
        if rows and can_log_in():
            return None
        verb = "ALTER" if rows else "CREATE"
        # The digest, as CREATE USER takes it: no statement and no log has the password.
        digest = hashlib.md5(f"{password}{self.name}".encode(), usedforsecurity=False)
        sql = f"{verb} USER {identifier(self.name)} PASSWORD 'md5{digest.hexdigest()}'"
        self._admin.apply([SqlScript(Path("database user"), [sql])], [])
        return "got the secret's password" if rows else "made"

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
            text = load_statement(_PACKAGE, "feed_grants", user=self.name, **names, **schemas)
            statements += split_statements(text)
        return SqlScript(Path("grants"), list(dict.fromkeys(statements)))

    def drop(self, feeds: Sequence[FeedSpec]) -> bool:
        """Take the user's rights back and drop it; False if there is none.

        Raises:
            StatementFailed: it has rights in other schemas, or owns something.
        """
        rows = self._admin.query(
            f"SELECT usename FROM pg_user WHERE usename = {literal(self.name)}"  # noqa: S608
        )
        if not rows:
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
        statements.append(f"DROP USER {identifier(self.name)}")
        self._admin.apply([SqlScript(Path("database user"), statements)], [])
        return True


def _schema(name: str) -> str:
    return name.rpartition(".")[0] or "public"
