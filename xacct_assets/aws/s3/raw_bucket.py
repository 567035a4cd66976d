"""The raw bucket in account A: lists a day's files, and reads them to check and count their rows.

Every call names the account that must own the bucket (ExpectedBucketOwner), so a bucket that was
created again under the same name in another account is never read. Bodies are read with If-Match,
so a file that is replaced while it is read is detected.
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

from xacct_assets.aws.errors import AwsFailure, ObjectChanged, Unavailable, aws_call
from xacct_assets.aws.s3.buckets import folders, in_folders
from xacct_assets.aws.s3.csv_count import CsvFormat, MalformedCsv, RecordCounter
from xacct_assets.contract.file_patterns import FilePatterns, is_hidden

logger = logging.getLogger(__name__)

#: Bytes that are read, decompressed and counted at a time.
CHUNK = 1024 * 1024
#: How many times in a row a body may fail without any progress before reading it fails.
MAX_RESUMES = 5
_CONTROL = frozenset(map(chr, (*range(32), 127)))
_LIKELY_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "pipe", ",": "comma", ":": "colon"}


@dataclass(frozen=True, slots=True)
class RawObject:
    """An object in the raw bucket.

    Attributes:
        key: its key.
        size: in bytes.
        etag: without quotes.
        last_modified: in UTC.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True)
class Listing:
    """The objects under a prefix.

    Attributes:
        objects: the feed's data files, in key order.
        ignored: keys of other objects that are not hidden (wrong name, or in a folder below the
            prefix). They deserve a warning.
    """

    objects: list[RawObject]
    ignored: list[str]


@dataclass(frozen=True)
class FileVerdict:
    """The result of reading a whole file.

    Attributes:
        object: the file.
        rows: data records, without the header and empty lines; 0 if there is a problem.
        header: the column names in the file's order.
        size: bytes after decompression.
        problem: why no row of the file can be used, and what to do; None if there is no problem.
        note: something unusual but harmless, such as a file without rows.
    """

    object: RawObject
    rows: int
    header: tuple[str, ...]
    size: int
    problem: str | None = None
    note: str | None = None


class ReadingStopped(Exception):
    """Reading was stopped: the run was terminated, or another file failed."""


