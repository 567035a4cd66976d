"""Large objects are sent from disk, as they were when they were requested."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from xacct_sandbox.daemon.file_response import CHUNK_BYTES, FileBody


def sent(body: FileBody) -> list[bytes]:
    chunks: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        chunks.append(message["body"])
        assert message["more_body"] is (sum(map(len, chunks)) < len(body))

    asyncio.run(body.send(send, None))
    return chunks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "object"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


def test_the_whole_file_is_sent_in_chunks(path: Path) -> None:
    chunks = sent(FileBody.open(str(path)))
    assert b"".join(chunks) == path.read_bytes()
    assert max(map(len, chunks)) <= CHUNK_BYTES


def test_a_slice_is_that_range_of_the_file(path: Path) -> None:
    body = FileBody.open(str(path))[1000:301_000]
    assert len(body) == 300_000
    assert b"".join(sent(body)) == path.read_bytes()[1000:301_000]


def test_a_replaced_object_is_sent_as_it_was(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    body = FileBody.open(str(path))
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(path)
    assert b"".join(sent(body)) == before


def test_an_empty_object_is_an_empty_body(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sent(FileBody.open(str(tmp_path / "empty"))) == [b""]


def test_a_file_that_became_shorter_does_not_look_whole(path: Path) -> None:
    body = FileBody.open(str(path))
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(OSError, match="bytes early"):
        sent(body)
