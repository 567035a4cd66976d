"""One client connection: TLS, startup, then two streams of messages.

What PostgreSQL can run flows through as it is; for statements that are Redshift's (COPY, UNLOAD,
TRUNCATE, users) the session answers itself and has them run (``running``) on the client's own
database connection, so everything is in the client's transaction.

redshift_connector sends Parse/Describe/Sync, then Bind/Execute/Sync, each message with a Flush,
and closes statements by name. Others send one Query. Both are served; a transaction's status is
always PostgreSQL's own word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import struct
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.backend import Backend, BackendLost, cancel_backend
from xacct_sandbox.redshift.server.faults import SessionFaults
from xacct_sandbox.redshift.server.query_history import QueryHistory
from xacct_sandbox.redshift.server.scanner import Scanner
from xacct_sandbox.redshift.server.statement_executor import AlreadyReported, Runner, controls
from xacct_sandbox.redshift.sql.dialect import leading_keyword, translate, translate_script
from xacct_sandbox.redshift.sql.errors import (
    CANNOT_CONNECT_NOW,
    FEATURE_NOT_SUPPORTED,
    INSUFFICIENT_PRIVILEGE,
    INVALID_AUTHORIZATION,
    RedshiftError,
)
from xacct_sandbox.redshift.sql.errors import translate as translate_error
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Refuse, SwitchUser
from xacct_sandbox.redshift.storage.postgres import SUPERUSER

if TYPE_CHECKING:
    from xacct_sandbox.redshift.server.listener import RedshiftServer

logger = logging.getLogger(__name__)

SERVER_VERSION = "8.0.2"  # what every Redshift says
LARGEST_MESSAGE = 1 << 30
CLIENT_BUFFER = 1 << 20
JSONB_OID, SUPER_OID = 3802, 4000
_READS_HISTORY = re.compile(r"(?i)\bsys_query_history\b")
_PASSED_STARTUP = frozenset({"user", "database", "application_name", "client_encoding"})
_AUTH_SSL_HINT = "Connect with TLS (sslmode verify-full); the workgroup requires it."


class Session(asyncio.Protocol):
    """One client connection and its database connection."""

    def __init__(self, front: RedshiftServer) -> None:
        self.front = front
        self.user = ""
        self.database = ""
        self.session_id = 0
        self.backend: Backend | None = None
        self._transport: asyncio.Transport | None = None
        self._encrypted = False
        self._phase = "startup"  # then "login", "ready", "closed"
        self._in = bytearray()
        self._client_paused = False
        self._client_writable = True
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._scanner = Scanner(self._watch)
        self._key = b""
        # Extended protocol
        self._statements: dict[bytes, Plan] = {}  # only those that are not PostgreSQL's
        self._portals: dict[bytes, Plan] = {}
        self._texts: dict[bytes, str] = {}
        self._portal_texts: dict[bytes, str] = {}
        self._unsynced = False
        self._expected: deque[bool] = deque()  # of each ReadyForQuery to come: is it the client's
        self._idle = asyncio.Event()
        self._idle.set()
        self._batch_failed = False
        self._skipping = False  # until the client's Sync, as after any error
        # Who may do what
        self.unrestricted = False
        self.cancelled = False
        self.recorder = QueryHistory(front.internal)
        self.commits_itself = False
        """The statement of ours that runs now began its own transaction."""
        self.faults = SessionFaults(self, front.faults)
        self._runner = Runner(self)

    # -- asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.front.sessions.add(self)

    def data_received(self, data: bytes) -> None:
        self._in += data
        if self._task is None:
            self._process()
        elif len(self._in) > CLIENT_BUFFER and not self._client_paused and self._transport:
            self._client_paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = "closed"
        self.front.sessions.discard(self)
        self.front.by_key.pop(self._key, None)
        if self._task is not None:
            self._task.cancel()
        if self.backend is not None:
            if self.backend.sink is None and self._key:
                # PostgreSQL would read what it was sent of a COPY to the end before it noticed.
                self._ending = asyncio.get_running_loop().create_task(self._end_statement())
            self.backend.abort()

    def pause_writing(self) -> None:
        self._client_writable = False
        if self.backend is not None and self.backend.sink is not None:
            self.backend.pause_reading()

    def resume_writing(self) -> None:
        self._client_writable = True
        if self.backend is not None and self.backend.sink is not None:
            self.backend.resume_reading()

    # -- sending -------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Bytes for the client."""
        if self.faults.losing_answer:
            return
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def info(self, text: str) -> None:
        self.send(protocol.notice(text))

    def end(self) -> None:
        """The server goes away."""
        if self._phase == "ready":
            self.send(
                protocol.error_response(
                    RedshiftError(
                        "terminating connection due to administrator command",
                        sqlstate="57P01",
                        severity="FATAL",
                    )
                )
            )
        self._close()

    def reset(self) -> None:
        """Break the connection, without a goodbye."""
        self._phase = "closed"
        if self._transport is not None:
            at_once = struct.pack("ii", 1, 0)
            with contextlib.suppress(OSError):  # the client was quicker
                self._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, at_once
                )
            self._transport.abort()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _fatal(self, error: RedshiftError) -> None:
        error.severity = "FATAL"
        self.send(protocol.error_response(error))
        self._phase = "closed"
        self._close()

    # -- reading the client --------------------------------------------------------------------

    def _process(self) -> None:
        """Take whole messages from the buffer until one needs waiting."""
        if self._phase == "startup":
            self._startup()
            return
        if self.backend is None:
            return
        buffer = self._in
        position, size = 0, len(buffer)
        out: list[bytes] = []
        while self._task is None and self._phase in ("login", "ready"):
            if size - position < 5:
                break
            end = position + 1 + protocol.unpack_int32(buffer, position + 1)[0]
            if end - position > LARGEST_MESSAGE:
                self._fatal(RedshiftError("invalid message length", sqlstate="08P01"))
                return
            if end > size:
                break
            raw = bytes(buffer[position:end])
            position = end
            if self._phase == "login":
                out.append(raw)
            elif self._skipping and raw[:1] not in b"SX":
                continue
            else:
                work = self._message(raw, out)
                if work is not None:
                    self._flush_out(out)
                    self._begin(work)
        del buffer[:position]
        self._flush_out(out)

    def _flush_out(self, out: list[bytes]) -> None:
        if out and self.backend is not None:
            try:
                self.backend.write(b"".join(out))
            except BackendLost:
                self._close()
            out.clear()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work(work))

    async def _work(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            self._close()
        except (BackendLost, ConnectionError) as problem:
            logger.warning("session %s ended: %s", self.session_id, problem)
            self._close()
        except Exception:
            logger.exception("session %s failed", self.session_id)
            self._fatal(
                RedshiftError("internal error of the sandbox; see its log (home/log/redshift.log)")
            )
        finally:
            self._task = None
        if self._phase != "closed":
            if self._client_paused and self._transport is not None:
                self._client_paused = False
                self._transport.resume_reading()
            self._process()

    # -- startup -------------------------------------------------------------------------------

    def _startup(self) -> None:
        buffer = self._in
        if len(buffer) < 8:
            return
        size, code = protocol.unpack_int32(buffer)[0], protocol.unpack_int32(buffer, 4)[0]
        if not 8 <= size <= 65536:
            self._close()
            return
        if len(buffer) < size:
            return
        body = bytes(buffer[8:size])
        del buffer[:size]
        if code == protocol.SSL_REQUEST and not self._encrypted:
            if buffer:  # nothing may come before the handshake
                self._close()
                return
            self._begin(self._start_tls())
        elif code == protocol.GSS_REQUEST:
            self.send(b"N")
        elif code == protocol.CANCEL_REQUEST:
            self._begin(self._cancel_other(body))
        elif code >> 16 != 3:
            self._fatal(
                RedshiftError(f"unsupported frontend protocol {code >> 16}", sqlstate="0A000")
            )
        elif not self._encrypted:
            self._fatal(
                RedshiftError(
                    "SSL is required by the workgroup",
                    sqlstate=INVALID_AUTHORIZATION,
                    hint=_AUTH_SSL_HINT,
                )
            )
        else:
            if code & 0xFFFF:
                self.send(protocol.message(b"v", b"\x00\x03\x00\x00\x00\x00\x00\x00"))
            self._begin(self._connect(protocol.parse_startup(body)))

    async def _start_tls(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._transport.write(b"S")
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, self.front.tls, server_side=True, ssl_handshake_timeout=20
            )
        except (ssl.SSLError, OSError):  # the client distrusts us, or went away: it knows why
            self._close()
            return
        self._transport = transport
        self._encrypted = True

    async def _cancel_other(self, key: bytes) -> None:
        other = self.front.by_key.get(key)
        if other is not None:
            await other.cancel()
        self._close()

    async def _connect(self, parameters: dict[str, str]) -> None:
        self.user = parameters.get("user", "")
        self.database = parameters.get("database") or self.user
        if parameters.get("replication"):
            self._fatal(RedshiftError("replication is not supported by Redshift", sqlstate="0A000"))
            return
        if self.user != SUPERUSER:
            namespace = await self.front.internal.namespace()
            if namespace is None or namespace.status != "available":
                state = "does not exist" if namespace is None else f"is {namespace.status}"
                self._fatal(
                    RedshiftError(
                        f"the workgroup {state}; no connections are accepted",
                        sqlstate=CANNOT_CONNECT_NOW,
                    )
                )
                return
        self.faults.application = parameters.get("application_name", "")
        refusal = await self.faults.connecting()
        if refusal is not None:
            self._fatal(refusal)
            return
        self.unrestricted = self.user == SUPERUSER
        self.backend = await Backend.connect(self.front.socket_path)
        self.backend.sink = self.from_backend
        self.backend.on_lost = self._close
        passed = {key: value for key, value in parameters.items() if key in _PASSED_STARTUP}
        passed["database"] = self.database
        self._phase = "login"
        self._expected.append(True)
        self.backend.write(protocol.startup(passed))

    # -- what PostgreSQL sends -----------------------------------------------------------------

    def from_backend(self, data: bytes) -> None:
        for part in self._scanner.feed(data, single_answer=len(self._expected) == 1):
            if part:
                self.send(part)

    def _watch(self, kind: int, body: bytes) -> bytes | None:
        if kind == 0x5A:  # Z
            return self._ready(body)
        if kind == 0x45:  # E
            return self._error(body)
        if kind == 0x54:  # T
            replaced = protocol.replace_type_oids(body, {JSONB_OID: SUPER_OID})
            return None if replaced is None else protocol.message(b"T", replaced)
        if kind == 0x43:  # C
            count = body[:-1].rsplit(b" ", 1)[-1]
            if count.isdigit():
                self.recorder.rows = int(count)
            return None
        if kind == 0x4B:  # K
            self._key = body
            self.session_id = protocol.unpack_int32(body)[0]
            self.front.by_key[body] = self
            return None
        if body.startswith(b"server_version\x00"):
            return protocol.message(b"S", b"server_version\x00" + SERVER_VERSION.encode() + b"\x00")
        return None

    def _ready(self, body: bytes) -> bytes | None:
        assert self.backend is not None
        self.backend.status = body
        if self._phase == "login":
            self._phase = "ready"
        self.recorder.finish(self)
        if self.faults.losing_answer:
            self.reset()
            return b""
        to_client = self._expected.popleft() if self._expected else True
        if to_client:
            self._batch_failed = False  # the client's own Sync or Query ended what had failed
        if not self._expected:
            self._idle.set()
        return None if to_client else b""

    def _error(self, body: bytes) -> bytes | None:
        fields = protocol.parse_fields(body)
        self._batch_failed = True
        self.faults.losing_answer = False  # nothing was committed
        self.recorder.error = fields.get("M")
        if self._phase == "login" and fields.get("C") == "28P01":
            # Redshift's code, which drivers turn into their "interface" error.
            return protocol.fields_message(b"E", {**fields, "C": INVALID_AUTHORIZATION})
        replaced = translate_error(fields)
        return None if replaced is None else protocol.fields_message(b"E", replaced)

    # -- the client's messages -----------------------------------------------------------------

    def _message(self, raw: bytes, out: list[bytes]) -> Coroutine[Any, Any, None] | None:
        """Pass a message on (to ``out``), or return the work it needs."""
        kind = raw[:1]
        if self._scanner.in_long_result and kind != b"X":
            return self._later(raw)
        if kind == b"P":
            return self._parse(raw, out)
        if kind == b"B":
            portal, statement, values = protocol.parse_bind(raw[5:])
            plan = self._statements.get(statement)
            if plan is not None:
                return self._bind_special(portal, statement, plan, values)
            self._portals.pop(portal, None)
            self._portal_texts[portal] = self._texts.get(statement, "")
        elif kind == b"D":
            names = self._statements if raw[5:6] == b"S" else self._portals
            if raw[6:-1] in names:
                return self._describe_special(raw[5:6])
        elif kind == b"E":
            portal = raw[5 : raw.index(b"\x00", 5)]
            plan = self._portals.get(portal)
            if plan is not None:
                return self._execute_special(plan, self._portal_texts.get(portal, ""))
            text = self._portal_texts.get(portal, "")
            if self.faults.may_strike([Pass(text)]):
                return self._execute_or_fail(raw, text)
            self.recorder.start(text)
        elif kind == b"C":
            name = raw[6:-1]
            names = self._statements if raw[5:6] == b"S" else self._portals
            if raw[5:6] == b"S":
                self._texts.pop(name, None)
            if name in names:
                del names[name]
                return self._close_special()
        elif kind == b"S":
            self._skipping = False
            self._expect(client=True)
            self._unsynced = False
            out.append(raw)
            return None
        elif kind == b"Q":
            return self._query(raw, out)
        elif kind == b"H":
            if not self._unsynced:
                return None
            out.append(raw)
            return None
        elif kind == b"X":
            self._close()
            return None
        elif kind == b"F":
            return self._refuse(RedshiftError("function calls are not supported", sqlstate="0A000"))
        self._unsynced = True
        out.append(raw)
        return None

    async def _later(self, raw: bytes) -> None:
        """Handle a message only after the long answer under way has ended."""
        await self._idle.wait()
        out: list[bytes] = []
        work = self._message(raw, out)
        self._flush_out(out)
        if work is not None:
            await work

    def _expect(self, *, client: bool) -> None:
        self._expected.append(client)
        self._idle.clear()

    def _plan(self, sql: str) -> Plan:
        return self._allowed(translate(sql), sql)

    def _allowed(self, plan: Plan, sql: str) -> Plan:
        """The plan, given who asks: the sandbox's own user may use all of PostgreSQL."""
        if self.unrestricted:
            if isinstance(plan, Refuse) and plan.error.sqlstate == FEATURE_NOT_SUPPORTED:
                return Pass(sql)
            return plan
        if isinstance(plan, SwitchUser):
            return Refuse(
                RedshiftError(
                    "permission denied to set session authorization",
                    sqlstate=INSUFFICIENT_PRIVILEGE,
                )
            )
        return plan

    def _parse(self, raw: bytes, out: list[bytes]) -> Coroutine[Any, Any, None] | None:
        try:
            name, sql, types = protocol.parse_parse(raw[5:])
        except UnicodeDecodeError:
            return self._refuse(
                RedshiftError('invalid byte sequence for encoding "UTF8"', sqlstate="22021")
            )
        plan = self._plan(sql)
        self._texts[name] = sql
        if not isinstance(plan, Pass):
            return self._parse_special(name, plan)
        self._statements.pop(name, None)
        self._unsynced = True
        out.append(raw if plan.sql is sql else protocol.parse_message(name, plan.sql, types))
        if _READS_HISTORY.search(sql):
            return self.front.internal.flush()
        return None

    def _query(self, raw: bytes, out: list[bytes]) -> Coroutine[Any, Any, None] | None:
        try:
            sql = raw[5:-1].decode()
        except UnicodeDecodeError:
            return self._fail_query(
                RedshiftError('invalid byte sequence for encoding "UTF8"', sqlstate="22021")
            )
        plans = [self._allowed(plan, sql) for plan in translate_script(sql)]
        if self.faults.may_strike(plans):
            return self._query_or_fail(raw, sql, plans)
        return self._run_query(raw, sql, plans, out)

    def _run_query(
        self, raw: bytes, sql: str, plans: list[Plan], out: list[bytes]
    ) -> Coroutine[Any, Any, None] | None:
        if _READS_HISTORY.search(sql) or any(not isinstance(plan, Pass) for plan in plans):
            return self._run_script(sql, plans)
        self.recorder.start(sql)
        self._expect(client=True)
        self._unsynced = False
        if len(plans) == 1 and isinstance(plans[0], Pass) and plans[0].sql is sql:
            out.append(raw)
        else:
            out.append(protocol.query(";\n".join(p.sql for p in plans if isinstance(p, Pass))))
        return None

    # -- statements that a planned fault may strike ----------------------------------------

    async def _execute_or_fail(self, raw: bytes, sql: str) -> None:
        """Execute, unless a fault comes first."""
        error = await self.faults.before([Pass(sql)], sql)
        if error is None:
            self.recorder.start(sql)
            self._unsynced = True
            self._flush_out([raw])
        elif await self._quiet():
            await self._fail_instead([Pass(sql)], error)
            self._skipping = True

    async def _query_or_fail(self, raw: bytes, sql: str, plans: list[Plan]) -> None:
        """Query, unless a fault comes first."""
        error = await self.faults.before(plans, sql)
        if error is None:
            out: list[bytes] = []
            work = self._run_query(raw, sql, plans, out)
            self._flush_out(out)
            if work is not None:
                await work
        else:
            await self._quiet()
            await self._fail_instead(plans, error)
            self._send_ready()

    async def _fail_instead(self, plans: list[Plan], error: RedshiftError) -> None:
        """Report the error in the place of running something; a COMMIT then has rolled back."""
        assert self.backend is not None
        if self.backend.status != b"I" and any(
            isinstance(plan, Pass) and leading_keyword(plan.sql) in ("COMMIT", "END")
            for plan in plans
        ):
            await self._runner.exclusively(self.backend.query("ROLLBACK"))
        await self._runner.report(error)

    # -- statements that are not PostgreSQL's: extended protocol ---------------------------

    async def _quiet(self) -> bool:
        """Wait until PostgreSQL has answered all; False if an error means: skip to the Sync."""
        assert self.backend is not None
        if self._unsynced:
            # Our own Sync: what was sent before is ended, as an error there would end it.
            self._unsynced = False
            self._expect(client=False)
            self.backend.write(protocol.SYNC)
        while self._expected:
            await self._idle.wait()
            if self._phase == "closed":
                raise BackendLost("the client is gone")
        if self._batch_failed:
            self._skipping = True
        return not self._skipping

    async def _parse_special(self, name: bytes, plan: Plan) -> None:
        if not await self._quiet():
            return
        if isinstance(plan, Refuse):
            await self._runner.report(plan.error)
            self._skipping = True
            return
        self._statements[name] = plan
        self.send(protocol.PARSE_COMPLETE)

    async def _bind_special(self, portal: bytes, statement: bytes, plan: Plan, values: int) -> None:
        if not await self._quiet():
            return
        if values:
            await self._runner.report(
                RedshiftError(
                    "bound parameters are not supported in this statement",
                    sqlstate=FEATURE_NOT_SUPPORTED,
                    hint="Write the values into the statement.",
                )
            )
            self._skipping = True
            return
        self._portals[portal] = plan
        self._portal_texts[portal] = self._texts.get(statement, "")
        self.send(protocol.BIND_COMPLETE)

    async def _describe_special(self, kind: bytes) -> None:
        if await self._quiet():
            self.send((protocol.NO_PARAMETERS if kind == b"S" else b"") + protocol.NO_DATA)

    async def _close_special(self) -> None:
        if await self._quiet():
            self.send(protocol.CLOSE_COMPLETE)

    async def _execute_special(self, plan: Plan, sql: str) -> None:
        if not await self._quiet():
            return
        error = await self._runner.run(plan, sql)
        if error is not None:
            await self._runner.report(error)
            self._skipping = True

    async def _refuse(self, error: RedshiftError) -> None:
        if await self._quiet():
            await self._runner.report(error)
            self._skipping = True

    # -- statements that are not PostgreSQL's: simple protocol -----------------------------

    async def _fail_query(self, error: RedshiftError) -> None:
        await self._quiet()
        await self._runner.report(error)
        self._send_ready()

    def _send_ready(self) -> None:
        assert self.backend is not None
        self._batch_failed = self._skipping = False
        if self.faults.losing_answer:
            self.reset()
        self.send(protocol.message(b"Z", self.backend.status))

    async def _run_script(self, sql: str, plans: list[Plan]) -> None:
        """Statements of one Query, some of them ours. Several are one transaction, as there."""
        await self._quiet()
        assert self.backend is not None
        if _READS_HISTORY.search(sql):
            await self.front.internal.flush()
        grouped = len(plans) > 1 and self.backend.status == b"I" and not controls(plans)
        if grouped:
            await self._runner.exclusively(self.backend.query("BEGIN"))
        error: RedshiftError | None = None
        for plan in plans:
            error = (
                await self._relay(plan.sql)
                if isinstance(plan, Pass)
                else await self._runner.run(plan, sql)
            )
            if error is not None:
                break
        if grouped and self.backend.status != b"I":
            try:
                await self._runner.exclusively(
                    self.backend.query("COMMIT" if error is None else "ROLLBACK")
                )
            except RedshiftError as at_commit:
                error = error or at_commit
        if error is not None:
            await self._runner.report(error)
        self._send_ready()

    async def _relay(self, sql: str) -> RedshiftError | None:
        """Run one of PostgreSQL's statements of a script: everything but ReadyForQuery goes on."""
        assert self.backend is not None
        self.recorder.start(sql)
        self._batch_failed = False
        self._expect(client=False)
        self.backend.write(protocol.query(sql))
        while self._expected:
            await self._idle.wait()
        failed, self._batch_failed = self._batch_failed, False
        return AlreadyReported() if failed else None

    async def cancel(self) -> None:
        """A CancelRequest for this session."""
        self.cancelled = True
        if self.backend is not None and self._key:
            await cancel_backend(self.front.socket_path, self._key)
        ours = self.backend is not None and self.backend.sink is None
        if ours and self._task is not None and self.recorder.running:
            self._task.cancel()

    async def _end_statement(self) -> None:
        with contextlib.suppress(OSError):  # PostgreSQL may be gone, too
            await self.cancel_own_query()

    async def cancel_own_query(self) -> None:
        """Stop what our own statement runs in PostgreSQL."""
        await cancel_backend(self.front.socket_path, self._key)
