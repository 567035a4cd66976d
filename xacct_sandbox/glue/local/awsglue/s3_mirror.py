"""``s3://`` paths for a Spark that has no S3 file system.

A folder stands for S3: ``<root>/<bucket>/<key>``. Hadoop's view file system makes ``s3://bucket``
lead there, so paths keep their names everywhere, also in ``_metadata.file_path``. Spark's readers
and writers are wrapped: what is about to be read is downloaded first, what was written is
uploaded at once, both through boto3 and so with the job role's own permissions.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from pyspark.sql import SparkSession
from pyspark.sql.readwriter import DataFrameReader, DataFrameWriter

THREADS = 8
CHUNK = 1024 * 1024
READERS = {"csv": 1, "json": 1, "text": 1, "load": 1, "orc": 1, "parquet": None}
WRITERS = ("csv", "json", "text", "orc", "parquet", "save")
WILDCARD = re.compile(r"(?<!\\)(?:\\\\)*[\[\]{}*?]")


@dataclass
class S3Mirror:
    """The folder that stands for S3 during one job run at a time."""

    root: Path
    spark: SparkSession
    _etags: dict[tuple[str, str], str] = field(default_factory=dict)
    _mounted: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """Forget what an earlier run read, and the client that had its credentials."""
        self._etags.clear()
        self.__dict__.pop("client", None)
        for folder in self.root.iterdir():
            _empty(folder)

    @functools.cached_property
    def client(self) -> Any:
        return boto3.client("s3")

    def fetch(self, paths: Iterable[str]) -> None:
        """Download the objects that Spark will find at these paths."""
        with ThreadPoolExecutor(THREADS) as pool:
            listed = pool.map(self._list_path, sorted(set(paths)))
            wanted = {(bucket, item["Key"]): item for bucket, items in listed for item in items}
            stale = [
                (bucket, key)
                for (bucket, key), item in wanted.items()
                if self._etags.get((bucket, key)) != item["ETag"]
            ]
            list(pool.map(lambda place: self._download(*place), stale))
        self._etags.update({place: wanted[place]["ETag"] for place in stale})

    def write(self, path: str, write: Callable[[], Any]) -> Any:
        """Let Spark write below a path, then make S3 the same.

        What S3 has there is put in place as empty files first: Spark then refuses, skips,
        replaces or adds as its mode says, and what it removed is deleted from S3.
        """
        bucket, prefix = _split(path)
        folder = self._mount(bucket) / prefix
        before = {item["Key"] for item in self._list(bucket, prefix)}
        _remove(folder)
        for key in before:
            target = self._local(bucket, key)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        try:
            result = write()
            after = {
                f"{prefix}/{file.relative_to(folder).as_posix()}"
                for file in folder.rglob("*")
                if file.is_file()
            }
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda key: self._upload(bucket, key), sorted(after - before)))
            self._delete(bucket, sorted(before - after))
        finally:
            _remove(folder)
            for place in [place for place in self._etags if place[1].startswith(f"{prefix}/")]:
                del self._etags[place]
        return result

    def _list_path(self, path: str) -> tuple[str, list[dict[str, Any]]]:
        bucket, key = _split(path)
        self._mount(bucket)
        wildcard = WILDCARD.search(key)
        start = key[: wildcard.start()] if wildcard else key
        # With Spark's option __globPaths__ false a path is literal, backslashes and all; whether it
        # is set cannot be seen from here, and a file that is not fetched is not missed by Spark.
        items = [
            item
            for prefix in {start, _unescape(start)}
            for item in self._list(bucket, prefix, whole_name=not wildcard)
        ]
        return bucket, items

    def _list(self, bucket: str, prefix: str, *, whole_name: bool = True) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [
            item
            for page in pages
            for item in page.get("Contents", [])
            if not item["Key"].endswith("/")
            and (not whole_name or (item["Key"] + "/").startswith(prefix.rstrip("/") + "/"))
        ]

    def _mount(self, bucket: str) -> Path:
        """The bucket's folder; Hadoop reads the mount when the bucket is first opened."""
        folder = self.root / bucket
        with self._lock:
            if bucket not in self._mounted:
                folder.mkdir(parents=True, exist_ok=True)
                hadoop = self.spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
                hadoop.set(f"fs.viewfs.mounttable.{bucket}.linkFallback", folder.as_uri())
                self._mounted.add(bucket)
        return folder

    def _local(self, bucket: str, key: str) -> Path:
        parts = key.split("/")
        if any(part in ("", ".", "..") or len(os.fsencode(part)) > 255 for part in parts):
            raise ValueError(
                f"s3://{bucket}/{key} cannot be read by the sandbox's Spark: a part of the key is "
                "empty, a dot, two dots, or longer than 255 bytes, which no local file can be named"
            )
        return self.root.joinpath(bucket, *parts)

    def _download(self, bucket: str, key: str) -> None:
        target = self._local(bucket, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not download_file: its HEAD request is denied without a word of who, what and where.
        body = self.client.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            shutil.copyfileobj(body, file, CHUNK)

    def _upload(self, bucket: str, key: str) -> None:
        self.client.upload_file(str(self._local(bucket, key)), bucket, key)

    def _delete(self, bucket: str, keys: list[str]) -> None:
        for start in range(0, len(keys), 1000):
            answer = self.client.delete_objects(
                Bucket=bucket,
                Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]]},
            )
            for error in answer.get("Errors", []):
                raise PermissionError(
                    f"cannot delete s3://{bucket}/{error['Key']}: {error['Message']}"
                )


def install(spark: SparkSession, root: Path) -> S3Mirror:
    """Make ``s3://`` work in this process's Spark; call once."""
    mirror = S3Mirror(root, spark)
    root.mkdir(parents=True, exist_ok=True)
    for name, positional in READERS.items():
        setattr(DataFrameReader, name, _reading(mirror, getattr(DataFrameReader, name), positional))
    for name in WRITERS:
        setattr(DataFrameWriter, name, _writing(mirror, getattr(DataFrameWriter, name)))
    return mirror


def _reading(mirror: S3Mirror, method: Callable[..., Any], positional: int | None) -> Any:
    @functools.wraps(method)
    def read(reader: DataFrameReader, *args: Any, **kwargs: Any) -> Any:
        given = [*args[:positional], kwargs.get("path"), kwargs.get("paths")]
        if paths := [path for path in _texts(given) if path.startswith("s3://")]:
            mirror.fetch(paths)
        return method(reader, *args, **kwargs)

    return read


def _writing(mirror: S3Mirror, method: Callable[..., Any]) -> Any:
    @functools.wraps(method)
    def write(writer: DataFrameWriter, *args: Any, **kwargs: Any) -> Any:
        path = args[0] if args else kwargs.get("path")
        if isinstance(path, str) and path.startswith("s3://"):
            return mirror.write(path, lambda: method(writer, *args, **kwargs))
        return method(writer, *args, **kwargs)

    return write


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _texts(value)


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    return bucket, key.rstrip("/")


def _unescape(key: str) -> str:
    return re.sub(r"\\(.)", r"\1", key)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
