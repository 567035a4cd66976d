"""The operations of the Redshift Data API.

What the sandbox does not do (clusters, sessions, events, CSV results) is refused by name.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.redshift.api.data_api.requests import (
    Request,
    caller_identity,
    check_statements,
    fingerprint,
    invalid,
    not_found,
    read_secret,
    refuse_unsupported,
    wait_seconds,
)
from xacct_sandbox.redshift.api.data_api.results import ResultStore
from xacct_sandbox.redshift.api.data_api.runner import (
    Database,
    Login,
    Runner,
    TakeTime,
    no_latency,
)
from xacct_sandbox.redshift.api.data_api.statement_store import StatementStore
from xacct_sandbox.redshift.api.data_api.statements import (
    ABORTED,
    AUTO_COMMIT,
    ENDED,
    FAILED,
    FINISHED,
    PICKED,
    STARTED,
    SUBMITTED,
    TRANSACTION,
    Live,
    Statement,
    SubStatement,
)
from xacct_sandbox.redshift.api.serverless import Serverless, database_user, tag_keys
from xacct_sandbox.service_errors import ServiceError

MAX_SQLS = 40
# "The maximum number of active queries (STARTED and SUBMITTED) per cluster" (quotas page).
MAX_ACTIVE = 500
LIST_PAGE = 100
LOGIN_SECONDS = 900
"""Validity of the password for a login by IAM identity; the shortest that GetCredentials gives."""

_ON_A_WORKGROUP = {
    "BatchExecuteStatement",
    "DescribeTable",
    "ExecuteStatement",
    "ListDatabases",
    "ListSchemas",
    "ListTables",
}
_ON_A_STATEMENT = {
    "CancelStatement",
    "DescribeStatement",
    "GetStatementResult",
    "GetStatementResultV2",
}
_OWNER_KEY = "redshift-data:statement-owner-iam-userid"
_STATUSES = {SUBMITTED, PICKED, STARTED, FINISHED, ABORTED, FAILED, "ALL"}


class DataApi:
    """The operations on statements."""

    def __init__(
        self,
        serverless: Serverless,
        database: Database,
        results: ResultStore,
        *,
        spawn: Callable[..., object] = emulator.start_thread,
        take_time: TakeTime = no_latency,
    ) -> None:
        """For ``spawn`` and ``take_time`` see ``Runner``."""
        self._serverless = serverless
        self._results = results
        self._store = StatementStore(results)
        self._runner = Runner(
            database, results, spawn=spawn, ended=self._store.save, take_time=take_time
        )

    def operations(self) -> dict[str, Callable[[Request], dict[str, Any]]]:
        """The operations by name, for the emulator."""
        return {
            "ExecuteStatement": self.execute_statement,
            "BatchExecuteStatement": self.batch_execute_statement,
            "DescribeStatement": self.describe_statement,
            "GetStatementResult": self.get_statement_result,
            "GetStatementResultV2": self.get_statement_result_v2,
            "ListStatements": self.list_statements,
            "CancelStatement": self.cancel_statement,
        }

    def checks(self, operation: str, request: Request) -> list[emulator.Check]:
        """What the caller of an operation must be allowed.

        Resource types and keys are those of the service authorization reference. What has a
        workgroup is authorized on it; what has a statement, by the key with the statement's owner.
        """
        if operation in _ON_A_WORKGROUP:
            name = request.get("WorkgroupName") or ""
            found = self._serverless.workgroups.by_name_or_arn(name)
            known = found["workgroupArn"] if found else self._serverless.workgroups.arn_of(name)
            resource = known if name else "*"
            return [emulator.Check(f"redshift-data:{operation}", resource, tag_keys(resource))]
        if operation == "ListStatements":
            owner = emulator.caller_userid.get()
        elif operation in _ON_A_STATEMENT:
            owner = self._store.owner_userid(request.get("Id"))
        else:
            return []
        # "GetStatementResultV2: redshift-data:GetStatementResult"
        action = f"redshift-data:{operation.removesuffix('V2')}"
        return [emulator.Check(action, "*", {_OWNER_KEY: owner} if owner else {})]

    # -- submitting ------------------------------------------------------------------------

    def execute_statement(self, request: Request) -> dict[str, Any]:
        """ExecuteStatement."""
        sql = request.get("Sql")
        if not isinstance(sql, str) or not sql.strip():
            raise invalid("Sql is required and cannot be empty")
        return self._submit(request, [sql], is_batch=False)

    def batch_execute_statement(self, request: Request) -> dict[str, Any]:
        """BatchExecuteStatement."""
        sqls = request.get("Sqls")
        if not isinstance(sqls, list) or not 1 <= len(sqls) <= MAX_SQLS:
            raise invalid(f"Sqls must have 1 to {MAX_SQLS} statements")
        if not all(isinstance(sql, str) and sql.strip() for sql in sqls):
            raise invalid("Sqls cannot hold an empty statement")
        mode = request.get("ExecutionMode") or TRANSACTION
        if mode not in (TRANSACTION, AUTO_COMMIT):
            raise invalid(f"ExecutionMode {mode!r} does not exist")
        return self._submit(request, sqls, is_batch=True, mode=mode)

    def _submit(
        self, request: Request, sqls: list[str], *, is_batch: bool, mode: str = TRANSACTION
    ) -> dict[str, Any]:
        refuse_unsupported(request)
        wait = wait_seconds(request)
        parameters = check_statements(request, sqls)
        workgroup, login = self.find_login(request)
        owner, caller = caller_identity()
        now = time.time()
        statement = Statement(
            id=str(uuid.uuid4()),
            owner=owner,
            caller=caller,
            caller_userid=emulator.caller_userid.get(),
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
            fingerprint=fingerprint(request, is_batch),
        )
        with self._store.lock:
            self._store.forget_old(now)
            live = self._store.same_token(statement)
            if live is None:
                self._check_active()
                live = Live(statement)
                self._store.add(live)
                self._runner.submit(live, login)
        if wait:
            live.wait(wait)
        return live.statement.submitted()

    def find_login(self, request: Request) -> tuple[dict[str, Any], Callable[[], Login]]:
        """The workgroup of a request, and a function that returns the login to it.

        Raises:
            ServiceError: There is no such workgroup, or the caller may not log in to it.
        """
        database = request.get("Database")
        if not database:
            raise invalid("Database is required")
        if not request.get("WorkgroupName"):
            raise invalid("WorkgroupName is required: the sandbox has Redshift Serverless only")
        workgroup = self._serverless.workgroups.by_name_or_arn(request["WorkgroupName"])
        if workgroup is None:
            raise invalid(
                f"Redshift endpoint doesn't exist in this region: there is no workgroup "
                f"{request['WorkgroupName']!r}"
            )
        if request.get("SecretArn"):
            _, text = emulator.secret_of_caller(request["SecretArn"])
            user, password = read_secret(request["SecretArn"], text)
            return workgroup, lambda: Login(database, user, password)
        arn = workgroup["workgroupArn"]
        emulator.require_permission("redshift-serverless:GetCredentials", arn, tag_keys(arn))
        user = database_user(emulator.caller_arn())

        def login() -> Login:
            found = self._serverless.credentials.for_user(user, LOGIN_SECONDS)
            return Login(database, found.user, found.password)

        return workgroup, login

    def _check_active(self) -> None:
        if self._store.count_active() >= MAX_ACTIVE:
            raise ServiceError(
                "ActiveStatementsExceededException",
                f"The number of active statements exceeds the limit of {MAX_ACTIVE}. Wait for "
                "some to end, then try again.",
            )

    # -- reading ---------------------------------------------------------------------------

    def describe_statement(self, request: Request) -> dict[str, Any]:
        """DescribeStatement, of a statement or of one sub-statement."""
        live, number = self._store.find(request.get("Id"))
        wait = wait_seconds(request)
        if wait:
            live.wait(wait)
        with live.changed:
            return live.statement.described(number)

    def get_statement_result(self, request: Request) -> dict[str, Any]:
        """GetStatementResult."""
        live, number = self._store.find(request.get("Id"))
        wait = wait_seconds(request)
        if wait:
            live.wait(wait)
        statement = live.statement
        if statement.is_batch and number is None:
            raise not_found(
                "Query does not have result. Please check query status with DescribeStatement: "
                f"it is a batch, whose results are those of {statement.id}:1 and so on."
            )
        if statement.status != FINISHED and not (
            statement.mode == AUTO_COMMIT and statement.subs[(number or 1) - 1].status == FINISHED
        ):
            raise not_found(
                "Query does not have result. Please check query status with DescribeStatement: "
                f"it is {statement.status}."
            )
        try:
            answer = self._results.page(f"{statement.id}:{number or 1}", request.get("NextToken"))
        except ValueError as problem:
            raise invalid(f"NextToken is not valid: {problem}") from problem
        if answer is None:
            raise not_found(
                "Query does not have result. Please check query status with DescribeStatement: "
                "it gave no result set."
            )
        return answer

    def get_statement_result_v2(self, request: Request) -> dict[str, Any]:
        """GetStatementResultV2 is for CSV results, which cannot be asked for here."""
        raise invalid(
            "GetStatementResultV2 returns results in ResultFormat CSV, which the sandbox does not "
            "support; use GetStatementResult"
        )

    def list_statements(self, request: Request) -> dict[str, Any]:
        """ListStatements: the newest first; only finished ones without Status."""
        if request.get("ClusterIdentifier"):
            raise invalid("ClusterIdentifier: the sandbox has Redshift Serverless only")
        status = request.get("Status") or FINISHED
        if status not in _STATUSES:
            raise invalid(f"Status {status!r} does not exist")
        role_level = request.get("RoleLevel", True)
        owner, caller = caller_identity()
        prefix = request.get("StatementName") or ""
        workgroup = request.get("WorkgroupName")
        found = [
            statement
            for statement in self._store.known()
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
        live, number = self._store.find(request.get("Id"))
        if number is not None:
            raise invalid("A sub-statement cannot be cancelled; cancel the batch it belongs to")
        with live.changed:
            if live.statement.status in ENDED:
                raise invalid(
                    f"Could not cancel a query that is already in {live.statement.status} state, "
                    f"queryId: {live.statement.id}"
                )
            self._runner.cancel(live)
        return {"Status": True}
