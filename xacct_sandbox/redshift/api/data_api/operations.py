"""The operations of the Redshift Data API: checks, identity, idempotency, answers.

Limits and texts are those of the Data API guide and of botocore's redshift-data model. What the
sandbox does not do (clusters, sessions, events, CSV results) is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.redshift.api.data_api.parameters import (
    ParameterError,
    check_parameters,
    check_references,
)
from xacct_sandbox.redshift.api.data_api.results import ResultStore
from xacct_sandbox.redshift.api.data_api.runner import Database, Login, Runner, TakeTime
from xacct_sandbox.redshift.api.data_api.statements import (
    ABORTED,
    AUTO_COMMIT,
    ENDED,
    FAILED,
    FINISHED,
    PICKED,
    RETENTION_SECONDS,
    STARTED,
    SUBMITTED,
    TOKEN_SECONDS,
    TRANSACTION,
    Live,
    Statement,
    SubStatement,
)
from xacct_sandbox.redshift.api.serverless import Serverless, database_user
from xacct_sandbox.service_errors import ServiceError

MAX_SQL_BYTES = 100 * 1024
MAX_SQLS = 40
MAX_TOKEN = 64
MAX_WAIT_SECONDS = 30
# "The maximum number of active queries (STARTED and SUBMITTED) per cluster" (quotas page).
MAX_ACTIVE = 500
LIST_PAGE = 100
# For logins by IAM identity; the shortest that GetCredentials gives.
LOGIN_SECONDS = 900

_STATUSES = {SUBMITTED, PICKED, STARTED, FINISHED, ABORTED, FAILED, "ALL"}
_NOT_PART_OF_THE_QUESTION = {"ClientToken", "WaitTimeSeconds"}

Request = dict[str, Any]


class DataApi:
    """Every statement of this sandbox, and the operations on them."""

    def __init__(
        self,
        serverless: Serverless,
        database: Database,
        results: ResultStore,
        *,
        spawn: Callable[..., object] = emulator.start_thread,
        **timing: TakeTime,
    ) -> None:
        """``timing`` may hold the runner's ``take_time``."""
        self._serverless = serverless
        self._results = results
        self._runner = Runner(database, results, spawn=spawn, ended=self._keep, **timing)
        self._live: dict[str, Live] = {}
        self._lock = threading.RLock()

    def operations(self) -> dict[str, Callable[[Request], dict[str, Any]]]:
        """By name, for ministack."""
        return {
            "ExecuteStatement": self.execute_statement,
            "BatchExecuteStatement": self.batch_execute_statement,
            "DescribeStatement": self.describe_statement,
            "GetStatementResult": self.get_statement_result,
            "GetStatementResultV2": self.get_statement_result_v2,
            "ListStatements": self.list_statements,
            "CancelStatement": self.cancel_statement,
        }

    def resource_arn(self, operation: str, request: Request) -> str:
        """Submits are authorized on the workgroup, the rest on everything, as on AWS."""
        workgroup = request.get("WorkgroupName")
        if not workgroup or operation == "ListStatements":
            return "*"
        found = self._serverless.find_workgroup(workgroup)
        return found["workgroupArn"] if found else self._serverless.workgroup_arn(workgroup)

    # -- submitting ------------------------------------------------------------------------

    def execute_statement(self, request: Request) -> dict[str, Any]:
        """ExecuteStatement."""
        sql = request.get("Sql")
        if not isinstance(sql, str) or not sql.strip():
            raise _invalid("Sql is required and cannot be empty")
        return self._submit(request, [sql], is_batch=False)

    def batch_execute_statement(self, request: Request) -> dict[str, Any]:
        """BatchExecuteStatement."""
        sqls = request.get("Sqls")
        if not isinstance(sqls, list) or not 1 <= len(sqls) <= MAX_SQLS:
            raise _invalid(f"Sqls must have 1 to {MAX_SQLS} statements")
        if not all(isinstance(sql, str) and sql.strip() for sql in sqls):
            raise _invalid("Sqls cannot hold an empty statement")
        mode = request.get("ExecutionMode") or TRANSACTION
        if mode not in (TRANSACTION, AUTO_COMMIT):
            raise _invalid(f"ExecutionMode {mode!r} does not exist")
        return self._submit(request, sqls, is_batch=True, mode=mode)

    def _submit(
        self, request: Request, sqls: list[str], *, is_batch: bool, mode: str = TRANSACTION
    ) -> dict[str, Any]:
        _refuse_unsupported(request)
        wait = _wait_seconds(request)
        for sql in sqls:
            if len(sql.encode()) > MAX_SQL_BYTES:
                raise _invalid("Cannot process query string larger than 100kB")
        parameters = request.get("Parameters") or []
        try:
            values = check_parameters(parameters)
            if values:
                check_references(sqls, values)
        except ParameterError as problem:
            raise _invalid(str(problem)) from problem
        workgroup, login = self.find_login(request)
        owner, caller = _identity()
        now = time.time()
        statement = Statement(
            id=str(uuid.uuid4()),
            owner=owner,
            caller=caller,
            workgroup=workgroup["workgroupName"],
            database=request["Database"],
            subs=[SubStatement(sql, now, now) for sql in sqls],
            created=now,
            updated=now,
            is_batch=is_batch,
            mode=mode,
            name=request.get("StatementName"),
            parameters=parameters,
            secret_arn=request.get("SecretArn"),
            token=request.get("ClientToken"),
            fingerprint=_fingerprint(request, is_batch),
        )
        with self._lock:
            self._forget_old(now)
            live = self._same_token(statement)
            if live is None:
                self._check_active()
                live = Live(statement)
                self._live[statement.id] = live
                self._keep(live)
                self._runner.submit(live, login)
        if wait:
            live.wait(wait)
        return live.statement.submitted()

    def find_login(self, request: Request) -> tuple[dict[str, Any], Callable[[], Login]]:
        """The workgroup, and how to log in to it; the caller's right to that is checked now."""
        database = request.get("Database")
        if not database:
            raise _invalid("Database is required")
        if not request.get("WorkgroupName"):
            raise _invalid("WorkgroupName is required: the sandbox has Redshift Serverless only")
        workgroup = self._serverless.find_workgroup(request["WorkgroupName"])
        if workgroup is None:
            raise _invalid(
                f"Redshift endpoint doesn't exist in this region: there is no workgroup "
                f"{request['WorkgroupName']!r}"
            )
        if request.get("SecretArn"):
            _, text = emulator.secret_of_caller(request["SecretArn"])
            user, password = _read_secret(request["SecretArn"], text)
            return workgroup, lambda: Login(database, user, password)
        emulator.require_permission("redshift-serverless:GetCredentials", workgroup["workgroupArn"])
        user = database_user(emulator.caller_arn())

        def login() -> Login:
            found = self._serverless.temporary_credentials(user, LOGIN_SECONDS)
            return Login(database, found.user, found.password)

        return workgroup, login

    def _same_token(self, statement: Statement) -> Live | None:
        """The statement that was submitted with this token, if the token still counts.

        Raises:
            ServiceError: the token was used for another request.
        """
        if not statement.token:
            return None
        if len(statement.token) > MAX_TOKEN:
            raise _invalid(f"ClientToken has at most {MAX_TOKEN} characters")
        for other in self._known():
            if (
                other.token == statement.token
                and other.owner == statement.owner
                and statement.created - other.created < TOKEN_SECONDS
            ):
                if other.fingerprint != statement.fingerprint:
                    raise _invalid(
                        f"ClientToken {statement.token!r} was already used with different "
                        "request parameters"
                    )
                return self._live_of(other)
        return None

    def _check_active(self) -> None:
        active = sum(not live.statement.ended for live in self._live.values())
        if active >= MAX_ACTIVE:
            raise ServiceError(
                "ActiveStatementsExceededException",
                f"The number of active statements exceeds the limit of {MAX_ACTIVE}. Wait for "
                "some to end, then try again.",
            )

    # -- looking ---------------------------------------------------------------------------

    def describe_statement(self, request: Request) -> dict[str, Any]:
        """DescribeStatement, of a statement or of one sub-statement."""
        live, number = self._find(request.get("Id"))
        wait = _wait_seconds(request)
        if wait:
            live.wait(wait)
        with live.changed:
            return live.statement.described(number)

    def get_statement_result(self, request: Request) -> dict[str, Any]:
        """GetStatementResult."""
        live, number = self._find(request.get("Id"))
        wait = _wait_seconds(request)
        if wait:
            live.wait(wait)
        statement = live.statement
        if statement.is_batch and number is None:
            raise _not_found(
                "Query does not have result. Please check query status with DescribeStatement: "
                f"it is a batch, whose results are those of {statement.id}:1 and so on."
            )
        if statement.status != FINISHED and not (
            statement.mode == AUTO_COMMIT and statement.subs[(number or 1) - 1].status == FINISHED
        ):
            raise _not_found(
                "Query does not have result. Please check query status with DescribeStatement: "
                f"it is {statement.status}."
            )
        try:
            answer = self._results.page(f"{statement.id}:{number or 1}", request.get("NextToken"))
        except ValueError as problem:
            raise _invalid(f"NextToken is not valid: {problem}") from problem
        if answer is None:
            raise _not_found(
                "Query does not have result. Please check query status with DescribeStatement: "
                "it gave no result set."
            )
        return answer

    def get_statement_result_v2(self, request: Request) -> dict[str, Any]:
        """GetStatementResultV2 is for CSV results, which cannot be asked for here."""
        raise _invalid(
            "GetStatementResultV2 returns results in ResultFormat CSV, which the sandbox does not "
            "support; use GetStatementResult"
        )

    def list_statements(self, request: Request) -> dict[str, Any]:
        """ListStatements: finished ones unless Status says otherwise, the newest first."""
        if request.get("ClusterIdentifier"):
            raise _invalid("ClusterIdentifier: the sandbox has Redshift Serverless only")
        status = request.get("Status") or FINISHED
        if status not in _STATUSES:
            raise _invalid(f"Status {status!r} does not exist")
        role_level = request.get("RoleLevel", True)
        owner, caller = _identity()
        prefix = request.get("StatementName") or ""
        workgroup = request.get("WorkgroupName")
        found = [
            statement
            for statement in self._known()
            if (statement.owner == owner if role_level else statement.caller == caller)
            and status in ("ALL", statement.status)
            and (statement.name or "").startswith(prefix)
            and request.get("Database") in (None, statement.database)
            and (not workgroup or workgroup.rpartition("/")[2] == statement.workgroup)
        ]
        found.sort(key=lambda statement: statement.created, reverse=True)
        chosen, token = page(found, request, limit=LIST_PAGE, error="ValidationException")
        answer: dict[str, Any] = {"Statements": [statement.listed() for statement in chosen]}
        if token:
            answer["NextToken"] = token
        return answer

    def cancel_statement(self, request: Request) -> dict[str, Any]:
        """CancelStatement: stops what runs in the database."""
        live, number = self._find(request.get("Id"))
        if number is not None:
            raise _invalid("A sub-statement cannot be cancelled; cancel the batch it belongs to")
        with live.changed:
            if live.statement.status in ENDED:
                raise _invalid(
                    f"Could not cancel a query that is already in {live.statement.status} state, "
                    f"queryId: {live.statement.id}"
                )
            self._runner.cancel(live)
        return {"Status": True}

    # -- keeping ---------------------------------------------------------------------------

    def _find(self, identifier: str | None) -> tuple[Live, int | None]:
        """A statement the caller may see, and the sub-statement's number if the id has one."""
        base, _, suffix = (identifier or "").partition(":")
        live = self._live.get(base)
        document = None if live else _saved().get(base)
        if live is None and document is not None:
            live = self._live_of(Statement.from_json(document))
        owner, _ = _identity()
        if (
            live is None
            or live.statement.owner != owner
            or time.time() - live.statement.created > RETENTION_SECONDS
        ):
            raise _not_found("Query does not exist.")
        if not suffix:
            return live, None
        number = int(suffix) if suffix.isdigit() else 0
        if not 1 <= number <= len(live.statement.subs):
            raise _not_found("Query does not exist.")
        return live, number

    def _known(self) -> list[Statement]:
        """Every statement of the account and region, running ones as they are now."""
        known = []
        for identifier, document in list(_saved().items()):
            live = self._live.get(identifier)
            known.append(live.statement if live else self._settled(Statement.from_json(document)))
        return known

    def _live_of(self, statement: Statement) -> Live:
        return self._live.get(statement.id) or Live(self._settled(statement))

    def _settled(self, statement: Statement) -> Statement:
        """A statement that an earlier process was still working on: nobody does any more."""
        if not statement.ended:
            statement.status = FAILED
            statement.error = (
                "Connection to the database failed: the sandbox was stopped while the statement "
                "ran; it was rolled back"
            )
            for sub in statement.subs:
                if sub.status not in ENDED:
                    sub.status, sub.error = ABORTED, statement.error
        return statement

    def _keep(self, live: Live) -> None:
        """Save the statement; an ended one is no longer held in memory once its waiters left."""
        _saved()[live.statement.id] = live.statement.to_json()
        if live.statement.ended:
            self._live.pop(live.statement.id, None)

    def _forget_old(self, now: float) -> None:
        for identifier, document in list(_saved().items()):
            if now - document["created"] > RETENTION_SECONDS and identifier not in self._live:
                _saved().pop(identifier, None)
                for number in range(1, len(document["subs"]) + 1):
                    self._results.drop(f"{identifier}:{number}")


