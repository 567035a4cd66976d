"""``s3://`` paths for a Spark that has no S3 file system.

A local folder mirrors S3: ``<root>/<bucket>/<key>``. Hadoop's view file system maps ``s3://bucket``
to it, so paths look as on AWS, also in ``_metadata.file_path``. Spark's readers and writers are
wrapped: objects are downloaded before they are read, and uploaded after they are written, both
through boto3, so with the job role's permissions.
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
from typing import TYPE_CHECKING, Any

import boto3
from pyspark.sql import SparkSession
from pyspark.sql.readwriter import DataFrameReader, DataFrameWriter

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

THREADS = 8
CHUNK = 1024 * 1024
READERS = {"csv": 1, "json": 1, "text": 1, "load": 1, "orc": 1, "parquet": None}
"""How many positional arguments of each reader are paths; None for all."""
WRITERS = ("csv", "json", "text", "orc", "parquet", "save")
WILDCARD = re.compile(r"(?<!\\)(?:\\\\)*[\[\]{}*?]")


@dataclass
class S3Mirror:
    """A local copy of the objects that one job run reads and writes.

    Attributes:
        root: the folder.
        spark: the session that reads and writes it.
    """

    root: Path
    spark: SparkSession
    _etags: dict[tuple[str, str], str] = field(default_factory=dict)
    _mounted: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """Remove the files of an earlier run, and the client with its credentials."""
        self._etags.clear()
        self.__dict__.pop("client", None)
        for folder in self.root.iterdir():
            _empty(folder)

    @functools.cached_property
    def client(self) -> S3Client:
        """A client with the credentials of the current run."""
        return boto3.client("s3")

    def fetch(self, paths: Iterable[str]) -> None:
        """Download the objects at these paths whose current version is not here yet."""
        with ThreadPoolExecutor(THREADS) as pool:
            listed = pool.map(self._list_path, sorted(set(paths)))
            objects = {(bucket, item["Key"]): item for bucket, items in listed for item in items}
            stale = [
                (bucket, key)
                for (bucket, key), item in objects.items()
                if self._etags.get((bucket, key)) != item["ETag"]
            ]
            list(pool.map(lambda address: self._download(*address), stale))
        self._etags.update({address: objects[address]["ETag"] for address in stale})

    def write(self, path: str, write: Callable[[], Any]) -> Any:
        """Have Spark write below a path, then change S3 in the same way.

        Objects that exist there are created as empty files first. Spark then refuses, skips,
        replaces or adds files as its mode says. Files that it removes are deleted from S3.

        Args:
            path: ``s3://bucket/folder``.
            write: writes to it, and returns the result.
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
            for address in [key for key in self._etags if key[1].startswith(f"{prefix}/")]:
                del self._etags[address]
        return result

    def _list_path(self, path: str) -> tuple[str, list[ObjectTypeDef]]:
        bucket, key = _split(path)
        self._mount(bucket)
        wildcard = WILDCARD.search(key)
        start = key[: wildcard.start()] if wildcard else key
        # With Spark's option __globPaths__ false, a path is literal, including its backslashes.
        # The option is not visible here, so both readings are listed: Spark would silently skip a
        # file that was not downloaded.
        items = [
            item
            for prefix in {start, _unescape(start)}
            for item in self._list(bucket, prefix, whole_name=not wildcard)
        ]
        return bucket, items

    def _list(self, bucket: str, prefix: str, *, whole_name: bool = True) -> list[ObjectTypeDef]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [
            item
            for page in pages
            for item in page.get("Contents", [])
            if not item["Key"].endswith("/")
            and (not whole_name or (item["Key"] + "/").startswith(prefix.rstrip("/") + "/"))
        ]

    def _mount(self, bucket: str) -> Path:
        """The bucket's folder; Hadoop reads the mount table when it first opens the bucket."""
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
                "empty, a dot, two dots, or longer than 255 bytes, so it is no local file name"
            )
        return self.root.joinpath(bucket, *parts)

    def _download(self, bucket: str, key: str) -> None:
        target = self._local(bucket, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not download_file: the error of its HEAD request names no principal and no action.
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
    """Add ``s3://`` to this process's Spark; call it once.

    Args:
        spark: the session.
        root: folder of the mirror.
    """
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
        arguments = [*args[:positional], kwargs.get("path"), kwargs.get("paths")]
        if paths := [path for path in _texts(arguments) if path.startswith("s3://")]:
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
