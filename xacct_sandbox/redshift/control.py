"""How the AWS APIs steer the Redshift process: as its superuser rdsdb, over the same wire.

Passwords are turned into SCRAM verifiers here, so that no statement ever holds one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
import threading
from datetime import UTC, datetime
from typing import Any

from redshift_connector.error import Error as DriverError

from xacct_sandbox.config import SandboxConfig
from xacct_sandbox.redshift.wire_client import ConnectionLost, as_database_error, connect

SUPERUSER = "rdsdb"
DATABASE = "dev"
_SCRAM_ITERATIONS = 4096
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
        verb = "ALTER" if exists else "CREATE"
        rights = "CREATEUSER CREATEDB" if superuser else "NOCREATEUSER NOCREATEDB"
        until = (
            f" VALID UNTIL {_literal(valid_until.astimezone(UTC).isoformat(sep=' '))}"
            if valid_until
            else ""
        )
        self.run(
            f"{verb} USER {_identifier(name)} PASSWORD {_literal(scram_verifier(password))} "
            f"{rights}{until}"
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
            self.run(f"DROP ROLE {_identifier(user)}")

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


def scram_verifier(password: str) -> str:
    """What PostgreSQL stores of a password (RFC 5803); the password cannot be got back from it."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    salt_text, stored_text, server_text = (
        base64.b64encode(part).decode() for part in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt_text}${stored_text}:{server_text}"


def _identifier(name: str) -> str:
    if "\x00" in name:
        raise ValueError("a database name holds no NUL")
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
