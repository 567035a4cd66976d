"""The raw files of the requested days."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from xacct_assets.contract.file_patterns import FilePatterns, is_hidden
from xacct_assets.contract.load_request import LoadRequest
from xacct_load.errors import LoadError
from xacct_load.s3 import denial, list_objects, split_uri

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: Files and partitions that are read at the same time.
THREADS = 16


@dataclass(frozen=True)
class SourceFile:
    """An object of a day; ``size`` in bytes, ``etag`` as a listing shows it."""

    bucket: str
    key: str
    size: int
    day: date
    etag: str = ""

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def list_files(
    s3: S3Client, request: LoadRequest, locations: Mapping[str, date]
) -> list[SourceFile]:
    """The objects below each location that match the feed's patterns, in key order.

    Args:
        s3: the client.
        request: names the patterns.
        locations: day of each partition location.

    Raises:
        LoadError: a location cannot be listed.
    """
    patterns = FilePatterns(request.patterns)

    def files_below(location: str) -> list[SourceFile]:
        bucket, prefix = split_uri(location)
        try:
            return [
                SourceFile(bucket, item["Key"], item["Size"], locations[location], item["ETag"])
                for item in list_objects(s3, bucket, prefix)
                if not is_hidden(item["Key"]) and patterns.match(item["Key"][len(prefix) :])
            ]
        except (ClientError, BotoCoreError) as problem:
            why = denial(s3, problem, "s3:ListBucket", f"arn:aws:s3:::{bucket}") or problem
            raise LoadError(
                f"cannot list {location} (partition of {locations[location]}): {why}"
            ) from problem

    with ThreadPoolExecutor(THREADS) as pool:
        found = [file for files in pool.map(files_below, locations) for file in files]
    return sorted(found, key=lambda file: file.key.encode())
