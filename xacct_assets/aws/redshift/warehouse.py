"""SQL over the wire to Redshift: verified TLS, whole transactions or none.

`redshift_connector` is always given ``sslmode="verify-full"``: without a mode it tolerates a wrong
host name. A connection that has served one transaction well serves the next one too, if that comes
soon: making one costs a TLS handshake and a login. None is kept so long that it could time out.
"""

from __future__ import annotations

import logging
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import (
    AwsFailure,
    CommitUnknown,
    ConnectionFailed,
    LoginFailed,
    StatementFailed,
)
from xacct_assets.aws.polling import suppress_and_log
from xacct_assets.aws.redshift import keepalive
from xacct_assets.aws.secretsmanager import WarehouseCredentials
from xacct_assets.contract.conflicts import is_conflict

logger = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
#: Seconds without a byte from the server while it greets us. A workgroup that slept wakes up then.
LOGIN_TIMEOUT = 60.0
#: Seconds without a byte from a server that lives before a statement counts as lost. That it lives
#: is asked more often: see `keepalive`.
STATEMENT_TIMEOUT = 900
ATTEMPTS = 6
#: Seconds that a connection is kept for the next transaction.
KEPT = 20.0
#: PostgreSQL's serialization failure and deadlock. Redshift's conflict is error 1023 in the text.
_CONFLICT_CODES = {"40001", "40P01"}
#: The server ended the session, or takes none: administrator, crash, the workgroup pausing, too
#: many connections, and the time-outs of sessions that idle, in a transaction and outside of one.
_LOST_CODES = {"57P01", "57P02", "57P03", "57P05", "25P03", "53300"}
_CONNECTION_CLASS = "08"
_LOGIN_CODES = {"28000", "28P01"}
_CONFLICT_FIX = "another transaction changed the same rows: try again"
#: The PostgreSQL protocol's SSLRequest: its length, then the request code 80877103.
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
_TIMEOUT_FIX = (
    "nothing answers there from this network. Check, in this order: (1) the VPC peering or route "
    "between this machine and the Redshift subnets, (2) the route tables of both sides, (3) the "
    "workgroup's security group: inbound TCP on the port from here, (4) the workgroup's "
    "'publicly accessible' setting, (5) host and port in the secret. `xacct doctor` tests each hop"
)


