"""A statement that is cancelled leaves nothing of its answer to the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.backend import Backend

ERROR = protocol.message(b"E", b"C57014\x00Mcancelled\x00\x00")
READY = protocol.message(b"Z", b"I")
ANSWER = protocol.message(b"C", b"SELECT 1\x00") + READY
BEGUN_IN = protocol.message(b"G", b"\x00\x00\x00")
BEGUN_OUT = protocol.message(b"H", b"\x00\x00\x00")
ROW = protocol.message(b"d", b"1\n")


class Database:
    """A server that records what it gets and sends what the test gives it."""

    def __init__(self) -> None:
        self.received = asyncio.Queue[bytes]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.send = writer.write
        while data := await reader.read(65536):
            self.received.put_nowait(data)
        writer.close()


async def next_answer_after_a_cancelled(
    ask: Callable[[Backend, Callable[[], Awaitable[None]]], Awaitable[object]],
    folder: Path,
    answer: bytes,
) -> str | None:
    """The tag of a statement after one that was cancelled before the database answered."""
    database = Database()
    server = await asyncio.start_unix_server(database.serve, folder / "s")
    backend = await Backend.connect(folder / "s")

    async def cancel() -> None:
        database.send(ERROR + READY)

    asked = asyncio.ensure_future(ask(backend, cancel))
    await database.received.get()
    asked.cancel()
    await asyncio.sleep(0.01)
    database.send(answer)
    if answer == BEGUN_IN:
        assert b"cancelled" in await database.received.get()
        database.send(ERROR + READY)
    with pytest.raises(asyncio.CancelledError):
        await asked
    following = asyncio.ensure_future(backend.query("select 1"))
    await database.received.get()
    database.send(ANSWER)
    result = await asyncio.wait_for(following, 10)
    backend.close()
    server.close()
    return result.tag


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(lambda b, _: b.query("q"), ERROR + READY, id="query"),
        pytest.param(lambda b, _: b.describe("q"), ERROR + READY, id="describe"),
        pytest.param(lambda b, _: b.copy_in("q", lambda: None), ERROR + READY, id="copy in"),
        pytest.param(lambda b, _: b.copy_in("q", lambda: None), BEGUN_IN, id="copy in, begun"),
        pytest.param(
            lambda b, c: b.copy_out("q", lambda *_: None, c), ERROR + READY, id="copy out"
        ),
        pytest.param(
            lambda b, c: b.copy_out("q", lambda *_: None, c), BEGUN_OUT + ROW, id="copy out, begun"
        ),
    ],
)
def test_the_next_statement_gets_its_own_answer(
    ask: Callable[[Backend, Callable[[], Awaitable[None]]], Awaitable[object]],
    answer: bytes,
    tmp_path: Path,
) -> None:
    assert asyncio.run(next_answer_after_a_cancelled(ask, tmp_path, answer)) == "SELECT 1"
