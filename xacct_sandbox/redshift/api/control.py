"""How the AWS APIs steer the Redshift process: as its superuser rdsdb, over the same wire.

Passwords are turned into digests here, so that no statement ever holds one.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from datetime import UTC, datetime
from typing import Any

from redshift_connector.error import Error as DriverError

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.api.wire_client import ConnectionLost, as_database_error, connect

SUPERUSER = "rdsdb"
DATABASE = "dev"
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
        """Execute one statement; its rows. A connection that was lost is made anew, once.

        Raises:
            DatabaseError
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
                # One that was lost cannot be closed properly, and need not be.
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
        valid_until: datetime | None = None,
    ) -> None:
        """Make the user, or give an existing one this password and these rights."""
        exists = self.run("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (name,))
        options = f"PASSWORD {_literal(md5_digest(name, password))}"
        if valid_until is not None:
            moment = valid_until.astimezone(UTC).isoformat(sep=" ")
            options += f" VALID UNTIL {_literal(moment)}"
        # The functions that CREATE and ALTER USER become: the statements themselves would fold
        # the name to lower case, and an IAM identity keeps its own.
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

    def drop_everything(self) -> None:
        """Remove all users but our own, with everything they own: an empty database is left."""
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
            self.run(f"DROP OWNED BY {_identifier(user)} CASCADE")
            # DROP USER folds the case of names, and those of IAM identities have capitals.
            self.run("SELECT pg_catalog.sandbox_drop_user(%s::name, false)", (user,))

    # -- the namespace row -----------------------------------------------------------------

    def set_namespace(self, values: dict[str, str | None]) -> None:
        """Say which namespace this database is; every column of the one row."""
        self.run("DELETE FROM sandbox_internal.namespace")
        columns = ", ".join(_NAMESPACE_COLUMNS)
        places = ", ".join(["%s"] * len(_NAMESPACE_COLUMNS))
        self.run(
            f"INSERT INTO sandbox_internal.namespace ({columns}) VALUES ({places})",  # noqa: S608
            tuple(values.get(column) for column in _NAMESPACE_COLUMNS),
        )

    def clear_namespace(self) -> None:
        """There is no namespace any more."""
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
    """The form of a password that CREATE USER takes in its place (Redshift guide, CREATE USER)."""
    digest = hashlib.md5(f"{password}{user}".encode(), usedforsecurity=False)
    return f"md5{digest.hexdigest()}"


def _identifier(name: str) -> str:
    if "\x00" in name:
        raise ValueError("a database name holds no NUL")
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