def _saved() -> Any:
    return emulator.scoped_state("redshift-data-statements")


def _identity() -> tuple[str, str]:
    """(role or user, session) of the caller."""
    arn = emulator.caller_arn()
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "assumed-role":
        return arn[: len(arn) - len(name)] + name.partition("/")[0], arn
    return arn, arn


def _fingerprint(request: Request, is_batch: bool) -> str:
    asked = {key: value for key, value in request.items() if key not in _NOT_PART_OF_THE_QUESTION}
    text = json.dumps([is_batch, asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _wait_seconds(request: Request) -> float:
    wait = request.get("WaitTimeSeconds")
    if wait is None:
        return 0.0
    if not isinstance(wait, int) or not 1 <= wait <= MAX_WAIT_SECONDS:
        raise _invalid(f"WaitTimeSeconds {wait!r} is not in 1..{MAX_WAIT_SECONDS}")
    return float(wait)


def _refuse_unsupported(request: Request) -> None:
    if request.get("ResultFormat") not in (None, "JSON"):
        raise _invalid("ResultFormat CSV is not supported by the sandbox; use JSON")
    for option, reason in (
        ("ClusterIdentifier", "the sandbox has Redshift Serverless only; use WorkgroupName"),
        ("DbUser", "it belongs to clusters; use SecretArn, or the caller's IAM identity"),
        ("SessionKeepAliveSeconds", "sessions are not supported by the sandbox"),
        ("SessionId", "sessions are not supported by the sandbox"),
        ("WithEvent", "EventBridge events are not supported by the sandbox"),
    ):
        if request.get(option):
            raise _invalid(f"{option}: {reason}")


def _read_secret(secret_id: str, text: str) -> tuple[str, str]:
    try:
        document = json.loads(text)
        return str(document["username"]), str(document["password"])
    except (ValueError, TypeError, KeyError) as problem:
        raise _invalid(
            f"Secret {secret_id} does not have the JSON members username and password, which the "
            "Data API needs"
        ) from problem


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _not_found(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message)
