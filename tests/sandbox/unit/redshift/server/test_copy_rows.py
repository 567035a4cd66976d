"""Rows are taken out of the messages of a COPY TO, however the messages are cut."""

from __future__ import annotations

import os
import random
import socket
import threading

import pytest

from xacct_sandbox.redshift.server import copy_rows, protocol
from xacct_sandbox.redshift.server.copy_rows import Rows

END = protocol.COPY_DONE + protocol.command_complete("COPY 3") + protocol.message(b"Z", b"T")


def framed(rows: list[bytes]) -> bytes:
    return b"".join(protocol.message(b"d", row + b"\n") for row in rows)


def received(stream: bytes, cuts: list[int], begun: bytes = b"") -> tuple[bytes, int, bytes]:
    """The rows, their number and the rest, of a stream that arrives in these pieces."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    arrived = threading.Event()

    def send() -> None:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            theirs.sendall(stream[start:end])
            arrived.wait(0.0005)

    thread = threading.Thread(target=send)
    thread.start()
    rows, data, number = Rows(begun), b"", 0
    with ours, theirs:
        while not rows.ended:
            assert rows.fill(ours.fileno())
            for some, count in rows.take():
                data, number = data + some, number + count
        thread.join()
    return data, number, rows.rest()


@pytest.mark.parametrize("seed", range(8))
def test_rows_arrive_whole_and_counted_wherever_the_stream_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    words = [b"", b"a,b", b'"line\nfeed"', b"d", b"\nd", b"Z" * 40, b"x" * 3000]
    rows = [b"".join(chance.choices(words, k=chance.randrange(4))) for _ in range(60)]
    stream = framed(rows) + END
    cuts = sorted(chance.sample(range(1, len(stream)), 25))
    begun = chance.randrange(cuts[0])
    data, number, left = received(stream[begun:], [cut - begun for cut in cuts], stream[:begun])
    assert data == b"".join(row + b"\n" for row in rows)
    assert number == len(rows)
    assert left == END


def test_many_rows_come_in_pieces_that_can_be_dealt_out() -> None:
    rows = Rows(framed([b"x" * 100] * 5000) + END)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        assert rows.fill(ours.fileno())
    pieces = rows.take()
    assert sum(number for _, number in pieces) == 5000
    assert len(pieces) >= 5000 * 100 // copy_rows.PIECE_BYTES
    assert all(data.count(b"\n") == number for data, number in pieces)


def test_no_rows_at_all_end_at_once() -> None:
    assert received(b"", [], END) == (b"", 0, END)
    assert received(END, []) == (b"", 0, END)


def test_an_error_after_rows_stays_for_the_reader() -> None:
    error = protocol.fields_message(b"E", {"M": "division by zero"}) + protocol.message(b"Z", b"E")
    assert received(framed([b"1"]) + error, []) == (b"1\n", 1, error)


def test_a_row_beyond_sixteen_megabytes_stands_between_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = b"x" * (copy_rows._LONG_ROW + 5)
    stream = framed([b"before", long, b"after"]) + END
    assert received(stream, []) == (b"before\n" + long + b"\nafter\n", 3, END)


def test_a_connection_that_ends_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(framed([b"1"])[:-1])
    theirs.close()
    with ours:
        assert not Rows().fill(ours.fileno())
    read, write = os.pipe2(os.O_NONBLOCK)
    os.close(write)
    assert not Rows().fill(read)
    os.close(read)
