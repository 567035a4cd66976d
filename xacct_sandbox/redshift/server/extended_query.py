"""The extended query protocol: Parse, Bind, Describe, Execute, Close, Sync.

redshift_connector sends Parse/Describe/Sync, then Bind/Execute/Sync, each message with a Flush, and
closes statements by name. Messages about statements that PostgreSQL runs are passed on; those about
a statement that the session runs itself are answered here.
"""

from __future__ import annotations

from collections.abc import Callable

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.client_connection import Work
from xacct_sandbox.redshift.server.query_history import reads_query_history
from xacct_sandbox.redshift.server.query_protocol import QueryProtocol, SessionParts, permitted
from xacct_sandbox.redshift.sql.dialect import translate
from xacct_sandbox.redshift.sql.errors import FEATURE_NOT_SUPPORTED, RedshiftError, invalid_utf8
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Refuse


class ExtendedQuery(QueryProtocol):
    """The prepared statements and portals of one session."""

    def __init__(self, parts: SessionParts) -> None:
        super().__init__(parts)
        # By name: the SQL text of all, and the plans of those that the session runs itself.
        self._statements: dict[bytes, Plan] = {}
        self._portals: dict[bytes, Plan] = {}
        self._statement_texts: dict[bytes, str] = {}
        self._portal_texts: dict[bytes, str] = {}
        self._handlers: dict[bytes, Callable[[bytes, list[bytes]], Work | None]] = {
            b"P": self._parse,
            b"B": self._bind,
            b"D": self._describe,
            b"E": self._execute,
            b"C": self._close,
            b"S": self._sync,
            b"H": self._flush,
        }

    def message(self, raw: bytes, out: list[bytes]) -> Work | None:
        """Handle one message; see ``MessageHandler.message``."""
        return self._handlers.get(raw[:1], self._pass_on)(raw, out)

    async def refuse(self, error: RedshiftError) -> None:
        """Answer a message with an error."""
        if await self._relay.settle():
            await self._fail(error)

    # -- messages ------------------------------------------------------------------------------

    def _pass_on(self, raw: bytes, out: list[bytes]) -> None:
        self._relay.unsynced = True
        out.append(raw)

    def _parse(self, raw: bytes, out: list[bytes]) -> Work | None:
        try:
            name, sql, types = protocol.parse_parse(raw[5:])
        except UnicodeDecodeError:
            return self.refuse(invalid_utf8())
        plan = permitted(translate(sql), sql, self._client.identity)
        self._statement_texts[name] = sql
        if not isinstance(plan, Pass):
            return self._parse_own(name, plan)
        self._statements.pop(name, None)
        self._pass_on(
            raw if plan.sql is sql else protocol.parse_message(name, plan.sql, types), out
        )
        return self._catalog.flush() if reads_query_history(sql) else None

    def _bind(self, raw: bytes, out: list[bytes]) -> Work | None:
        portal, statement, values = protocol.parse_bind(raw[5:])
        plan = self._statements.get(statement)
        if plan is not None:
            return self._bind_own(portal, statement, plan, values)
        self._portals.pop(portal, None)
        self._portal_texts[portal] = self._statement_texts.get(statement, "")
        self._pass_on(raw, out)
        return None

    def _describe(self, raw: bytes, out: list[bytes]) -> Work | None:
        is_statement = raw[5:6] == b"S"
        if raw[6:-1] in (self._statements if is_statement else self._portals):
            return self._describe_own(is_statement=is_statement)
        self._pass_on(raw, out)
        return None

    def _execute(self, raw: bytes, out: list[bytes]) -> Work | None:
        portal = raw[5 : raw.index(b"\x00", 5)]
        sql = self._portal_texts.get(portal, "")
        plan = self._portals.get(portal)
        if plan is not None:
            return self._execute_own(plan, sql)
        if self._faults.may_inject([Pass(sql)]):
            return self._execute_with_faults(raw, sql)
        self._history.start(sql)
        self._pass_on(raw, out)
        return None

    def _close(self, raw: bytes, out: list[bytes]) -> Work | None:
        name = raw[6:-1]
        plans = self._portals
        if raw[5:6] == b"S":
            plans = self._statements
            self._statement_texts.pop(name, None)
        if name in plans:
            del plans[name]
            return self._close_own()
        self._pass_on(raw, out)
        return None

    def _sync(self, raw: bytes, out: list[bytes]) -> None:
        self._relay.skipping = False
        self._relay.expect(client=True)
        self._relay.unsynced = False
        out.append(raw)

    def _flush(self, raw: bytes, out: list[bytes]) -> None:
        if self._relay.unsynced:
            out.append(raw)

    # -- statements that the session runs itself -----------------------------------------------

    async def _parse_own(self, name: bytes, plan: Plan) -> None:
        if not await self._relay.settle():
            return
        if isinstance(plan, Refuse):
            await self._fail(plan.error)
            return
        self._statements[name] = plan
        self._client.send(protocol.PARSE_COMPLETE)

    async def _bind_own(self, portal: bytes, statement: bytes, plan: Plan, values: int) -> None:
        if not await self._relay.settle():
            return
        if values:
            await self._fail(
                RedshiftError(
                    "bound parameters are not supported in this statement",
                    sqlstate=FEATURE_NOT_SUPPORTED,
                    hint="Write the values into the statement.",
                )
            )
            return
        self._portals[portal] = plan
        self._portal_texts[portal] = self._statement_texts.get(statement, "")
        self._client.send(protocol.BIND_COMPLETE)

    async def _describe_own(self, *, is_statement: bool) -> None:
        if await self._relay.settle():
            self._client.send((protocol.NO_PARAMETERS if is_statement else b"") + protocol.NO_DATA)

    async def _close_own(self) -> None:
        if await self._relay.settle():
            self._client.send(protocol.CLOSE_COMPLETE)

    async def _execute_own(self, plan: Plan, sql: str) -> None:
        if not await self._relay.settle():
            return
        error = await self._executor.run(plan, sql)
        if error is not None:
            await self._fail(error)

    async def _fail(self, error: RedshiftError) -> None:
        await self._executor.report(error)
        self._relay.skipping = True

    # -- planned faults ------------------------------------------------------------------------

    async def _execute_with_faults(self, raw: bytes, sql: str) -> None:
        """Execute, unless a planned fault fails the statement."""
        plans: list[Plan] = [Pass(sql)]
        error = await self._planned_fault(plans, sql)
        if error is None:
            self._history.start(sql)
            self._relay.unsynced = True
            self._relay.forward([raw])
        elif await self._relay.settle():
            await self._executor.fail_instead(plans, error)
            self._relay.skipping = True
