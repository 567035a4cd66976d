"""The raw bucket in account A: which files a day has, and whether each is whole and countable.

Every call names the account that must own the bucket (ExpectedBucketOwner), so a bucket re-created
under the same name in another account is never read. Bodies are read with If-Match, so a file that
is replaced while a run looks at it is noticed.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import AwsFailure, ObjectChanged, Unavailable
from xacct_assets.aws.s3.buckets import folders, in_folders
from xacct_assets.aws.s3.csv_count import MalformedCsv, RecordCounter
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.file_patterns import FilePatterns, is_hidden
from xacct_assets.contract.headers import header_problem

logger = logging.getLogger(__name__)

#: Bytes read, decompressed and counted at a time.
CHUNK = 1024 * 1024
#: A body whose connection breaks is continued from where it broke, this many times.
MAX_RESUMES = 5
_CONTROL = frozenset(map(chr, (*range(32), 127)))


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of a day: key, size in bytes, ETag without quotes, last change (UTC)."""

    key: str
    size: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True)
class Listing:
    """What lies under a prefix.

    Attributes:
        objects: the feed's data files, in key order.
        ignored: keys of other visible objects (wrong name, or in a folder below): worth a warning.
    """

    objects: list[RawObject]
    ignored: list[str]


@dataclass(frozen=True)
class FileVerdict:
    """What reading one file whole said about it.

    Attributes:
        object: the file.
        rows: data records (the header and empty lines are none); 0 if there is a problem.
        header: its column names in the file's order.
        size: bytes after decompression.
        problem: why no row of the file can be used, and what to do; None if it is well.
        note: what is odd but harmless (no rows in it).
    """

    object: RawObject
    rows: int
    header: tuple[str, ...]
    size: int
    problem: str | None = None
    note: str | None = None


class ReadingStopped(Exception):
    """Nobody wants the answer any more: the run was terminated, or another file failed."""


