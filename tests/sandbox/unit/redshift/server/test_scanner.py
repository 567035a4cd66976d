"""Message boundaries are found however the bytes arrive, and nothing is lost or changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.scanner import LONG_RESULT_ROWS, Scanner

READY = protocol.message(b"Z", b"I")


def fed(data: bytes, size: int, watch: object, *, single: bool) -> bytes:
    scanner = Scanner(watch)  # type: ignore[arg-type]
    out = b""
    for start in range(0, len(data), size):
        out += b"".join(scanner.feed(data[start : start + size], single_answer=single))
    return out


_MESSAGES = st.lists(
    st.tuples(st.sampled_from([b"D", b"C", b"T", b"N", b"1", b"2"]), st.binary(max_size=30)),
    max_size=20,
).map(lambda pairs: b"".join(protocol.message(kind, body) for kind, body in pairs))


@given(_MESSAGES, st.integers(1, 50))
def test_everything_is_forwarded_and_every_answer_is_seen(data: bytes, size: int) -> None:
    seen: list[int] = []

    def watch(kind: int, body: bytes) -> None:
        seen.append(kind)

    stream = data + READY + data + READY
    assert fed(stream, size, watch, single=False) == stream
    assert seen.count(ord("Z")) == 2


@given(st.integers(1, 4000))
def test_a_long_result_ends_with_its_ready_message(size: int) -> None:
    seen: list[bytes] = []

    def watch(kind: int, body: bytes) -> None:
        if kind == ord("Z"):
            seen.append(body)

    rows = protocol.data_row(["x" * 40, None]) * (LONG_RESULT_ROWS * 3)
    stream = rows + protocol.command_complete("SELECT 1536") + protocol.message(b"Z", b"T")
    assert fed(stream, size, watch, single=True) == stream
    assert seen == [b"T"]


def test_a_message_can_be_replaced() -> None:
    def watch(kind: int, body: bytes) -> bytes | None:
        return protocol.message(b"E", b"new") if kind == ord("E") else None

    stream = protocol.data_row(["a"]) + protocol.message(b"E", b"old") + READY
    expected = protocol.data_row(["a"]) + protocol.message(b"E", b"new") + READY
    for size in range(1, len(stream) + 1):
        assert fed(stream, size, watch, single=True) == expected
