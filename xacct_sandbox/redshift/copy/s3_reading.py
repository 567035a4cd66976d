"""The objects of a COPY: listed, fetched ahead in threads, decompressed.

Memory is bounded: at most ``READ_AHEAD_OBJECTS`` objects are open, with ``CHUNKS_AHEAD`` chunks in
the queue of each.
"""

from __future__ import annotations

import bz2
import contextlib
import json
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.redshift.roles import RoleSession, s3_failure
from xacct_sandbox.redshift.sql.errors import RedshiftError
from xacct_sandbox.redshift.sql.option_lists import S3Location, s3_location

CHUNK_BYTES = 1 << 20
READ_AHEAD_OBJECTS = 4
CHUNKS_AHEAD = 4


@dataclass(frozen=True)
class SourceObject:
    bucket: str
    key: str
    size: int

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def list_prefix(session: RoleSession, source: S3Location) -> list[SourceObject]:
    """Every object whose key begins with the prefix, without the markers of folders.

    Raises:
        RedshiftError: S3 refused, or nothing matches.
    """
    objects: list[SourceObject] = []
    try:
        pages = session.s3.get_paginator("list_objects_v2").paginate(
            Bucket=source.bucket, Prefix=source.key
        )
        for page in pages:
            objects += [
                SourceObject(source.bucket, item["Key"], item["Size"])
                for item in page.get("Contents", ())
                if not (item["Key"].endswith("/") and item["Size"] == 0)
            ]
    except (ClientError, BotoCoreError) as problem:
        raise s3_failure(problem, "s3:ListBucket", source.url, session.principal) from problem
    if not objects:
        raise RedshiftError(
            f"The specified S3 prefix '{source.key}' does not exist",
            hint=f"No object of bucket {source.bucket} begins with it.",
        )
    return objects


def list_manifest(session: RoleSession, source: S3Location) -> list[SourceObject]:
    """The objects that a manifest names.

    Raises:
        RedshiftError: The manifest cannot be read or is wrong, or a mandatory object is missing.
    """
    try:
        body = session.s3.get_object(Bucket=source.bucket, Key=source.key)["Body"].read()
    except (ClientError, BotoCoreError) as problem:
        raise s3_failure(problem, "s3:GetObject", source.url, session.principal) from problem
    try:
        entries = json.loads(body)["entries"]
        listed = [(entry["url"], bool(entry.get("mandatory", False))) for entry in entries]
    except (ValueError, KeyError, TypeError) as problem:
        raise RedshiftError(
            f"COPY: the manifest {source.url} is not valid",
            hint='It must be JSON: {"entries": [{"url": "s3://…", "mandatory": true}]}.',
        ) from problem
    objects = []
    for url, mandatory in listed:
        location = s3_location("COPY", url)
        try:
            head = session.s3.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as problem:
            status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404:
                if not mandatory:
                    continue
                raise RedshiftError(
                    f"Problem reading manifest file - S3ServiceException: the mandatory file {url}"
                    " of the manifest does not exist,Status 404,Error NoSuchKey",
                ) from problem
            raise s3_failure(problem, "s3:GetObject", url, session.principal) from problem
        objects.append(SourceObject(location.bucket, location.key, head["ContentLength"]))
    if not objects and listed:
        raise RedshiftError(f"COPY: no file of the manifest {source.url} exists")
    return objects


# -- one object --------------------------------------------------------------------------------


def object_chunks(
    session: RoleSession, source: SourceObject, compression: str | None
) -> Iterator[bytes]:
    """The content of an object, decompressed, in chunks of about a megabyte.

    Raises:
        RedshiftError: S3 refused, the stream broke, or the compression is not the given one.
    """
    try:
        body = session.s3.get_object(Bucket=source.bucket, Key=source.key)["Body"]
        raw = _raw_chunks(body)
        if compression is None:
            yield from raw
        else:
            yield from _DECOMPRESSORS[compression](raw, source.url)
    except (ClientError, BotoCoreError, OSError) as problem:
        raise s3_failure(problem, "s3:GetObject", source.url, session.principal) from problem


def _raw_chunks(body: Any) -> Iterator[bytes]:
    while chunk := body.read(CHUNK_BYTES):
        yield chunk


