"""Queries of the sandbox itself on a PostgreSQL connection: log-in, simple query, description.

While a client's statements pass through, ``sink`` gets every byte that PostgreSQL sends. While the
sandbox runs a statement of its own, the methods here read the messages. The two never overlap:
``Relay.exclusively`` detaches the sink.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.connection import BackendLost, Connection
from xacct_sandbox.redshift.sql.errors import BackendError

AUTH_MD5 = 5
_T = TypeVar("_T")


@dataclass
class Result:
    """The answer to one simple query; of several statements, the last one's."""

    columns: list[str] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    tag: str = ""
    notices: list[bytes] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """The number of rows in the command tag, e.g. of ``COPY 5``."""
        return int(self.tag.split()[-1])


class QueryConnection(Connection):
    """A PostgreSQL connection on which the sandbox runs queries.

    Attributes:
        status: The transaction status of the last ReadyForQuery: ``I`` idle, ``T`` in a
            transaction, ``E`` in a failed transaction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = b"I"

    async def log_in(self, user: str, password: str, database: str) -> None:
        """Log in with an MD5 challenge (why MD5: ``storage/settings.py``).

        Raises:
            BackendError: PostgreSQL refused.
        """
        parameters = {"user": user, "database": database, "application_name": "sandbox"}
        self.write(protocol.startup(parameters))
        while True:
            kind, body = await self.read_message()
            if kind == b"E":
                raise BackendError(protocol.parse_fields(body))
            if kind == b"Z":
                self.status = body
                return
            if kind != b"R":
                continue
            step = protocol.unpack_int32(body)[0]
            if step == AUTH_MD5:
                answer = md5_answer(user, password, body[4:8])
                self.write(protocol.message(b"p", answer + b"\x00"))
            elif step != 0:
                raise BackendLost(f"the database asked for authentication method {step}")

    async def query(self, sql: str) -> Result:
        """Run SQL text with the simple query protocol.

        Raises:
            BackendError: PostgreSQL reported an error. The connection is ready again.
            BackendLost: The connection ended.
        """
        self.write(protocol.query(sql))
        return await self.finish()

    async def finish(self) -> Result:
        """Read the answer up to ReadyForQuery.

        It is read to its end even if this is cancelled: the error of a cancelled statement that
        stayed in the buffer would be taken for the answer to the next one.

        Raises:
            BackendError: The first error in the answer.
        """
        return await _read_to_end(self._finish())

    async def _finish(self) -> Result:
        result, error = Result(), None
        while True:
            kind, body = await self.read_message()
            if kind == b"Z":
                self.status = body
                if error is not None:
                    raise error
                return result
            if kind == b"E":
                error = error or BackendError(protocol.parse_fields(body))
            elif kind == b"T":
                result.columns, result.rows = protocol.row_description_names(body), []
            elif kind == b"D":
                result.rows.append(protocol.data_row_values(body))
            elif kind == b"C":
                result.tag = body[:-1].decode()
            elif kind == b"N":
                result.notices.append(protocol.message(b"N", body))

    async def describe(self, sql: str) -> list[tuple[str, int, int]]:
        """The columns a query returns: name, type OID and type modifier. It is not run.

        Raises:
            BackendError: The query is wrong.
        """
        self.write(
            protocol.parse_message(b"", sql, b"\x00\x00")
            + protocol.message(b"D", b"S\x00")
            + protocol.SYNC
        )
        return await _read_to_end(self._description())

    async def _description(self) -> list[tuple[str, int, int]]:
        columns: list[tuple[str, int, int]] = []
        error = None
        while True:
            kind, body = await self.read_message()
            if kind == b"T":
                columns = protocol.row_description_types(body)
            elif kind == b"E":
                error = BackendError(protocol.parse_fields(body))
            elif kind == b"Z":
                self.status = body
                if error is not None:
                    raise error
                return columns

    async def _read_to_ready(self) -> None:
        while True:
            kind, body = await self.read_message()
            if kind == b"Z":
                self.status = body
                return


async def _read_to_end(answer: Coroutine[Any, Any, _T]) -> _T:
    """Await ``answer`` to its end, also if this is cancelled meanwhile."""
    reading = asyncio.ensure_future(answer)
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()
        raise


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    """A client's answer to AuthenticationMD5Password."""
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
    return b"md5" + outer.encode()
