"""SQL through the Redshift Data API: idempotent, resumable, cancellable, all pages.

Facts (Redshift Data API reference and its botocore model): a ClientToken of up to 64 characters
makes a submit idempotent for 8 hours; WaitTimeSeconds (1-30) makes DescribeStatement a long poll;
a batch of up to 40 statements is one transaction; parameters are values only, all text, neither
NULL nor empty; a statement has up to 100 KB of text; results are kept for 24 hours.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import LoginFailed, StatementFailed
from xacct_assets.aws.polling import Backoff
from xacct_assets.aws.redshift.data_api_results import StatementResult, read_result
from xacct_assets.aws.redshift.data_api_statements import BACKOFF, Follow, Operation, Statements
from xacct_assets.contract.conflicts import is_conflict, retry_transaction
from xacct_assets.contract.logins import ROTATION_WINDOW, retry_refused_login

if TYPE_CHECKING:
    from mypy_boto3_redshift_data.client import RedshiftDataAPIServiceClient

logger = logging.getLogger(__name__)

MAX_BATCH = 40
MAX_SQL_BYTES = 100_000
MAX_TOKEN = 64
#: Seconds. The Data API itself ends a query after 24 h.
STATEMENT_TIMEOUT = 6 * 3600.0
_PARAMETER = re.compile(r"[A-Za-z_]\w*")


def token_of(*parts: str) -> str:
    """A client token that is the same for the same parts: 64 hexadecimal digits.

    >>> len(token_of("run", "fact_table"))
    64
    """
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class DataApi:
    """Runs SQL in one workgroup and database.

    Args:
        client: boto3's ``redshift-data`` client.
        workgroup: name of the Redshift Serverless workgroup.
        database: name of the database.
        secret_arn: the JSON secret to log in with; None logs in as the caller's IAM identity.
        rotation_window: seconds for which a statement is run again because its login was refused.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        client: RedshiftDataAPIServiceClient,
        workgroup: str,
        database: str,
        secret_arn: str | None = None,
        *,
        rotation_window: float = ROTATION_WINDOW,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._statements = Statements(client, workgroup, backoff=backoff, sleep=sleep, clock=clock)
        self._workgroup = workgroup
        self._database = database
        self._secret_arn = secret_arn
        self._rotation_window = rotation_window
        self._sleep = sleep
        self._clock = clock

    def execute(
        self,
        sql: str,
        parameters: Mapping[str, str] | None = None,
        *,
        client_token: str | None = None,
        name: str | None = None,
        timeout: float = STATEMENT_TIMEOUT,
        on_submit: Callable[[str], None] | None = None,
        on_tick: Callable[[float], None] | None = None,
    ) -> StatementResult:
        """Run one statement and return its whole result.

        A statement that conflicts with another transaction, or whose login is refused, is run
        again, under further tokens.

        Args:
            sql: the statement; values in it are named parameters (``:day``).
            parameters: their values, text.
            client_token: a second call with the same token follows the same statement instead of
                running it twice (for 8 h). A statement that failed stays failed under its token.
            name: shown in the console and in errors.
            timeout: seconds, after which the statement is cancelled.
            on_submit: called with the statement's id.
            on_tick: called while waiting with the seconds waited.

        Raises:
            StatementFailed: with the database's message and the position that it names.
            LoginFailed: the login stayed refused.
            ResultExpired: the token's statement ended more than a day ago.
            Throttled: the workgroup stayed full.
        """
        _check_sql(sql)
        request = {"Sql": sql, **self._common(parameters, client_token, name)}
        follow = Follow(name, timeout, on_submit, on_tick)
        return read_result(self._client, self._run("execute_statement", request, follow))

    def batch(
        self,
        sqls: Sequence[str],
        *,
        client_token: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, str] | None = None,
        timeout: float = STATEMENT_TIMEOUT,
        on_submit: Callable[[str], None] | None = None,
        on_tick: Callable[[float], None] | None = None,
    ) -> list[StatementResult]:
        """Run statements as one transaction; arguments as those of `execute`.

        Returns:
            A result for each statement, in order.

        Raises:
            ValueError: no statement, or more than 40 (they could not be one transaction).
            StatementFailed: naming the statement that failed; nothing of the batch was kept.
        """
        if not 1 <= len(sqls) <= MAX_BATCH:
            raise ValueError(f"a batch has 1 to {MAX_BATCH} statements, not {len(sqls)}")
        for sql in sqls:
            _check_sql(sql)
        request = {"Sqls": list(sqls), **self._common(parameters, client_token, name)}
        follow = Follow(name, timeout, on_submit, on_tick)
        described = self._run("batch_execute_statement", request, follow)
        # A batch that finished during the submit is not described; its parts have numbers.
        parts = described.get("SubStatements") or [
            {"Id": f"{described['Id']}:{number}"} for number in range(1, len(sqls) + 1)
        ]
        return [read_result(self._client, part) for part in parts]

    def cancel(self, statement_id: str) -> str:
        """Cancel a statement and wait until it has ended; see `Statements.cancel`."""
        return self._statements.cancel(statement_id)

    def _common(
        self, parameters: Mapping[str, str] | None, client_token: str | None, name: str | None
    ) -> dict[str, Any]:
        token = client_token or uuid.uuid4().hex
        if len(token) > MAX_TOKEN:
            token = token_of(token)
        common: dict[str, Any] = {
            "WorkgroupName": self._workgroup,
            "Database": self._database,
            "ClientToken": token,
        }
        if self._secret_arn:
            common["SecretArn"] = self._secret_arn
        if name:
            common["StatementName"] = name[:500]
        if parameters:
            common["Parameters"] = [
                {"name": key, "value": _parameter(key, value)} for key, value in parameters.items()
            ]
        return common

    def _run(
        self, operation: Operation, request: Mapping[str, Any], follow: Follow
    ) -> Mapping[str, Any]:
        """Run a request; again, if it conflicts with another transaction or cannot log in."""
        token = request["ClientToken"]
        attempts = itertools.count(1)

        def run_once(_attempt: int) -> Mapping[str, Any]:
            # A token belongs to the statement that failed under it. The next token is derived from
            # it, so that whoever resumes this work arrives at the same ones.
            attempt = next(attempts)
            own = token if attempt == 1 else token_of(token, f"attempt {attempt}")
            return self._statements.run(operation, {**request, "ClientToken": own}, follow)

        def is_retryable(failure: Exception) -> bool:
            # A statement, and a batch, is one transaction: nothing of it was kept.
            conflict = isinstance(failure, StatementFailed) and is_conflict(failure.reason)
            if conflict:
                logger.info("%s met another transaction, trying again: %s", follow.name, failure)
            return conflict

        return retry_refused_login(
            lambda: retry_transaction(run_once, is_retryable, sleep=self._sleep),
            lambda failure: isinstance(failure, LoginFailed),
            window=self._rotation_window,
            sleep=self._sleep,
            clock=self._clock,
        )


def _check_sql(sql: str) -> None:
    size = len(sql.encode())
    if size > MAX_SQL_BYTES:
        raise ValueError(
            f"the statement has {size:,} bytes; the Data API takes {MAX_SQL_BYTES:,}: split it"
        )


def _parameter(name: str, value: object) -> str:
    if not _PARAMETER.fullmatch(name):
        raise ValueError(f"{name!r} is not a usable parameter name")
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"parameter :{name} is {value!r}; the Data API takes text only, neither NULL nor empty"
        )
    return value