class Warehouse:
    """Connections to Redshift.

    Args:
        credentials_provider: called once, and again if the login is refused: the password may have
            been rotated since.
        connect_timeout: seconds; a time-out named in the secret has precedence.
        login_timeout, statement_timeout: seconds without an answer.
        connector: `redshift_connector.connect`; for tests.
    """

    def __init__(
        self,
        credentials_provider: Callable[[], WarehouseCredentials],
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        login_timeout: float = LOGIN_TIMEOUT,
        statement_timeout: float = STATEMENT_TIMEOUT,
        connector: Callable[..., Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_credentials = credentials_provider
        self._lock = threading.Lock()
        self._known: WarehouseCredentials | None = None
        self._kept: list[tuple[Any, float]] = []
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._login_timeout = login_timeout
        self._statement_timeout = statement_timeout
        self._connector = connector
        self._sleep = sleep

    @property
    def credentials(self) -> WarehouseCredentials:
        """The login, as it was last read."""
        with self._lock:
            if self._known is None:
                self._known = self._read_credentials()
            return self._known

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A new connection, not in autocommit; rolled back and closed at the end.

        Raises:
            ConnectionFailed: no connection; says which hop failed and what to look at.
            LoginFailed: wrong user or password.
            StatementFailed: the database refused a statement.
        """
        connection = self._log_in()
        where = f"{self.credentials.host}:{self.credentials.port}"
        try:
            with database_errors(where):
                yield connection
        finally:
            suppress_and_log(connection.close, f"closing the connection to {where}")

    def transaction(
        self,
        work: Callable[[Any], T],
        *,
        attempts: int = ATTEMPTS,
        idempotent: bool = False,
    ) -> T:
        """Run `work(connection)` and commit; on a serialization conflict run all of it again.

        Args:
            work: does its statements on the connection it is given, and does not commit.
            attempts: how often to try.
            idempotent: True if doing the whole twice is harmless; then a connection lost in the
                middle of COMMIT is answered by doing it again too.

        Raises:
            StatementFailed: the database refused, or conflicts went on through all attempts.
            CommitUnknown: the connection was lost during COMMIT; not raised if idempotent, unless
                attempts ran out.
        """
        for attempt in range(1, attempts + 1):
            try:
                return self._once(work)
            except CommitUnknown:
                if not idempotent or attempt == attempts:
                    raise
            except AwsFailure as failure:
                if not failure.retryable or attempt == attempts:
                    raise
                logger.info(
                    "transaction %d of %d failed, trying again: %s",
                    attempt,
                    attempts,
                    failure.reason,
                )
            # Full jitter: rivals that collided must not collide again in step.
            self._sleep(random.uniform(0.05, min(10.0, 0.2 * 2**attempt)))  # noqa: S311
        raise AssertionError("the last attempt returns or raises")

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a SELECT, by column name. Parameters are `%s` in the SQL."""

        def read(connection: Any) -> list[dict[str, Any]]:
            with connection.cursor() as cursor:
                cursor.execute(sql, tuple(params))
                names = [column[0] for column in cursor.description]
                names = [n.decode() if isinstance(n, bytes) else n for n in names]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return self.transaction(read, idempotent=True)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement in a transaction of its own; the rows it affected (-1: unknown)."""

        def write(connection: Any) -> int:
            with connection.cursor() as cursor:
                cursor.execute(sql, tuple(params))
                return int(cursor.rowcount)

        return self.transaction(write)

    @contextmanager
    def _kept_or_new(self) -> Iterator[Any]:
        """A connection without a transaction; kept for another use if this one ends well."""
        connection = self._take_kept() or self._log_in()
        where = f"{self.credentials.host}:{self.credentials.port}"
        try:
            with database_errors(where):
                yield connection
        except BaseException:
            suppress_and_log(connection.close, f"closing the connection to {where}")
            raise
        with self._lock:
            self._kept.append((connection, self._clock()))

    def _take_kept(self) -> Any:
        with self._lock:
            kept, self._kept = self._kept, []
            fresh = [item for item in kept if self._clock() - item[1] < KEPT]
            taken = fresh.pop() if fresh else None
            self._kept = fresh
        for item in kept:
            if item is not taken and item not in fresh:
                suppress_and_log(item[0].close, "closing an idle connection")
        return taken and taken[0]

    def _log_in(self) -> Any:
        credentials = self.credentials
        try:
            return self._reach(credentials)
        except LoginFailed:
            current = self._read_credentials()
            if current == credentials:
                raise
            with self._lock:
                self._known = current
            return self._reach(current)

    def _reach(self, credentials: WarehouseCredentials) -> Any:
        if self._connector is None:
            probe(
                credentials.host,
                credentials.port,
                credentials.connect_timeout or self._connect_timeout,
            )
        return self._open(credentials, f"{credentials.host}:{credentials.port}")

    def _once(self, work: Callable[[Any], T]) -> T:
        # An interrupt leaves by the close alone. It may have come in the middle of a statement,
        # whose answer anything asked of this connection would have to wait for.
        with self._kept_or_new() as connection:
            try:
                answer = work(connection)
            except Exception:
                # The close that follows rolls back too; asking first frees locks at once.
                suppress_and_log(connection.rollback, "rolling back")
                raise
            try:
                with database_errors("COMMIT"):
                    connection.commit()
            except ConnectionFailed as lost:
                raise CommitUnknown(
                    "the connection was lost during COMMIT",
                    reason=lost.reason,
                    fix="look whether the transaction happened, then run it again if not",
                    retryable=False,
                ) from lost
            return answer

    def _open(self, credentials: WarehouseCredentials, where: str) -> Any:
        # The driver's DEBUG log holds rows and parameters.
        driver_log = logging.getLogger("redshift_connector")
        if driver_log.getEffectiveLevel() < logging.INFO:
            driver_log.setLevel(logging.INFO)
        connector = self._connector
        if connector is None:
            import redshift_connector

            connector = redshift_connector.connect
        with database_errors(where, user=credentials.user):
            connection = connector(
                host=credentials.host,
                port=credentials.port,
                database=credentials.database,
                user=credentials.user,
                password=credentials.password,
                ssl=True,
                sslmode="verify-full",
                timeout=self._login_timeout,
                application_name="xacct_assets",
                **keepalive.DRIVER_OPTIONS,
            )
            keepalive.watch(connection, self._statement_timeout)
            return connection


def probe(host: str, port: int, timeout: float) -> None:
    """Open and close a TCP connection: tells apart the ways in which there is no network path.

    The driver has one time-out for connecting and for statements; connecting must fail much sooner.

    Raises:
        ConnectionFailed: saying whether the name, the route or the port is the matter.
    """
    what = f"no connection to Redshift at {host}:{port}"
    try:
        # The driver speaks IPv4 only, so only that path counts.
        addresses = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectionFailed(
            what,
            reason=f"the host name is not known here ({error})",
            fix="check the host in the secret; a workgroup that is not publicly accessible is "
            "known only inside its VPC (peering: allow DNS resolution on both sides)",
        ) from error
    try:
        with socket.create_connection(addresses[0][4][:2], timeout=timeout):
            return
    except TimeoutError as error:
        raise ConnectionFailed(
            what, reason=f"Connection Timeout after {timeout:.0f} s", fix=_TIMEOUT_FIX
        ) from error
    except ConnectionRefusedError as error:
        raise ConnectionFailed(
            what,
            reason="connection refused: the machine answers, but nothing listens on the port",
            fix="check the port in the secret and that the workgroup is AVAILABLE "
            "(in the sandbox: `xacct-sandbox status`)",
        ) from error
    except OSError as error:
        raise ConnectionFailed(what, reason=str(error), fix=_TIMEOUT_FIX) from error


def probe_tls(host: str, port: int, timeout: float) -> str:
    """Open a verified TLS session as the driver does, and close it; the certificate's name.

    Raises:
        ConnectionFailed: there is no path, no TLS, or no certificate that holds for the host.
    """
    import redshift_connector

    probe(host, port, timeout)
    # The driver trusts the system's authorities and a bundle of its own.
    context = ssl.create_default_context()
    bundle = Path(redshift_connector.__file__).parent / "files" / "redshift-ca-bundle.crt"
    context.load_verify_locations(bundle)
    where = f"{host}:{port}"
    with database_errors(where), socket.create_connection((host, port), timeout=timeout) as plain:
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise ConnectionFailed(
                f"Redshift at {where} refuses TLS",
                retryable=False,
                fix="check that the port is Redshift's and that no proxy stands in between",
            )
        with context.wrap_socket(plain, server_hostname=host) as secured:
            certificate = secured.getpeercert() or {}
    names = [value for kind, value in certificate.get("subjectAltName", ())]
    return ", ".join(str(name) for name in names) or "no name"


class database_errors:
    """Context manager: the driver's and the network's exceptions leave it as `AwsFailure`s."""

    def __init__(
        self, where: str, *, user: str | None = None, statement: str = "a statement"
    ) -> None:
        self._where = where
        self._user = user
        self._statement = statement

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or isinstance(error, AwsFailure):
            return
        failure = self._translate(error)
        if failure is not None:
            raise failure from error

    def _translate(self, error: BaseException) -> AwsFailure | None:
        details = _server_error(error)
        if details is not None:
            return self._answered(details)
        root = _root(error)
        if isinstance(root, ssl.SSLError):
            return ConnectionFailed(
                f"TLS to Redshift at {self._where} failed",
                reason=str(root),
                retryable=False,
                fix="the certificate must be valid for the host in the secret and its authority "
                "trusted here (SSL_CERT_FILE names the authorities of the sandbox)",
            )
        if isinstance(root, OSError) or _is_driver_connection_error(error):
            return ConnectionFailed(
                f"the connection to Redshift at {self._where} was lost",
                reason=_text(error),
                fix="try again; if it stays, check idle time-outs of the network in between, and "
                "that the workgroup is AVAILABLE",
            )
        return None

    def _answered(self, details: dict[str, str]) -> AwsFailure:
        code, message = details.get("C", ""), details.get("M", "")
        text = ". ".join(filter(None, (message, details.get("D"), details.get("H"))))
        if details.get("P"):
            text += f" (at character {details['P']})"
        if code in _LOGIN_CODES:
            return LoginFailed(
                f"Redshift at {self._where} refused the login of user {self._user or 'given'}",
                reason=message,
                code=code,
                principal=self._user,
                fix="the secret and the database disagree: correct the secret, or reset the "
                "user's password (for the admin: aws redshift-serverless update-namespace)",
            )
        if code in _LOST_CODES or code.startswith(_CONNECTION_CLASS):
            return ConnectionFailed(
                f"Redshift at {self._where} ended the connection", reason=text, code=code
            )
        conflict = code in _CONFLICT_CODES or is_conflict(text)
        return StatementFailed(
            f"Redshift refused {self._statement}",
            reason=text,
            code=code,
            retryable=conflict,
            **{"fix": _CONFLICT_FIX if conflict else None, **denial_in(text)},
        )


def _server_error(error: BaseException) -> dict[str, str] | None:
    """The fields of an ErrorResponse, if the exception carries one."""
    if type(error).__module__.split(".")[0] != "redshift_connector" or not error.args:
        return None
    details = error.args[0]
    return details if isinstance(details, dict) else None


def _is_driver_connection_error(error: BaseException) -> bool:
    if isinstance(error, struct.error):
        # What the driver says if the connection ends within a message.
        return True
    return type(error).__module__.split(".")[0] == "redshift_connector" and type(
        error
    ).__name__ in ("InterfaceError", "OperationalError")


def _root(error: BaseException) -> BaseException:
    """The network's exception inside the driver's."""
    for argument in error.args:
        if isinstance(argument, OSError):
            return argument
    return error


def _text(error: BaseException) -> str:
    return ": ".join(str(argument) for argument in error.args) or type(error).__name__