class RawBucket:
    """Reads the raw bucket.

    Args:
        s3: boto3's ``s3`` client.
        bucket: the raw bucket.
        owner_account: the account id that must own it.
        workers: files inspected at the same time.
    """

    def __init__(self, s3: Any, bucket: str, owner_account: str, *, workers: int = 4) -> None:
        self._s3 = s3
        self.bucket = bucket
        self.owner_account = owner_account
        self._workers = workers

    def list_objects(self, prefix: str, patterns: Sequence[str]) -> list[RawObject]:
        """The data files directly under the prefix, in key order. See `survey`."""
        return self.survey(prefix, patterns).objects

    def survey(self, prefix: str, patterns: Sequence[str]) -> Listing:
        """List the prefix once, all pages, and tell data files from other objects.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: as AWS says, naming the bucket.
        """
        return self.survey_all([prefix], patterns)[prefix]

    def survey_all(self, prefixes: Sequence[str], patterns: Sequence[str]) -> dict[str, Listing]:
        """`survey` of several prefixes (which end in a slash), with as few requests as it takes."""
        wanted = FilePatterns(patterns)
        found = in_folders(self._s3, self.bucket, self.owner_account, prefixes)
        return {prefix: _sorted_out(prefix, found[prefix], wanted) for prefix in prefixes}

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly under the prefix (which ends in a slash)."""
        return folders(self._s3, self.bucket, self.owner_account, prefix)

    def list_page(
        self, prefix: str, start_after: str | None, limit: int
    ) -> tuple[list[RawObject], bool]:
        """Objects of any kind under the prefix with keys after ``start_after``, by key.

        For listings that are spread over time: every call stands alone, so it can be taken up with
        nothing but the last key seen. At most ``limit`` (up to 1,000) objects; the second value
        says whether there are more, and then the first is not empty.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: as AWS says, naming the bucket.
        """
        request: dict[str, Any] = {"StartAfter": start_after} if start_after else {}
        while True:
            with aws_call(
                "s3:ListBucket",
                f"arn:aws:s3:::{self.bucket} (prefix {prefix!r})",
                account=self.owner_account,
            ):
                page = self._s3.list_objects_v2(
                    Bucket=self.bucket,
                    Prefix=prefix,
                    MaxKeys=limit,
                    ExpectedBucketOwner=self.owner_account,
                    **request,
                )
            objects = [
                RawObject(
                    key=item["Key"],
                    size=int(item["Size"]),
                    etag=item["ETag"].strip('"'),
                    last_modified=item["LastModified"].astimezone(UTC),
                )
                for item in page.get("Contents", [])
            ]
            more = bool(page.get("IsTruncated"))
            if objects or not more:
                return objects, more
            request = {"ContinuationToken": page["NextContinuationToken"]}

    def inspect(
        self,
        objects: Sequence[RawObject],
        dialect: CsvDialect,
        columns: Sequence[str],
        *,
        stop: Event | None = None,
    ) -> list[FileVerdict]:
        """Read each file once and judge it; verdicts in the order of the objects.

        A file with a problem is a verdict, not an exception, so that one message can name all bad
        files of a day.

        Args:
            stop: set by another thread, reading ends within a chunk.

        Raises:
            ObjectChanged: a file was replaced or deleted since it was listed.
            ReadingStopped: `stop` was set.
            AccessDenied, Unavailable…: as AWS says, naming the object.
        """
        failed = Event()

        def wanted() -> bool:
            return not (failed.is_set() or (stop is not None and stop.is_set()))

        if len(objects) <= 1:
            return [self._inspect_one(item, dialect, columns, wanted) for item in objects]
        pool = ThreadPoolExecutor(min(self._workers, len(objects)), thread_name_prefix="inspect")
        try:
            work = [
                pool.submit(self._inspect_one, item, dialect, columns, wanted) for item in objects
            ]
            return [future.result() for future in work]
        except BaseException:
            # A file of many gigabytes is not read to its end for nobody.
            failed.set()
            raise
        finally:
            # After a failure or an interrupt the files not begun yet are not begun at all.
            pool.shutdown(wait=not failed.is_set(), cancel_futures=True)

    def _inspect_one(
        self,
        item: RawObject,
        dialect: CsvDialect,
        columns: Sequence[str],
        wanted: Callable[[], bool],
    ) -> FileVerdict:
        # Closed here: a failure would keep the connection for as long as somebody looks at it.
        with closing(self._read(item)) as raw:
            return self._judge(item, raw, dialect, columns, wanted)

    def _judge(
        self,
        item: RawObject,
        body: Iterable[bytes],
        dialect: CsvDialect,
        columns: Sequence[str],
        wanted: Callable[[], bool],
    ) -> FileVerdict:
        counter = RecordCounter(dialect)
        size = 0
        if not _CONTROL.isdisjoint(item.key):
            # S3 takes such keys; Hadoop's globs, and lists with a key to a line, do not.
            text = (
                f"s3://{self.bucket}/{_printable(item.key)}: its key holds a control character "
                "(escaped here), with which it cannot be loaded: copy it to a key without"
            )
            return FileVerdict(item, 0, (), 0, problem=text)
        try:
            if item.key.endswith(".gz") and item.size > 0:
                body = _gunzip(body)
            for chunk in body:
                if not wanted():
                    raise ReadingStopped(f"reading s3://{self.bucket}/{item.key} was given up")
                size += len(chunk)
                counter.feed(chunk)
                if counter.header:
                    _require_columns(counter.header, columns, dialect)
            counter.finish()
            if counter.header:
                _require_columns(counter.header, columns, dialect)
        except MalformedCsv as problem:
            text = f"s3://{self.bucket}/{item.key}: {problem}"
            return FileVerdict(item, 0, counter.header, size, problem=text)
        note = None
        if not counter.header:
            note = "zero bytes" if size == 0 else "only empty lines"
        elif counter.rows == 0:
            note = "a header and no rows"
        return FileVerdict(item, counter.rows, counter.header, size, note=note)

    def _read(self, item: RawObject) -> Generator[bytes, None, None]:
        """The object's bytes in chunks; continues where it was if the connection breaks."""
        position, resumes = 0, 0
        while position < item.size:
            before = position
            try:
                for chunk in self._read_from(item, position):
                    position += len(chunk)
                    yield chunk
                if position < item.size:
                    raise Unavailable(
                        f"s3:GetObject on s3://{self.bucket}/{item.key} ended early",
                        reason=f"{position} of {item.size} bytes came",
                    )
            except Unavailable:
                # Progress makes a new attempt worth while; without any, botocore's own retries
                # have failed already.
                resumes = resumes + 1 if position == before else 1
                if resumes > MAX_RESUMES:
                    raise
                logger.warning("continuing %s at byte %d of %d", item.key, position, item.size)

    def _read_from(self, item: RawObject, start: int) -> Iterator[bytes]:
        resource = f"arn:aws:s3:::{self.bucket}/{item.key}"
        request = {
            "Bucket": self.bucket,
            "Key": item.key,
            "IfMatch": f'"{item.etag}"',
            "ExpectedBucketOwner": self.owner_account,
        }
        if start:
            request["Range"] = f"bytes={start}-"
        try:
            with aws_call("s3:GetObject", resource, account=self.owner_account):
                body = self._s3.get_object(**request)["Body"]
                try:
                    while chunk := body.read(CHUNK):
                        yield chunk
                finally:
                    body.close()
        except AwsFailure as failure:
            if failure.code in ("PreconditionFailed", "412", "NoSuchKey", "404"):
                raise ObjectChanged(
                    f"s3://{self.bucket}/{item.key} is no longer what was listed",
                    reason=f"it was replaced or deleted; ETag {item.etag} was expected",
                    account=self.owner_account,
                    resource=resource,
                    code=failure.code,
                ) from failure
            raise


