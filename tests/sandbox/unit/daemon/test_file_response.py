"""Large objects are sent from disk, as they were when they were asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from xacct_sandbox.daemon.file_response import CHUNK_BYTES, StoredBody


def sent(body: StoredBody) -> list[bytes]:
    chunks: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        chunks.append(message["body"])
        assert message["more_body"] is (sum(map(len, chunks)) < len(body))

    asyncio.run(body.send(send, None))
    return chunks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "object"
    made.write_bytes(bytes(range(256)) * 4000)
    return made


def test_it_is_sent_whole_in_chunks(path: Path) -> None:
    chunks = sent(StoredBody.open(str(path)))
    assert b"".join(chunks) == path.read_bytes()
    assert max(map(len, chunks)) <= CHUNK_BYTES


def test_a_range_is_that_range(path: Path) -> None:
    body = StoredBody.open(str(path))[1000:301_000]
    assert len(body) == 300_000
    assert b"".join(sent(body)) == path.read_bytes()[1000:301_000]


def test_a_replaced_object_is_sent_as_it_was(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    body = StoredBody.open(str(path))
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(path)
    assert b"".join(sent(body)) == before


def test_an_empty_object_is_an_empty_body(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sent(StoredBody.open(str(tmp_path / "empty"))) == [b""]


def test_a_file_that_became_shorter_does_not_look_whole(path: Path) -> None:
    body = StoredBody.open(str(path))
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(OSError, match="bytes early"):
        sent(body)
