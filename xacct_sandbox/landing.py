"""Puts files into account A's raw bucket, as the supplier of a feed does."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.profiles import client
from xacct_sandbox.sample_data import ProductFile

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ADMIN = "account-a-admin"
GENERATED_FEED = "products"

_TRANSFER = TransferConfig(multipart_chunksize=8 * 1024 * 1024, max_concurrency=2)
_PROGRESS_SECONDS = 2.0

Say = Callable[[str], None]


def days_to_land(first: date | None, count: int) -> list[date]:
    """``count`` days in order, from ``first`` on (if None, up to yesterday in UTC)."""
    start = first or datetime.now(UTC).date() - timedelta(days=count)
    return [start + timedelta(days=after) for after in range(count)]


def land_products(
    config: SandboxConfig,
    days: list[date],
    rows: int,
    files: int,
    key: str,
    seed: int,
    say: Say,
    *,
    broken: str | None = None,
) -> None:
    """Generates product files and uploads them.

    Args:
        config: of the sandbox.
        days: the days to land files for.
        rows: number of rows per day, over all files.
        files: number of files per day.
        key: name of the object in the day's folder; numbered if there are several files.
        seed: of the generated products.
        say: prints a line of progress.
        broken: in which way the files are broken, of ``broken_files.KINDS``; None: not.

    Raises:
        SandboxError: there are more files than rows, or an upload fails.
    """
    if rows and files > rows:
        raise SandboxError(f"{rows} rows cannot be spread over {files} files")
    s3 = client(config, ADMIN, "s3")
    for day in days:
        for number in range(files):
            share = rows // files + (number < rows % files)
            product_file = ProductFile(seed=seed, day=day, rows=share, number=number)
            name = key if files == 1 else _numbered(key, number + 1)
            object_key = f"{GENERATED_FEED}/{day:%Y/%m/%d}/{name}"
            size = _upload(s3, config, object_key, product_file.open(broken), say)
            flaw = (
                f"broken on purpose ({broken})"
                if broken
                else f"{product_file.rejected_rows} of them invalid on purpose"
            )
            say(f"s3://{config.input_bucket}/{object_key}: {_size(size)}, {share} rows, {flaw}")


def land_file(
    config: SandboxConfig, feed: str, days: list[date], path: Path, key: str, say: Say
) -> None:
    """Uploads a file unchanged, once for each day.

    Args:
        config: of the sandbox.
        feed: the first folder in the bucket.
        days: the days to land the file for.
        path: the file.
        key: name of the object in the day's folder.
        say: prints a line of progress.

    Raises:
        SandboxError: the file cannot be read, or an upload fails.
    """
    s3 = client(config, ADMIN, "s3")
    for day in days:
        object_key = f"{feed}/{day:%Y/%m/%d}/{key}"
        try:
            body = path.open("rb")
        except OSError as problem:
            raise SandboxError(f"{path} cannot be read: {problem.strerror}") from problem
        with body:
            size = _upload(s3, config, object_key, body, say)
        say(f"s3://{config.input_bucket}/{object_key}: {_size(size)}, {path.name} unchanged")


def _upload(s3: S3Client, config: SandboxConfig, key: str, body: BinaryIO, say: Say) -> int:
    sent, last_report = 0, time.monotonic()

    def progress(size: int) -> None:
        nonlocal sent, last_report
        sent += size
        if time.monotonic() - last_report > _PROGRESS_SECONDS:
            last_report = time.monotonic()
            say(f"  {key}: {_size(sent)} so far")

    try:
        s3.upload_fileobj(
            body,
            config.input_bucket,
            key,
            Callback=progress,
            Config=_TRANSFER,
            ExtraArgs={"ExpectedBucketOwner": config.account_a},
        )
    except (ClientError, S3UploadFailedError) as refusal:
        raise SandboxError(
            f"s3://{config.input_bucket}/{key} could not be written ({refusal}); "
            "is account A deployed? See `xacct-sandbox status`; `xacct-sandbox up` deploys it"
        ) from refusal
    return sent


def _numbered(key: str, number: int) -> str:
    """``products.csv`` -> ``products-002.csv``."""
    stem, dot, suffix = key.partition(".")
    return f"{stem}-{number:03d}{dot}{suffix}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size:,} bytes"
