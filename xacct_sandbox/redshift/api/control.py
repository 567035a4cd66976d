"""The AWS APIs' connection to the Redshift process, as its superuser rdsdb.

Passwords are turned into digests here, so that no statement holds one.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
from datetime import UTC, datetime
from typing import Any

from redshift_connector.error import Error as DriverError

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.api.wire_client import ConnectionLost, as_database_error, connect
from xacct_sandbox.redshift.sql.lexer import quote_literal, quote_name
from xacct_sandbox.redshift.storage.postgres import DATABASE, SUPERUSER

_NAMESPACE_COLUMNS = (
    "account_id",
    "region",
    "namespace_id",
    "namespace_name",
    "workgroup_name",
    "admin_user",
    "iam_roles",
    "default_iam_role",
    "status",
)


class Control:
    """One connection as rdsdb, shared by the threads of the daemon."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._connection: Any = None
        self._lock = threading.RLock()

    def run(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement. A lost connection is opened again, once.

        Returns:
            The rows.

        Raises:
            DatabaseError: The database refused.
        """
        with self._lock:
            try:
                return self._run(sql, parameters)
            except ConnectionLost:
                self.close()
                return self._run(sql, parameters)

    def close(self) -> None:
        """End the connection, if there is one."""
        with self._lock:
            if self._connection is not None:
                # Closing a lost connection fails, which does not matter.
                with contextlib.suppress(DriverError, OSError):
                    self._connection.close()
                self._connection = None

    # -- users -----------------------------------------------------------------------------

    def set_user(
        self,
        name: str,
        password: str,
        *,
        superuser: bool = False,
    ) -> None:
        """Create a user, or give an existing one this password and these rights."""
        exists = self.user_exists(name)
        options = f"PASSWORD {quote_literal(md5_digest(name, password))}"
        # CREATE USER and ALTER USER would fold the name to lower case. The functions that they
        # call keep it, as an IAM identity needs.
        if exists:
            self.run(
                "SELECT pg_catalog.sandbox_alter_user(%s::name, %s, %s::boolean)",
                (name, options, superuser or None),
            )
        else:
            self.run(
                "SELECT pg_catalog.sandbox_create_user(%s::name, %s, %s::boolean, ARRAY[]::text[])",
                (name, options, superuser),
            )

    def user_exists(self, name: str) -> bool:
        """Whether there is a user of that name."""
        return bool(self.run("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (name,)))

    def add_temporary_password(self, name: str, password: str, valid_until: datetime) -> None:
        """Let a user log in with this password, beside any other; make the user if need be."""
        known = self.run(
            "SELECT 1 FROM pg_catalog.pg_authid WHERE rolname = %s AND rolpassword IS NOT NULL",
            (name,),
        )
        if not known:
            # PostgreSQL needs a password to compare with; nobody gets this one.
            self.set_user(name, secrets.token_hex(32))
        self.run(
            "DELETE FROM sandbox_internal.temporary_passwords "
            "WHERE valid_until < pg_catalog.now() - interval '1 hour'"
        )
        self.run(
            "INSERT INTO sandbox_internal.temporary_passwords VALUES (%s, %s, %s::timestamptz)",
            (name, md5_digest(name, password), valid_until.astimezone(UTC).isoformat(sep=" ")),
        )

    def drop_everything(self) -> None:
        """Drop all users but rdsdb, with everything they own: the database is then empty."""
        self.run("DELETE FROM sandbox_internal.temporary_passwords")
        users = [
            row[0]
            for row in self.run(
                "SELECT rolname FROM pg_catalog.pg_roles "
                "WHERE rolcanlogin AND rolname <> %s AND rolname NOT LIKE 'pg!_%%' ESCAPE '!'",
                (SUPERUSER,),
            )
        ]
        self.run(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
            "WHERE usename <> %s AND usename IS NOT NULL",
            (SUPERUSER,),
        )
        for user in users:
            self.run(f"DROP OWNED BY {quote_name(user)} CASCADE")
            # DROP USER would fold the name to lower case.
            self.run("SELECT pg_catalog.sandbox_drop_user(%s::name, false)", (user,))

    # -- the namespace row -----------------------------------------------------------------

    def set_namespace(self, values: dict[str, str | None]) -> None:
        """Write the namespace of this database."""
        self.run("DELETE FROM sandbox_internal.namespace")
        columns = ", ".join(_NAMESPACE_COLUMNS)
        placeholders = ", ".join(["%s"] * len(_NAMESPACE_COLUMNS))
        self.run(
            f"INSERT INTO sandbox_internal.namespace ({columns}) VALUES ({placeholders})",  # noqa: S608
            tuple(values.get(column) for column in _NAMESPACE_COLUMNS),
        )

    def clear_namespace(self) -> None:
        """Remove the namespace of this database."""
        self.run("DELETE FROM sandbox_internal.namespace")

    def _run(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            password = self._config.token_path.read_text(encoding="ascii").strip()
            self._connection = connect(
                self._config, database=DATABASE, user=SUPERUSER, password=password
            )
        try:
            cursor = self._connection.cursor()
            cursor.execute(sql, parameters or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        except (DriverError, OSError) as problem:
            raise as_database_error(problem) from problem


def md5_digest(user: str, password: str) -> str:
    """The digest that CREATE USER takes in place of a password (Redshift guide, CREATE USER)."""
    digest = hashlib.md5(f"{password}{user}".encode(), usedforsecurity=False)
    return f"md5{digest.hexdigest()}"
