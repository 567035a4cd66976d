"""Results and failures of Redshift Data API statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import (
    AwsFailure,
    LoginFailed,
    NotFound,
    ResultExpired,
    StatementFailed,
)
from xacct_assets.aws.redshift.database_errors import not_granted_fix
from xacct_assets.aws.transient_errors import is_lost_connection
from xacct_assets.contract.conflicts import is_conflict
from xacct_assets.contract.logins import is_login_refused, login_fix, refused_user

if TYPE_CHECKING:
    from mypy_boto3_redshift_data.client import RedshiftDataAPIServiceClient

#: Characters of a statement's SQL that failures show.
_SHOWN_CHARACTERS = 160


@dataclass(frozen=True)
class StatementResult:
    """The result of a statement.

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


def read_result(
    client: RedshiftDataAPIServiceClient, described: Mapping[str, Any]
) -> StatementResult:
    """The result of a statement that finished, with all its rows.

    Args:
        client: boto3's.
        described: the answer of DescribeStatement, or one of its SubStatements.

    Raises:
        ResultExpired: it finished more than 24 hours ago.
    """
    statement_id = str(described["Id"])
    return StatementResult(
        id=statement_id,
        rows=_read_rows(client, statement_id) if described.get("HasResultSet") else [],
        row_count=int(described.get("ResultRows", -1)),
        duration=int(described.get("Duration") or 0) / 1e9,
    )


def _read_rows(client: RedshiftDataAPIServiceClient, statement_id: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    columns: Sequence[Mapping[str, Any]] = []
    next_page: Any = {}
    while True:
        try:
            with aws_call("redshift-data:GetStatementResult", f"statement {statement_id}"):
                page = client.get_statement_result(Id=statement_id, **next_page)
        except NotFound as gone:
            raise expired(statement_id) from gone
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
        next_page = {"NextToken": token}


def _value(cell: Mapping[str, Any], type_name: str) -> Any:
    if cell.get("isNull"):
        return None
    for kind in ("longValue", "doubleValue", "booleanValue", "blobValue"):
        if kind in cell:
            return cell[kind]
    text = cell["stringValue"]
    # The Data API returns exact numbers as text.
    return Decimal(text) if type_name in ("numeric", "decimal") else text


def expired(statement_id: str) -> ResultExpired:
    """The failure for a statement that the Data API no longer has."""
    return ResultExpired(
        f"the Data API no longer knows statement {statement_id}",
        reason="it keeps statements and results for 24 hours",
    )


def statement_failure(described: Mapping[str, Any], name: str | None) -> AwsFailure:
    """The failure for a statement or batch that ended in another state than FINISHED.

    Returns:
        A LoginFailed if the Data API could not log in, else a StatementFailed.
    """
    parts = described.get("SubStatements") or []
    failed = next((part for part in parts if part.get("Status") == "FAILED"), None) or described
    text = str(failed.get("Error") or described.get("Error") or "the Data API gives no message")
    if is_login_refused(text):
        secret = described.get("SecretArn")
        return LoginFailed(
            f"Redshift refused the Data API's login for {name or 'a statement'}",
            reason=text,
            principal=refused_user(text),
            resource=secret,
            fix=login_fix(secret, refused_user(text)),
        )
    position = ""
    if failed is not described:
        position = f" (statement {parts.index(failed) + 1} of {len(parts)} in the batch)"
    sql = " ".join(str(failed.get("QueryString") or "").split())[:_SHOWN_CHARACTERS]
    status = str(described["Status"])
    conflict, lost = is_conflict(text), is_lost_connection(text)
    if status == "ABORTED":
        fix = "somebody cancelled it, or the workgroup ended: materialize again"
    elif conflict:
        fix = "another transaction changed the same rows: try again"
    elif lost:
        fix = "the database ended the session: try again once the workgroup is AVAILABLE"
    else:
        fix = not_granted_fix(text) or (
            "read the database's message; sys_query_history has the statement"
        )
    details = {"resource": f"statement {described['Id']}" + (f": {sql}" if sql else ""), "fix": fix}
    return StatementFailed(
        f"{name or 'statement'}{position} ended as {status}",
        statement_id=str(described["Id"]),
        status=status,
        reason=text,
        retryable=conflict or lost or status == "ABORTED",
        **{**details, **denial_in(text)},
    )
