"""Statements of the Data API: what was asked, by whom, and their states.

States (API reference): SUBMITTED, PICKED, STARTED, then FINISHED, ABORTED or FAILED. A batch has
sub-statements with states of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SUBMITTED, PICKED, STARTED = "SUBMITTED", "PICKED", "STARTED"
FINISHED, ABORTED, FAILED = "FINISHED", "ABORTED", "FAILED"
ENDED = frozenset({FINISHED, ABORTED, FAILED})

TRANSACTION, AUTO_COMMIT = "TRANSACTION", "AUTO_COMMIT"

RETENTION_SECONDS = 24 * 3600
TOKEN_SECONDS = 8 * 3600


@dataclass
class SubStatement:
    """One SQL statement of a request; times are seconds since the epoch."""

    sql: str
    created: float
    updated: float
    status: str = SUBMITTED
    error: str | None = None
    duration: int = -1
    """Nanoseconds, -1 if it has not succeeded."""
    rows: int = -1
    size: int = 0
    has_result: bool = False


@dataclass
class Statement:
    """One ExecuteStatement or BatchExecuteStatement."""

    id: str
    owner: str
    """ARN of the role or user that may see it."""
    caller: str
    """ARN of the session that submitted it."""
    workgroup: str
    database: str
    subs: list[SubStatement]
    created: float
    updated: float
    is_batch: bool = False
    mode: str = TRANSACTION
    name: str | None = None
    parameters: list[dict[str, str]] = field(default_factory=list)
    secret_arn: str | None = None
    caller_userid: str = ""
    """``aws:userid`` of that session."""
    db_user: str | None = None
    pid: int = -1
    status: str = SUBMITTED
    error: str | None = None
    token: str | None = None
    fingerprint: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def duration(self) -> int:
        """Nanoseconds of all sub-statements together, -1 if none has succeeded."""
        known = [sub.duration for sub in self.subs if sub.duration >= 0]
        return sum(known) if known else -1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Statement:
        subs = [SubStatement(**sub) for sub in document["subs"]]
        return cls(**{**document, "subs": subs})

    # -- the API's shapes ------------------------------------------------------------------

    def submitted(self) -> dict[str, Any]:
        """The answer of Execute and BatchExecuteStatement."""
        answer = {
            "Id": self.id,
            "CreatedAt": self.created,
            "Database": self.database,
            "WorkgroupName": self.workgroup,
            "DbUser": self.db_user,
            "SecretArn": self.secret_arn,
            "Status": self.status,
            "HasResultSet": any(sub.has_result for sub in self.subs),
        }
        if self.pid >= 0:
            answer["RedshiftPid"] = self.pid
        return {key: value for key, value in answer.items() if value is not None}

    def described(self, number: int | None) -> dict[str, Any]:
        """The answer of DescribeStatement, of one sub-statement if a number (from 1) is given."""
        common: dict[str, Any] = {
            "SecretArn": self.secret_arn,
            "DbUser": self.db_user,
            "Database": self.database,
            "WorkgroupName": self.workgroup,
            "RedshiftPid": self.pid,
            "RedshiftQueryId": -1 if self.is_batch and number is None else 0,
            "QueryParameters": self.parameters or None,
            "ResultFormat": "JSON",
        }
        if number is not None:
            sub = self.subs[number - 1]
            answer = {**common, **_sub_described(f"{self.id}:{number}", sub)}
        else:
            answer = {
                **common,
                "Id": self.id,
                "Status": self.status,
                "Error": self.error,
                "CreatedAt": self.created,
                "UpdatedAt": self.updated,
                "Duration": self.duration,
                "HasResultSet": any(sub.has_result for sub in self.subs),
                "ResultRows": -1 if self.is_batch else self.subs[0].rows,
                "ResultSize": sum(sub.size for sub in self.subs),
            }
            if self.is_batch:
                answer["ExecutionMode"] = self.mode
                answer["SubStatements"] = [
                    _sub_described(f"{self.id}:{number}", sub)
                    for number, sub in enumerate(self.subs, start=1)
                ]
            else:
                answer["QueryString"] = self.subs[0].sql
        return {key: value for key, value in answer.items() if value is not None}

    def listed(self) -> dict[str, Any]:
        """An entry of ListStatements."""
        answer: dict[str, Any] = {
            "Id": self.id,
            "Status": self.status,
            "StatementName": self.name,
            "CreatedAt": self.created,
            "UpdatedAt": self.updated,
            "SecretArn": self.secret_arn,
            "QueryParameters": self.parameters or None,
            "IsBatchStatement": self.is_batch,
            "ResultFormat": "JSON",
        }
        if self.is_batch:
            answer["QueryStrings"] = [sub.sql for sub in self.subs]
        else:
            answer["QueryString"] = self.subs[0].sql
        return {key: value for key, value in answer.items() if value is not None}


def _sub_described(identifier: str, sub: SubStatement) -> dict[str, Any]:
    answer = {
        "Id": identifier,
        "Status": sub.status,
        "Error": sub.error,
        "CreatedAt": sub.created,
        "UpdatedAt": sub.updated,
        "QueryString": sub.sql,
        "Duration": sub.duration,
        "HasResultSet": sub.has_result,
        "ResultRows": sub.rows,
        "ResultSize": sub.size,
        "RedshiftQueryId": -1,
    }
    return {key: value for key, value in answer.items() if value is not None}


class Live:
    """A statement that this process runs, and what its waiters and cancellers share."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.changed = threading.Condition()
        self.cancelled = False
        self.session: Any = None
        """The session in which it runs."""

    def wait(self, seconds: float) -> None:
        """Wait until the statement has ended, at most this long."""
        with self.changed:
            self.changed.wait_for(lambda: self.statement.ended, timeout=seconds)
