"""SQL over the wire to Redshift: verified TLS, whole transactions or none.

`redshift_connector` is always given ``sslmode="verify-full"``: without a mode it accepts a wrong
host name. A connection is kept for the next transaction if that comes soon, because a new one costs
a TLS handshake and a login.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from xacct_assets.aws.errors import AwsFailure, CommitUnknown, ConnectionFailed, LoginFailed
from xacct_assets.aws.polling import suppress_and_log
from xacct_assets.aws.redshift import keepalive
from xacct_assets.aws.redshift.database_errors import database_errors
from xacct_assets.aws.redshift.probes import probe
from xacct_assets.aws.secretsmanager import WarehouseCredentials
from xacct_assets.contract.conflicts import ATTEMPTS, retry_transaction
from xacct_assets.contract.logins import ROTATION_WINDOW, is_login_refused, retry_refused_login

logger = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
#: Seconds without a byte from the server during the login. A paused workgroup resumes then.
LOGIN_TIMEOUT = 60.0
#: Seconds before a temporary password expires from which new connections use another one; at most
#: half of its validity. A login may wait for a paused workgroup.
RENEW_BEFORE = 120.0
#: Seconds without a byte from the server during a statement. A dead server is detected earlier: see
#: `keepalive`.
STATEMENT_TIMEOUT = 900
#: Seconds that a connection is kept for the next transaction. Too short for any idle time-out.
KEPT = 20.0


class Warehouse:
    """Connections to Redshift. Safe to share between threads.

    Args:
        credentials_provider: called once, and again whenever the login is refused, because the
            password may have been rotated, and before a temporary password expires. Validity is
            counted here, from when the password was given: no clock of another machine is compared.
        connect_timeout: seconds; a time-out named in the secret has precedence.
        login_timeout, statement_timeout: seconds without an answer.
        rotation_window: seconds for which a refused login is tried again.
        explain: what the network lacks, if that is known; asked if there is no connection.
        connector: `redshift_connector.connect`; for tests.
        sleep, clock: for tests.
    """

    def __init__(
        self,
        credentials_provider: Callable[[], WarehouseCredentials],
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        login_timeout: float = LOGIN_TIMEOUT,
        statement_timeout: float = STATEMENT_TIMEOUT,
        rotation_window: float = ROTATION_WINDOW,
        explain: Callable[[], str | None] = lambda: None,
        connector: Callable[..., Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_credentials = credentials_provider
        self._lock = threading.Lock()
        self._known: WarehouseCredentials | None = None
        self._known_since = 0.0
        self._kept: list[tuple[Any, float]] = []
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._login_timeout = login_timeout
        self._statement_timeout = statement_timeout
        self._rotation_window = rotation_window
        self._explain = explain
        self._connector = connector
        self._sleep = sleep

    @property
    def credentials(self) -> WarehouseCredentials:
        """The login, as it was last read."""
        with self._lock:
            if self._known is None or self._is_old(self._known):
                self._read()
            assert self._known is not None
            return self._known

    def _is_old(self, known: WarehouseCredentials) -> bool:
        """Whether a temporary password is so old that new connections use another one."""
        if known.valid_seconds is None:
            return False
        left = known.valid_seconds - (self._clock() - self._known_since)
        return left <= min(RENEW_BEFORE, known.valid_seconds / 2)

    def _read(self) -> None:
        since = self._clock()
        self._known, self._known_since = self._read_credentials(), since

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A new connection, not in autocommit; rolled back and closed at the end.

        Raises:
            ConnectionFailed: no connection; says which hop failed and what to check.
            LoginFailed: wrong user or password, also after the rotation window.
            StatementFailed: the database refused a statement.
        """
        connection = self._log_in()
        where = self._where()
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
            work: runs its statements on the connection, and does not commit.
            attempts: how often to run it in all.
            idempotent: True if running all of it twice is harmless; then it is also run again if
                the connection is lost during COMMIT.

        Raises:
            StatementFailed: the database refused a statement, or conflicts went on through all
                attempts.
            CommitUnknown: the connection was lost during COMMIT.
        """

        def is_retryable(failure: Exception) -> bool:
            if isinstance(failure, CommitUnknown):
                return idempotent
            if not isinstance(failure, AwsFailure) or not failure.retryable:
                return False
            logger.info("a transaction failed, trying again: %s", failure.reason)
            return True

        return retry_transaction(
            lambda _attempt: self._run_once(work),
            is_retryable,
            attempts=attempts,
            sleep=self._sleep,
        )

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
        """A connection outside a transaction; kept for another use if this one succeeds."""
        connection = self._take_kept() or self._log_in()
        where = self._where()
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
            fresh = [item for item in self._kept if self._clock() - item[1] < KEPT]
            stale = [item for item in self._kept if item not in fresh]
            taken, _ = fresh.pop() if fresh else (None, None)
            self._kept = fresh
        for connection, _ in stale:
            suppress_and_log(connection.close, "closing an idle connection")
        return taken

    def _where(self) -> str:
        # The endpoint stays: for a message no new password is asked for.
        known = self._known or self.credentials
        return f"{known.host}:{known.port}"

    def _log_in(self) -> Any:
        refused: list[LoginFailed] = []

        def attempt() -> Any:
            if refused:
                with self._lock:
                    self._read()
            try:
                return self._open(self.credentials)
            except ConnectionFailed as failure:
                missing = self._explain()
                if missing is None:
                    raise
                raise ConnectionFailed(
                    failure.what,
                    reason=f"{failure.reason}. {missing}",
                    code=failure.code,
                    fix="`xacct doctor` reads the network, and says what makes it whole",
                ) from failure

        def is_refused(failure: Exception) -> bool:
            if not isinstance(failure, LoginFailed) or not is_login_refused(failure.reason):
                return False
            refused.append(failure)
            return True

        return retry_refused_login(
            attempt,
            is_refused,
            window=self._rotation_window,
            sleep=self._sleep,
            clock=self._clock,
        )

    def _run_once(self, work: Callable[[Any], T]) -> T:
        # After an interrupt the connection is only closed. The interrupt may have come in the
        # middle of a statement, and a rollback would wait for its answer.
        with self._kept_or_new() as connection:
            try:
                answer = work(connection)
            except Exception:
                # Closing rolls back too; the rollback frees locks at once.
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

    def _open(self, credentials: WarehouseCredentials) -> Any:
        host, port = credentials.host, credentials.port
        # The driver's DEBUG log has rows and parameters.
        driver_log = logging.getLogger("redshift_connector")
        if driver_log.getEffectiveLevel() < logging.INFO:
            driver_log.setLevel(logging.INFO)
        connector = self._connector
        if connector is None:
            import redshift_connector

            probe(host, port, credentials.connect_timeout or self._connect_timeout)
            connect: Any = redshift_connector.connect  # its annotation of `timeout` is too narrow
            connector = connect
        with database_errors(
            f"{host}:{port}", user=credentials.user, secret=credentials.secret_arn
        ):
            connection = connector(
                host=host,
                port=port,
                database=credentials.database,
                user=credentials.user,
                password=credentials.password,
                ssl=True,
                sslmode="verify-full",
                timeout=self._login_timeout,
                application_name="xacct_assets",
                **keepalive.DRIVER_OPTIONS,
            )
            keepalive.set_timeouts(connection, self._statement_timeout)
            return connection
