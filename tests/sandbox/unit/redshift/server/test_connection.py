"""What PostgreSQL says before it ends a connection arrives, whatever is sent to it meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.connection import BackendLost, Connection
from xacct_sandbox.redshift.server.query_connection import QueryConnection

REFUSED = protocol.message(b"E", b"SFATAL\x00VFATAL\x00C28P01\x00Mno\x00\x00")
FAILED = protocol.message(b"E", b"SERROR\x00VERROR\x00C42601\x00Mno\x00\x00")
FLUSH = protocol.message(b"H")
LONG = b"".join(protocol.message(b"N", b"x" * 1000 + b"\x00") for _ in range(300)) + REFUSED


class Ending:
    """A server that answers the first bytes with its last ones and closes.

    It acts in the caller's thread, so what the event loop sees next is certain.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()

    def end(self, last: bytes, *, read: bool = True) -> None:
        """Send the last bytes and close, with or without reading what came."""
        accepted, _ = self._listening.accept()
        if read:
            accepted.recv(65536)
        accepted.setblocking(False)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        assert accepted.send(last) == len(last)
        accepted.close()
        self._listening.close()


@pytest.mark.parametrize("last", [REFUSED, LONG], ids=["one error", "much, then an error"])
@pytest.mark.parametrize("read", [True, False], ids=["read", "left unread"])
@pytest.mark.parametrize("paused", [False, True], ids=["reading", "reading is paused"])
def test_the_last_bytes_arrive_although_a_message_behind_the_first_finds_it_closed(
    tmp_path: Path, last: bytes, read: bool, paused: bool
) -> None:
    async def scenario() -> bytes:
        database = Ending(tmp_path)
        connection = await Connection.connect(database.path)
        got, lost = bytearray(), asyncio.Event()
        connection.sink, connection.on_lost = got.extend, lost.set
        if paused:
            connection.pause_reading()
        connection.write(protocol.message(b"p", b"answer\x00"))
        database.end(last, read=read)
        connection.write(FLUSH)
        await asyncio.wait_for(lost.wait(), 10)
        with pytest.raises(BackendLost):
            connection.write(FLUSH)
        return bytes(got)

    assert asyncio.run(scenario()) == last


def test_a_statement_fails_with_the_error_before_the_end(tmp_path: Path) -> None:
    async def scenario() -> tuple[bytes, bytes]:
        database = Ending(tmp_path)
        connection = await QueryConnection.connect(database.path)
        connection.write(FLUSH)
        database.end(REFUSED)
        connection.write(FLUSH)
        return await asyncio.wait_for(connection.read_message(), 10)

    kind, body = asyncio.run(scenario())
    assert protocol.message(kind, body) == REFUSED


async def nothing_read(connection: QueryConnection) -> None:
    await asyncio.sleep(0)


async def all_read(connection: QueryConnection) -> None:
    with pytest.raises(BackendLost):
        await connection.finish()


@pytest.mark.parametrize("use", [nothing_read, all_read])
@pytest.mark.parametrize(
    ("last", "farewell"),
    [
        pytest.param(REFUSED, REFUSED, id="fatal"),
        pytest.param(FAILED + LONG, REFUSED, id="an error, notices, fatal"),
        pytest.param(FAILED, b"", id="an error of a statement"),
        pytest.param(b"", b"", id="nothing"),
        pytest.param(REFUSED[:-3], b"", id="a broken message"),
    ],
)
def test_who_reads_the_answers_itself_can_pass_on_the_fatal_error(
    tmp_path: Path, use: Callable[[QueryConnection], object], last: bytes, farewell: bytes
) -> None:
    async def scenario() -> bytes:
        database = Ending(tmp_path)
        connection = await QueryConnection.connect(database.path)
        farewells = asyncio.Queue[bytes]()
        connection.on_lost = lambda: farewells.put_nowait(connection.farewell())
        connection.write(protocol.query("select 1"))
        database.end(last)
        await use(connection)
        return await asyncio.wait_for(farewells.get(), 10)

    assert asyncio.run(scenario()) == farewell