def _gunzip(chunks: Iterator[bytes], url: str) -> Iterator[bytes]:
    """All members of a gzip stream. A truncated or broken one is an error."""
    decompressor = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if decompressor.eof:
                    data = data.lstrip(b"\x00")  # padding between members
                    if not data:
                        break
                    decompressor = zlib.decompressobj(wbits=31)
                begun = True
                yield from _non_empty(decompressor.decompress(data, CHUNK_BYTES))
                while decompressor.unconsumed_tail:
                    yield decompressor.decompress(decompressor.unconsumed_tail, CHUNK_BYTES)
                data = decompressor.unused_data
    except zlib.error as problem:
        raise _broken(url, "gzip", str(problem)) from problem
    if begun and not decompressor.eof:
        raise _broken(url, "gzip", "the stream ends in the middle")


def _bunzip(chunks: Iterator[bytes], url: str) -> Iterator[bytes]:
    decompressor = bz2.BZ2Decompressor()
    begun = False
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if decompressor.eof:
                    decompressor = bz2.BZ2Decompressor()
                begun = True
                yield from _non_empty(decompressor.decompress(data, CHUNK_BYTES))
                while not decompressor.needs_input and not decompressor.eof:
                    yield from _non_empty(decompressor.decompress(b"", CHUNK_BYTES))
                data = decompressor.unused_data if decompressor.eof else b""
    except (OSError, ValueError) as problem:
        raise _broken(url, "bzip2", str(problem)) from problem
    if begun and not decompressor.eof:
        raise _broken(url, "bzip2", "the stream ends in the middle")


def _unzstd(chunks: Iterator[bytes], url: str) -> Iterator[bytes]:
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.PythonFile(_Readable(chunks), mode="r"), "zstd") as stream:
            while block := stream.read(CHUNK_BYTES):
                yield block
    except (OSError, pa.ArrowException) as problem:
        raise _broken(url, "zstd", str(problem)) from problem


class _Readable:
    """Chunks as a file."""

    closed = False

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        if size < 0:
            size = len(self._rest)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


_DECOMPRESSORS: dict[str, Callable[[Iterator[bytes], str], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "bzip2": _bunzip,
    "zstd": _unzstd,
}


def _non_empty(data: bytes) -> Iterator[bytes]:
    if data:
        yield data


def _broken(url: str, compression: str, reason: str) -> RedshiftError:
    return RedshiftError(
        f"COPY: {url} is not valid {compression}: {reason}",
        hint=f"If it is not {compression}, leave the option out; otherwise write the file again.",
    )


# -- many objects -----------------------------------------------------------

_END = object()
Item = TypeVar("Item")


class ReadAhead(Generic[Item]):
    """The items of several objects in order, fetched ahead by a few threads.

    ``close`` must be called, to end the threads.

    Attributes:
        current: The number of the object that is being read.
    """

    def __init__(
        self, open_items: Callable[[SourceObject], Iterator[Item]], objects: list[SourceObject]
    ) -> None:
        self._open = open_items
        self._objects = objects
        self._queues: list[queue.Queue[Any]] = [queue.Queue(CHUNKS_AHEAD) for _ in objects]
        self._closed = threading.Event()
        self.current = 0
        self._next_to_fetch = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"copy-fetch-{n}", daemon=True)
            for n in range(min(READ_AHEAD_OBJECTS, len(objects)))
        ]
        for thread in self._threads:
            thread.start()

    def next_item(self) -> tuple[int, Item] | None:
        """The number of an object and the next item of it. Blocks: call it in a thread.

        Returns:
            None after the last item, or when closed.

        Raises:
            RedshiftError: The object could not be fetched.
        """
        while self.current < len(self._objects):
            item = self._queues[self.current].get()
            if self._closed.is_set():
                return None
            if item is _END:
                self.current += 1
                continue
            if isinstance(item, BaseException):
                raise item
            return self.current, item
        return None

    def close(self) -> None:
        """End the threads, and wake a caller of ``next_item``. Fetched items are dropped."""
        self._closed.set()
        for items in self._queues:
            while True:
                try:
                    items.get_nowait()
                except queue.Empty:
                    break
            with contextlib.suppress(queue.Full):  # then there is an item that wakes the caller
                items.put_nowait(_END)

    def _work(self) -> None:
        while not self._closed.is_set():
            with self._lock:
                number = self._next_to_fetch
                self._next_to_fetch += 1
            if number >= len(self._objects):
                return
            try:
                for item in self._open(self._objects[number]):
                    if not self._put(number, item):
                        return
            except Exception as problem:  # noqa: BLE001 -- raised by next_item
                self._put(number, problem)
                return
            self._put(number, _END)

    def _put(self, number: int, item: Any) -> bool:
        while not self._closed.is_set():
            try:
                self._queues[number].put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False