class RawBucket:
    """Reads the raw bucket.

    Args:
        s3: boto3's ``s3`` client.
        bucket: name of the bucket.
        owner_account: id of the account that must own it.
        workers: files that are inspected at the same time.
    """

    def __init__(self, s3: Any, bucket: str, owner_account: str, *, workers: int = 4) -> None:
        self._s3 = s3
        self.bucket = bucket
        self.owner_account = owner_account
        self._workers = workers

    def list_objects(self, prefix: str, patterns: Sequence[str]) -> list[RawObject]:
        """List the data files under the prefix, in key order. See `survey`."""
        return self.survey(prefix, patterns).objects

    def survey(self, prefix: str, patterns: Sequence[str]) -> Listing:
        """List all pages of a prefix and separate data files from other objects.

        Args:
            prefix: a folder, with a slash at its end.
            patterns: the feed's file patterns, relative to the prefix.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: AWS's answer, naming the bucket.
        """
        return self.survey_all([prefix], patterns)[prefix]

    def survey_all(self, prefixes: Sequence[str], patterns: Sequence[str]) -> dict[str, Listing]:
        """Do `survey` for several prefixes with as few requests as possible."""
        file_patterns = FilePatterns(patterns)
        found = in_folders(self._s3, self.bucket, self.owner_account, prefixes)
        return {prefix: _classify(prefix, found[prefix], file_patterns) for prefix in prefixes}

    def folders(self, prefix: str) -> list[str]:
        """List the names of the folders directly under the prefix, which ends in a slash."""
        return folders(self._s3, self.bucket, self.owner_account, prefix)

    def list_page(
        self, prefix: str, start_after: str | None, limit: int
    ) -> tuple[list[RawObject], bool]:
        """List one page of objects of any kind, in key order.

        This is for listings that are spread over time: no call depends on another, so a listing
        can be continued with nothing but the last key.

        Args:
            prefix: of the keys.
            start_after: only keys that sort after this one; None for all.
            limit: maximum of objects, up to 1,000.

        Returns:
            The objects, and whether there are more. If there are, the page is not empty.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: AWS's answer, naming the bucket.
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
            has_more = bool(page.get("IsTruncated"))
            if objects or not has_more:
                return objects, has_more
            request = {"ContinuationToken": page["NextContinuationToken"]}

    def inspect(
        self,
        objects: Sequence[RawObject],
        format_: CsvFormat,
        columns: Sequence[str],
        *,
        stop: Event | None = None,
    ) -> list[FileVerdict]:
        """Read each file once; check its header and count its rows.

        A file with a problem gives a verdict, not an exception, so that one message can name all
        bad files of a day.

        Args:
            objects: the files.
            format_: how the files are written.
            columns: the names that the header must contain, in any order.
            stop: when another thread sets it, reading ends within one chunk.

        Returns:
            A verdict for each file, in the order of the objects.

        Raises:
            ObjectChanged: a file was replaced or deleted since it was listed.
            ReadingStopped: ``stop`` was set.
            AccessDenied, Throttled, Unavailable: AWS's answer, naming the object.
        """
        failed = Event()

        def is_stopped() -> bool:
            return failed.is_set() or (stop is not None and stop.is_set())

        if len(objects) <= 1:
            return [self._inspect_one(item, format_, columns, is_stopped) for item in objects]
        pool = ThreadPoolExecutor(min(self._workers, len(objects)), thread_name_prefix="inspect")
        try:
            work = [
                pool.submit(self._inspect_one, item, format_, columns, is_stopped)
                for item in objects
            ]
            return [future.result() for future in work]
        except BaseException:
            # Stops the other threads: a file may have many gigabytes.
            failed.set()
            raise
        finally:
            # After a failure or an interrupt, files that are not started yet are not read.
            pool.shutdown(wait=not failed.is_set(), cancel_futures=True)

    def _inspect_one(
        self,
        item: RawObject,
        format_: CsvFormat,
        columns: Sequence[str],
        is_stopped: Callable[[], bool],
    ) -> FileVerdict:
        # Closed here: otherwise a failure keeps the connection as long as its traceback exists.
        with closing(self._read(item)) as raw:
            return self._check(item, raw, format_, columns, is_stopped)

    def _check(
        self,
        item: RawObject,
        body: Iterable[bytes],
        format_: CsvFormat,
        columns: Sequence[str],
        is_stopped: Callable[[], bool],
    ) -> FileVerdict:
        counter = RecordCounter(format_)
        size = 0
        if not _CONTROL.isdisjoint(item.key):
            # S3 accepts such keys. Hadoop's globs and lists with one key per line do not.
            text = (
                f"s3://{self.bucket}/{_printable(item.key)}: its key holds a control character "
                "(escaped here) and cannot be loaded: copy it to a key without one"
            )
            return FileVerdict(item, 0, (), 0, problem=text)
        try:
            if item.key.endswith(".gz") and item.size > 0:
                body = _gunzip(body)
            for chunk in body:
                if is_stopped():
                    raise ReadingStopped(f"reading s3://{self.bucket}/{item.key} was given up")
                size += len(chunk)
                counter.feed(chunk)
                if counter.header:
                    _require_columns(counter.header, columns, format_)
            counter.finish()
            if counter.header:
                _require_columns(counter.header, columns, format_)
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
        """Read the object in chunks; if the connection breaks, continue at the same byte."""
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
                # Only attempts without progress count, and each of them follows botocore's own
                # retries.
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


def _classify(prefix: str, items: Iterable[dict[str, Any]], patterns: FilePatterns) -> Listing:
    objects: list[RawObject] = []
    ignored: list[str] = []
    for item in items:
        if is_hidden(item["Key"]):
            continue
        if patterns.match(item["Key"][len(prefix) :]):
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
    """The key with its control characters escaped, so that a terminal shows it as one line."""
    return "".join(repr(c)[1:-1] if c in _CONTROL else c for c in key)


def _gunzip(body: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip of one or several members, holding one chunk in memory at a time.

    Raises:
        MalformedCsv: the file is not gzip, damaged, or truncated.
    """
    inflater = zlib.decompressobj(wbits=31)
    read = 0
    started = False
    for piece in body:
        data = piece
        while data:
            if inflater.eof:
                inflater = zlib.decompressobj(wbits=31)
                started = False
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
            started = True
            if out:
                yield out
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        read += len(piece)
    if started and not inflater.eof:
        raise MalformedCsv(f"its gzip content is cut off after {read:,} bytes: upload it again")


def _require_columns(header: tuple[str, ...], columns: Sequence[str], format_: CsvFormat) -> None:
    """Check that the header names exactly the feed's columns, in any order.

    Raises:
        MalformedCsv: names the missing, unknown and repeated columns and the likely cause.
    """
    if len(header) == len(columns) and set(header) == set(columns):
        return
    missing = [name for name in columns if name not in header]
    extra = [name for name in header if name not in columns]
    double = sorted({name for name in header if header.count(name) > 1})
    if len(header) == 1 and len(columns) > 1:
        for character, name in _LIKELY_DELIMITERS.items():
            parts = header[0].split(character)
            if character != format_.delimiter and set(parts) & set(columns) and len(parts) > 1:
                raise MalformedCsv(
                    f"its fields seem to be separated by a {name} ({character!r}), while the feed "
                    f"says {format_.delimiter!r}: write the file with {format_.delimiter!r}, or "
                    "change the feed's delimiter"
                )
    facts = [
        f"{label} {', '.join(map(_shown, names))}"
        for label, names in (("missing", missing), ("not of the feed", extra), ("twice", double))
        if names
    ]
    folded = {name.strip().lower() for name in columns}
    hint = (
        "; names must be equal to the letter, without spaces around them"
        if extra and all(name.strip().lower() in folded for name in extra)
        else ""
    )
    raise MalformedCsv(
        f"its header differs from the feed's columns ({'; '.join(facts)}{hint}): correct the file, "
        "or the feed's columns"
    )


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "…")
