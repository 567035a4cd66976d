"""The simple query protocol: one Query message, which may hold several statements."""

from __future__ import annotations

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.client_connection import Work
from xacct_sandbox.redshift.server.query_history import reads_query_history
from xacct_sandbox.redshift.server.query_protocol import QueryProtocol, permitted
from xacct_sandbox.redshift.server.statement_executor import (
    AlreadyReported,
    controls_transactions,
)
from xacct_sandbox.redshift.sql.dialect import translate_script
from xacct_sandbox.redshift.sql.errors import RedshiftError, invalid_utf8
from xacct_sandbox.redshift.sql.plans import Pass, Plan


class SimpleQuery(QueryProtocol):
    """The Query messages of one session."""

    def message(self, raw: bytes, out: list[bytes]) -> Work | None:
        """Handle a Query message; see ``MessageHandler.message``."""
        try:
            sql = raw[5:-1].decode()
        except UnicodeDecodeError:
            return self._fail(invalid_utf8())
        identity = self._client.identity
        plans = [permitted(plan, sql, identity) for plan in translate_script(sql)]
        if self._faults.may_inject(plans):
            return self._query_with_faults(raw, sql, plans)
        return self._query(raw, sql, plans, out)

    def _query(self, raw: bytes, sql: str, plans: list[Plan], out: list[bytes]) -> Work | None:
        passed = [plan.sql for plan in plans if isinstance(plan, Pass)]
        if reads_query_history(sql) or len(passed) < len(plans):
            return self._run_script(sql, plans)
        self._history.start(sql)
        self._relay.expect(client=True)
        self._relay.unsynced = False
        unchanged = len(passed) == 1 and passed[0] is sql
        out.append(raw if unchanged else protocol.query(";\n".join(passed)))
        return None

    async def _query_with_faults(self, raw: bytes, sql: str, plans: list[Plan]) -> None:
        """Run the statements, unless a planned fault fails them."""
        error = await self._planned_fault(plans, sql)
        if error is None:
            out: list[bytes] = []
            work = self._query(raw, sql, plans, out)
            self._relay.forward(out)
            if work is not None:
                await work
        else:
            await self._relay.settle()
            await self._executor.fail_instead(plans, error)
            self._relay.send_ready()

    async def _fail(self, error: RedshiftError) -> None:
        await self._relay.settle()
        await self._executor.report(error)
        self._relay.send_ready()

    async def _run_script(self, sql: str, plans: list[Plan]) -> None:
        """Run statements one by one. Several are one transaction, as in PostgreSQL."""
        await self._relay.settle()
        if reads_query_history(sql):
            await self._catalog.flush()
        backend, relay = self._backend, self._relay
        grouped = len(plans) > 1 and backend.status == b"I" and not controls_transactions(plans)
        if grouped:
            await relay.exclusively(backend.query("BEGIN"))
        error: RedshiftError | None = None
        for plan in plans:
            if isinstance(plan, Pass):
                self._history.start(plan.sql)
                error = None if await relay.pass_through(plan.sql) else AlreadyReported()
            else:
                error = await self._executor.run(plan, sql)
            if error is not None:
                break
        if grouped and backend.status != b"I":
            try:
                end = "COMMIT" if error is None else "ROLLBACK"
                await relay.exclusively(backend.query(end))
            except RedshiftError as at_commit:
                error = error or at_commit
        if error is not None:
            await self._executor.report(error)
        relay.send_ready()
