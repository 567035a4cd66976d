"""The raw bucket in account A: which files a day has, and whether each can be loaded.

Bodies are read with If-Match, so that a file that is replaced during a run is noticed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC
from threading import Event
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import AwsFailure, ObjectArchived, ObjectChanged, Unavailable
from xacct_assets.aws.s3.archived import archive_of, describe_archived, is_being_restored
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.s3.file_inspection import (
    END_BYTES,
    FileVerdict,
    RawObject,
    inspect_content,
    inspect_ends,
)
from xacct_assets.aws.s3.inspection_process import WORTH_A_PROCESS_BYTES, inspect_in_process
from xacct_assets.aws.s3.keys import key_problem, printable
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.contract.gzip_stream import CHUNK
from xacct_assets.contract.headers import FileColumns

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

logger = logging.getLogger(__name__)

#: A body whose connection breaks is continued from where it broke, this many times without
#: progress.
MAX_RESUMES = 5


@dataclass(frozen=True)
class Listing:
    """The objects under a prefix.

    Attributes:
        objects: the feed's data files, in key order.
        unmatched: other files, which no pattern matches, by their path below the prefix.
    """

    objects: list[RawObject]
    unmatched: list[str]


class ReadingStopped(Exception):
    """Reading was stopped because the run was terminated or another file failed."""


class RawBucket:
    """Reads the raw bucket.

    Args:
        s3: boto3's ``s3`` client.
        bucket: name of the raw bucket.
        owner_account: id of the account that must own it.
    """

    def __init__(self, s3: S3Client, bucket: str, owner_account: str) -> None:
        self._bucket = Bucket(s3, bucket, owner_account)
        self.bucket = bucket

    def list_objects(self, prefix: str, patterns: Sequence[str]) -> list[RawObject]:
        """List the data files under the prefix, in key order. See `survey`."""
        return self.survey(prefix, patterns).objects

    def survey(self, prefix: str, patterns: Sequence[str], *, marker: str | None = None) -> Listing:
        """List the prefix once, all pages, and separate data files from other files.

        Args:
            prefix: of the keys; it ends in a slash.
            patterns: of the data files.
            marker: name of a file that is neither.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: naming the bucket.
        """
        return self.survey_all([prefix], patterns, marker=marker)[prefix]

    def survey_all(
        self, prefixes: Sequence[str], patterns: Sequence[str], *, marker: str | None = None
    ) -> dict[str, Listing]:
        """`survey` for several prefixes, with as few requests as possible."""
        compiled = FilePatterns(patterns, marker)
        found = self._bucket.list_folders(prefixes)
        return {prefix: _listing(prefix, found[prefix], compiled) for prefix in prefixes}

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly under the prefix (which ends in a slash)."""
        return self._bucket.folders(prefix)

    def list_page(
        self, prefix: str, start_after: str | None, limit: int
    ) -> tuple[list[RawObject], bool]:
        """One page of the objects under the prefix, of any kind, by key.

        For listings that are spread over time: a call needs nothing but the last key seen.

        Args:
            prefix: of the keys.
            start_after: only keys after this one.
            limit: objects in the page, up to 1,000.

        Returns:
            The objects, and whether there are more (then there is at least one object).

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: naming the bucket.
        """
        items, more = self._bucket.list_page(prefix, after=start_after, limit=limit)
        return [_raw_object(item) for item in items], more

    def inspect(
        self,
        objects: Sequence[RawObject],
        dialect: CsvDialect,
        columns: FileColumns,
        *,
        is_counted: bool = True,
        workers: int = 4,
        stop: Event | None = None,
    ) -> list[FileVerdict]:
        """Read each file once, in one request.

        A file with a problem gives a verdict, not an exception, so that one message can name all
        bad files of a day.

        Args:
            objects: the files.
            dialect: of the feed.
            columns: of the feed.
            is_counted: whether to read the files to their end and count their rows. If not, both
                ends of each large file are read, in two requests.
            workers: files that are inspected at the same time.
            stop: once another thread has set it, reading ends within a chunk.

        Returns:
            A verdict for each object, in the same order.

        Raises:
            ObjectChanged: a file was replaced or deleted since it was listed.
            ReadingStopped: `stop` was set.
            AccessDenied, Unavailable: naming the object.
        """
        failed = Event()

        def stopped() -> bool:
            return failed.is_set() or (stop is not None and stop.is_set())

        def inspect_one(item: RawObject) -> FileVerdict:
            is_read = is_counted or item.size <= 2 * END_BYTES
            inspect = self._inspect_whole if is_read else self._inspect_ends
            return self._inspect_one(item, lambda: inspect(item, dialect, columns, stopped))

        if len(objects) <= 1:
            return [inspect_one(item) for item in objects]
        pool = ThreadPoolExecutor(min(workers, len(objects)), thread_name_prefix="inspect")
        try:
            futures = [pool.submit(inspect_one, item) for item in objects]
            return [future.result() for future in futures]
        except BaseException:
            # Files of many gigabytes must not be read to their end once one has failed.
            failed.set()
            raise
        finally:
            # After a failure or an interrupt, files whose reading has not begun are left out.
            pool.shutdown(wait=not failed.is_set(), cancel_futures=True)

    def _inspect_one(self, item: RawObject, inspect: Callable[[], FileVerdict]) -> FileVerdict:
        found = self._refused(item)
        if found is None:
            try:
                found = inspect()
            except ObjectArchived as refused:
                found = self._archived(item, refused.archive)
        url = self._bucket.url(printable(item.key))
        return replace(found, problem=found.problem and f"{url}: {found.problem}")

    def _refused(self, item: RawObject) -> FileVerdict | None:
        """The verdict on a file that is not read at all; None of others."""
        if problem := key_problem(item.key):
            return FileVerdict(item, 0, (), 0, problem=problem)
        return self._archived(item, item.archive) if item.archive else None

    def _inspect_whole(
        self,
        item: RawObject,
        dialect: CsvDialect,
        columns: FileColumns,
        stopped: Callable[[], bool],
    ) -> FileVerdict:
        def chunks(body: Iterable[bytes]) -> Iterator[bytes]:
            for chunk in body:
                if stopped():
                    raise ReadingStopped(f"reading {self._bucket.url(item.key)} was stopped")
                yield chunk

        is_large = item.size >= WORTH_A_PROCESS_BYTES
        inspect = inspect_in_process if is_large else inspect_content
        # Closed here: the traceback of a failure would keep the connection open.
        with closing(self._read(item, 0, item.size)) as body:
            return inspect(item, chunks(body), dialect, columns)

    def _inspect_ends(
        self,
        item: RawObject,
        dialect: CsvDialect,
        columns: FileColumns,
        stopped: Callable[[], bool],
    ) -> FileVerdict:
        def read(start: int, stop: int) -> bytes:
            if stopped():
                raise ReadingStopped(f"reading {self._bucket.url(item.key)} was stopped")
            return b"".join(self._read(item, start, stop))

        tail = b"" if item.key.endswith(".gz") else read(item.size - END_BYTES, item.size)
        return inspect_ends(item, read(0, END_BYTES), tail, dialect, columns)

    def _archived(self, item: RawObject, archive: str) -> FileVerdict:
        problem = describe_archived(
            self.bucket,
            item.key,
            archive,
            self._bucket.owner,
            is_being_restored=item.is_being_restored,
        )
        return FileVerdict(item, 0, (), 0, problem=problem, is_archived=True)

    def _read(self, item: RawObject, start: int, stop: int) -> Generator[bytes, None, None]:
        """Bytes of the object in chunks; continued from the same place if the connection breaks."""
        position, resumes = start, 0
        while position < stop:
            before = position
            try:
                for chunk in self._read_from(item, position, stop):
                    position += len(chunk)
                    yield chunk
                if position < stop:
                    raise Unavailable(
                        f"s3:GetObject on {self._bucket.url(item.key)} ended early",
                        reason=f"{position} of {item.size} bytes came",
                    )
            except Unavailable:
                # botocore has retried already; without progress a few more attempts are enough.
                resumes = resumes + 1 if position == before else 1
                if resumes > MAX_RESUMES:
                    raise
                logger.warning("continuing %s at byte %d of %d", item.key, position, item.size)

    def _read_from(self, item: RawObject, start: int, stop: int) -> Iterator[bytes]:
        bucket = self._bucket
        part: Any = {}
        if start or stop < item.size:
            part["Range"] = f"bytes={start}-" if stop == item.size else f"bytes={start}-{stop - 1}"
        try:
            with bucket.call("s3:GetObject", bucket.arn(item.key)):
                body = bucket.s3.get_object(
                    Bucket=bucket.name,
                    Key=item.key,
                    IfMatch=f'"{item.etag}"',
                    ExpectedBucketOwner=bucket.owner,
                    **part,
                )["Body"]
                try:
                    while chunk := body.read(CHUNK):
                        yield chunk
                finally:
                    body.close()
        except AwsFailure as failure:
            if failure.code in ("PreconditionFailed", "412", "NoSuchKey", "404"):
                raise ObjectChanged(
                    f"{bucket.url(item.key)} is no longer what was listed",
                    reason=f"it was replaced or deleted; ETag {item.etag} was expected",
                    account=bucket.owner,
                    resource=bucket.arn(item.key),
                    code=failure.code,
                ) from failure
            raise


def _listing(prefix: str, items: Iterable[ObjectTypeDef], patterns: FilePatterns) -> Listing:
    objects: list[RawObject] = []
    unmatched: list[str] = []
    for item in items:
        below = item["Key"][len(prefix) :]
        if patterns.is_data_file(below):
            objects.append(_raw_object(item))
        elif patterns.is_unmatched(below):
            unmatched.append(below)
    return Listing(sorted(objects, key=lambda o: o.key), sorted(unmatched))


def _raw_object(item: ObjectTypeDef) -> RawObject:
    return RawObject(
        key=item["Key"],
        size=int(item["Size"]),
        etag=item["ETag"].strip('"'),
        last_modified=item["LastModified"].astimezone(UTC),
        archive=archive_of(item),
        is_being_restored=is_being_restored(item),
    )
