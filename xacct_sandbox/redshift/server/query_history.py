"""A session's statements for SYS_QUERY_HISTORY: when each began, how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from xacct_sandbox.redshift.sql.dialect import leading_keyword
from xacct_sandbox.redshift.sql.system_catalog import Internal, QueryRecord, utc_now
from xacct_sandbox.redshift.storage.postgres import SUPERUSER

if TYPE_CHECKING:
    from xacct_sandbox.redshift.server.session import Session


class QueryHistory:
    """The statement that runs now, if one does."""

    def __init__(self, internal: Internal) -> None:
        self._internal = internal
        self._statement: tuple[int, str, datetime] | None = None
        self.error: str | None = None
        self.rows: int | None = None

    @property
    def running(self) -> bool:
        return self._statement is not None

    @property
    def text(self) -> str:
        """Of the statement that runs; "" if none does."""
        return self._statement[1] if self._statement else ""

    def start(self, sql: str) -> int:
        """A statement begins; its query ID."""
        query_id = self._internal.next_query_id()
        self._statement = (query_id, sql, utc_now())
        self.error = None
        self.rows = None
        return query_id

    def finish(self, session: Session) -> None:
        """It ended. The sandbox's own statements are not kept."""
        if self._statement is None:
            return
        query_id, sql, start = self._statement
        self._statement = None
        if not sql or session.user == SUPERUSER:
            return
        self._internal.record(
            QueryRecord(
                query_id=query_id,
                user=session.user,
                database=session.database,
                session_id=session.session_id,
                kind=leading_keyword(sql) or "OTHER",
                text=sql,
                status="failed" if self.error else "success",
                error=self.error,
                rows=self.rows,
                start=start,
                end=utc_now(),
            )
        )
