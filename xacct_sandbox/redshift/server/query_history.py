"""A session's statements for SYS_QUERY_HISTORY: when each began, how it ended."""

from __future__ import annotations

import re
from datetime import datetime

from xacct_sandbox.redshift.server.identity import Identity
from xacct_sandbox.redshift.sql.lexer import leading_keyword
from xacct_sandbox.redshift.sql.system_catalog import QueryRecord, SystemCatalog, utc_now

_HISTORY_VIEW = re.compile(r"(?i)\bsys_query_history\b")


def reads_query_history(sql: str) -> bool:
    """Whether the history must be written to the database before this statement runs."""
    return _HISTORY_VIEW.search(sql) is not None


class QueryHistory:
    """The running statement of one session, if there is one.

    Attributes:
        error: The message of its error.
        rows: The number of rows it returned or changed.
    """

    def __init__(self, catalog: SystemCatalog, identity: Identity) -> None:
        self._catalog = catalog
        self._identity = identity
        self._statement: tuple[int, str, datetime] | None = None
        self.error: str | None = None
        self.rows: int | None = None

    @property
    def running(self) -> bool:
        return self._statement is not None

    def start(self, sql: str) -> int:
        """Note that a statement begins.

        Returns:
            Its query ID.
        """
        query_id = self._catalog.next_query_id()
        self._statement = (query_id, sql, utc_now())
        self.error = None
        self.rows = None
        return query_id

    def finish(self) -> None:
        """Record the running statement. Those of the sandbox itself are not kept."""
        if self._statement is None:
            return
        query_id, sql, start = self._statement
        self._statement = None
        identity = self._identity
        if not sql or identity.is_superuser:
            return
        self._catalog.record(
            QueryRecord(
                query_id=query_id,
                user=identity.user,
                database=identity.database,
                session_id=identity.session_id,
                kind=leading_keyword(sql) or "OTHER",
                text=sql,
                status="failed" if self.error else "success",
                error=self.error,
                rows=self.rows,
                start=start,
                end=utc_now(),
            )
        )