def _sorted_out(prefix: str, items: Iterable[dict[str, Any]], wanted: FilePatterns) -> Listing:
    objects: list[RawObject] = []
    ignored: list[str] = []
    for item in items:
        if is_hidden(item["Key"]):
            continue
        if wanted.match(item["Key"][len(prefix) :]):
            objects.append(
                RawObject(
                    key=item["Key"],
                    size=int(item["Size"]),
                    etag=item["ETag"].strip('"'),
                    last_modified=item["LastModified"].astimezone(UTC),
                )
            )
        else:
            ignored.append(item["Key"])
    return Listing(sorted(objects, key=lambda o: o.key), sorted(ignored))


def _printable(key: str) -> str:
    """The key with its control characters escaped, so that it is one line of one colour."""
    return "".join(repr(c)[1:-1] if c in _CONTROL else c for c in key)


def _gunzip(body: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip, of several members too, never holding more than a chunk.

    Raises:
        MalformedCsv: not gzip, damaged, or cut off.
    """
    inflater = zlib.decompressobj(wbits=31)
    read = 0
    begun = False
    for piece in body:
        data = piece
        while data:
            if inflater.eof:
                inflater = zlib.decompressobj(wbits=31)
                begun = False
            try:
                out = inflater.decompress(data, CHUNK)
            except zlib.error as error:
                if read == 0 and not piece.startswith(b"\x1f\x8b"):
                    raise MalformedCsv(
                        "its name ends in .gz but its content is not gzip: compress it, or rename "
                        "it to *.csv"
                    ) from None
                raise MalformedCsv(
                    f"it is damaged gzip (near byte {read:,}: {error}): upload it again"
                ) from None
            begun = True
            if out:
                yield out
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        read += len(piece)
    if begun and not inflater.eof:
        raise MalformedCsv(f"its gzip content is cut off after {read:,} bytes: upload it again")


def _require_columns(header: tuple[str, ...], columns: Sequence[str], dialect: CsvDialect) -> None:
    if problem := header_problem(header, columns, dialect.delimiter):
        raise MalformedCsv(problem)
