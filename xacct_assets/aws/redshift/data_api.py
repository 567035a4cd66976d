"""SQL through the Redshift Data API: idempotent, resumable, cancellable, all pages.

Facts (Redshift Data API reference and its botocore model): a ClientToken of up to 64 characters
makes a submit idempotent for 8 hours; WaitTimeSeconds (1-30) makes DescribeStatement a long poll;
a batch of up to 40 statements is one transaction; parameters are values only, all text, neither
NULL nor empty; a statement has up to 100 KB of text; results are kept for 24 hours.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call, error_code
from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import (
    AwsFailure,
    NotFound,
    ResultExpired,
    StatementFailed,
    Throttled,
    WaitTimeout,
)
from xacct_assets.aws.polling import Backoff, Waiter, suppress_and_log
from xacct_assets.aws.transient_errors import is_lost_connection
from xacct_assets.contract.conflicts import is_conflict

logger = logging.getLogger(__name__)

MAX_BATCH = 40
MAX_SQL_BYTES = 100_000
MAX_TOKEN = 64
LONG_POLL = 10
BACKOFF = Backoff(first=0.2, factor=1.6, cap=10.0)
#: Seconds. The Data API itself ends a query after 24 h.
STATEMENT_TIMEOUT = 6 * 3600.0
#: Seconds to wait while the workgroup has too many statements of ours under way.
SUBMIT_TIMEOUT = 900.0
CANCEL_TIMEOUT = 25.0
ENDED = frozenset({"FINISHED", "ABORTED", "FAILED"})
_BUSY = ("ActiveStatementsExceededException", "ActiveSessionsExceededException")
_NO_LONG_POLL = "ActiveWaitingRequestsExceededException"
_PARAMETER = re.compile(r"[A-Za-z_]\w*")
#: How often a statement or batch is run in all if other transactions get in its way.
CONFLICT_ATTEMPTS = 6


@dataclass(frozen=True)
class StatementResult:
    """What a statement did.

    Attributes:
        id: the Data API's id (of the sub-statement, in a batch).
        rows: the result set; numbers are int, float or Decimal, the rest text, NULL is None.
        row_count: rows returned or affected, as Redshift reports it; -1 if it does not.
        duration: seconds it took in Redshift.
    """

    id: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    row_count: int = -1
    duration: float = 0.0


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
        workgroup, database: where.
        secret_arn: the JSON secret to log in with; None logs in as the caller's IAM identity.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        client: Any,
        workgroup: str,
        database: str,
        secret_arn: str | None = None,
        *,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._workgroup = workgroup
        self._database = database
        self._secret_arn = secret_arn
        self._backoff = backoff
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

        Args:
            sql: the statement; values in it are named parameters (``:day``).
            parameters: their values, text.
            client_token: asking again with the same token follows the same statement instead of
                running it twice (for 8 h). A statement that failed stays failed under its token.
            name: shown in the console and in errors.
            timeout: seconds, after which the statement is cancelled.
            on_submit: called with the statement's id.
            on_tick: called while waiting with the seconds waited.

        Raises:
            StatementFailed: with the database's own text and the position it names. Conflicts with
                other transactions are met by running it again first, under further tokens.
            ResultExpired: the token's statement ended more than a day ago.
            Throttled: the workgroup stayed full.
        """
        _check_sql(sql)
        request = {"Sql": sql, **self._common(parameters, client_token, name)}
        described = self._perform("execute_statement", request, name, timeout, on_submit, on_tick)
        return self._result(described)

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
        """Run statements as one transaction; a result for each, in order.

        Raises:
            ValueError: none, or more than 40 statements (they could not be one transaction).
            StatementFailed: naming the statement that failed; nothing of the batch was kept.
        """
        if not 1 <= len(sqls) <= MAX_BATCH:
            raise ValueError(f"a batch has 1 to {MAX_BATCH} statements, not {len(sqls)}")
        for sql in sqls:
            _check_sql(sql)
        request = {"Sqls": list(sqls), **self._common(parameters, client_token, name)}
        described = self._perform(
            "batch_execute_statement", request, name, timeout, on_submit, on_tick
        )
        # A batch that ended while it was submitted is not described; its parts are numbered.
        parts = described.get("SubStatements") or [
            {"Id": f"{described['Id']}:{number}"} for number in range(1, len(sqls) + 1)
        ]
        return [self._result(part) for part in parts]

    def cancel(self, statement_id: str) -> str:
        """Cancel a statement and wait until it has ended; the status it ended in.

        Raises:
            WaitTimeout: it runs on though it was asked to end again and again.
        """
        resource = f"statement {statement_id}"
        waiter = Waiter(self._backoff, sleep=self._sleep, clock=self._clock)

        def ended() -> str | None:
            status = str(self._describe(statement_id, wait=None)["Status"])
            if status in ENDED:
                return status
            # Asked again as long as it runs on: one request may be lost.
            with aws_call(
                "redshift-data:CancelStatement", resource, expected_codes=("ValidationException",)
            ):
                try:
                    self._client.cancel_statement(Id=statement_id)
                except Exception as error:
                    # It has just ended; which way is seen at the next look.
                    if error_code(error) != "ValidationException":
                        raise
            return None

        return waiter.until(ended, what=f"{resource} to be cancelled", timeout=CANCEL_TIMEOUT)

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

    def _perform(
        self,
        operation: str,
        request: dict[str, Any],
        name: str | None,
        timeout: float,
        on_submit: Callable[[str], None] | None,
        on_tick: Callable[[float], None] | None,
    ) -> dict[str, Any]:
        token = request["ClientToken"]
        for attempt in range(1, CONFLICT_ATTEMPTS + 1):
            try:
                return self._perform_once(operation, request, name, timeout, on_submit, on_tick)
            except StatementFailed as failure:
                # Nothing of it was kept: a statement, and a batch, is one transaction.
                if not is_conflict(failure.reason) or attempt == CONFLICT_ATTEMPTS:
                    raise
                logger.info("%s met another transaction, trying again: %s", name, failure.reason)
            # A token stays with the statement that failed under it. The next one follows from it,
            # so that whoever takes this work up comes by the same tokens.
            request = {**request, "ClientToken": token_of(token, f"attempt {attempt + 1}")}
            # Full jitter: rivals that collided must not collide again in step.
            self._sleep(random.uniform(0.05, min(10.0, 0.2 * 2**attempt)))  # noqa: S311
        raise AssertionError("the last attempt returns or raises")

    def _perform_once(
        self,
        operation: str,
        request: dict[str, Any],
        name: str | None,
        timeout: float,
        on_submit: Callable[[str], None] | None,
        on_tick: Callable[[float], None] | None,
    ) -> dict[str, Any]:
        statement_id: str | None = None
        try:
            described = self._submit(operation, request, timeout, on_tick)
            statement_id = str(described["Id"])
            if on_submit is not None:
                on_submit(statement_id)
            # One that succeeded meanwhile has told all there is to know, unless rows of a batch's
            # parts are to be read. One that failed has not said why.
            rows_of_parts = "Sqls" in request and described.get("HasResultSet")
            if described.get("Status") != "FINISHED" or rows_of_parts:
                described = self._wait(statement_id, name, timeout, on_tick)
        except BaseException as reason:
            if statement_id is not None:
                known = statement_id
                suppress_and_log(lambda: self.cancel(known), f"cancelling statement {known}")
            elif not isinstance(reason, Exception):
                # Interrupted while the request was out: the same token gives the id of what it
                # started.
                suppress_and_log(lambda: self._cancel_submitted(operation, request), "cancelling")
            raise
        if described["Status"] == "FINISHED":
            return described
        raise _failure(described, name)

    def _submit(
        self,
        operation: str,
        request: dict[str, Any],
        timeout: float,
        on_tick: Callable[[float], None] | None,
    ) -> dict[str, Any]:
        """Submit, and wait for the end for as long as one request may; the service's answer."""
        action = _action(operation)
        resource = f"workgroup {self._workgroup}"
        # Data API guide, "Reduce API calls with long polling": a submit can wait as well.
        patience = {"WaitTimeSeconds": LONG_POLL} if timeout > LONG_POLL else {}

        def once() -> dict[str, Any] | None:
            try:
                with aws_call(action, resource):
                    answer: dict[str, Any] = getattr(self._client, operation)(**request, **patience)
            except AwsFailure as failure:
                if failure.code == _NO_LONG_POLL:
                    patience.clear()
                elif failure.code not in _BUSY:
                    raise
                logger.info("workgroup %s is busy (%s); waiting", self._workgroup, failure.code)
                return None
            return answer

        waiter = Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)
        try:
            return waiter.until(once, what="a place in the workgroup", timeout=SUBMIT_TIMEOUT)
        except WaitTimeout as full:
            raise Throttled(
                f"{action} on {resource} found no place for {SUBMIT_TIMEOUT:.0f} s",
                reason="too many active statements",
                action=action,
                resource=resource,
                fix="run fewer days at the same moment, or wait for other statements to end",
            ) from full

    def _cancel_submitted(self, operation: str, request: dict[str, Any]) -> None:
        with aws_call(_action(operation), f"workgroup {self._workgroup}"):
            statement_id = str(getattr(self._client, operation)(**request)["Id"])
        self.cancel(statement_id)

    def _wait(
        self,
        statement_id: str,
        name: str | None,
        timeout: float,
        on_tick: Callable[[float], None] | None,
    ) -> dict[str, Any]:
        long_poll = True

        def ended() -> dict[str, Any] | None:
            nonlocal long_poll
            try:
                described = self._describe(statement_id, wait=LONG_POLL if long_poll else None)
            except AwsFailure as failure:
                if failure.code != _NO_LONG_POLL:
                    raise
                long_poll = False
                return None
            status = described["Status"]
            return described if status in ENDED else None

        # A service that ignores WaitTimeSeconds answers at once: the pauses keep that from
        # becoming a busy loop, and cost nothing where the answer comes at the end of the work.
        waiter = Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)
        return waiter.until(
            ended, what=f"the end of {name or 'statement'} ({statement_id})", timeout=timeout
        )

    def _describe(self, statement_id: str, *, wait: int | None) -> dict[str, Any]:
        request: dict[str, Any] = {"Id": statement_id}
        if wait:
            request["WaitTimeSeconds"] = wait
        try:
            with aws_call("redshift-data:DescribeStatement", f"statement {statement_id}"):
                described: dict[str, Any] = self._client.describe_statement(**request)
        except NotFound as gone:
            raise _expired(statement_id) from gone
        return described

    def _result(self, described: dict[str, Any]) -> StatementResult:
        statement_id = str(described["Id"])
        rows = self._rows(statement_id) if described.get("HasResultSet") else []
        return StatementResult(
            id=statement_id,
            rows=rows,
            row_count=int(described.get("ResultRows", -1)),
            duration=int(described.get("Duration") or 0) / 1e9,
        )

    def _rows(self, statement_id: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        columns: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            request: dict[str, Any] = {"Id": statement_id}
            if token:
                request["NextToken"] = token
            try:
                with aws_call("redshift-data:GetStatementResult", f"statement {statement_id}"):
                    page = self._client.get_statement_result(**request)
            except NotFound as gone:
                raise _expired(statement_id) from gone
            columns = columns or page.get("ColumnMetadata", [])
            names = [column.get("label") or column["name"] for column in columns]
            types = [str(column.get("typeName", "")) for column in columns]
            rows += [
                dict(zip(names, map(_value, record, types), strict=True))
                for record in page.get("Records", [])
            ]
            token = page.get("NextToken")
            if not token:
                return rows


def _action(operation: str) -> str:
    return "redshift-data:" + operation.title().replace("_", "")


def _value(cell: dict[str, Any], type_name: str) -> Any:
    if cell.get("isNull"):
        return None
    for kind in ("longValue", "doubleValue", "booleanValue", "blobValue"):
        if kind in cell:
            return cell[kind]
    text = cell["stringValue"]
    # The Data API gives exact numbers as text.
    return Decimal(text) if type_name in ("numeric", "decimal") else text


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


def _expired(statement_id: str) -> ResultExpired:
    return ResultExpired(
        f"the Data API no longer knows statement {statement_id}",
        reason="it keeps statements and results for 24 hours",
    )


def _failure(described: dict[str, Any], name: str | None) -> StatementFailed:
    subs = described.get("SubStatements") or []
    culprit = next((s for s in subs if s.get("Status") == "FAILED"), None) or described
    text = str(culprit.get("Error") or described.get("Error") or "the Data API gives no message")
    where = ""
    if culprit is not described:
        where = f" (statement {subs.index(culprit) + 1} of {len(subs)} in the batch)"
    shown = " ".join(str(culprit.get("QueryString") or "").split())[:160]
    status = str(described["Status"])
    conflict, lost = is_conflict(text), is_lost_connection(text)
    if status == "ABORTED":
        fix: str | None = "somebody cancelled it, or the workgroup ended: materialize again"
    elif conflict:
        fix = "another transaction changed the same rows: try again"
    elif lost:
        fix = "the database ended the session: try again once the workgroup is AVAILABLE"
    else:
        fix = "read the database's message; sys_query_history has the statement"
    about: dict[str, Any] = {
        "resource": f"statement {described['Id']}" + (f": {shown}" if shown else ""),
        "fix": fix,
    }
    return StatementFailed(
        f"{name or 'statement'}{where} ended as {status}",
        statement_id=str(described["Id"]),
        status=status,
        reason=text,
        retryable=conflict or lost or status == "ABORTED",
        **{**about, **denial_in(text)},
    )
