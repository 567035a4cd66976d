"""Stores the rejected rows of each day, with a manifest that says how many there are."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from xacct_assets.contract.load_request import LoadRequest
from xacct_assets.contract.reject_manifest import MANIFEST, RejectManifest, day_rejects
from xacct_load.counts import LoadCounts
from xacct_load.errors import LoadError
from xacct_load.records import escape_glob, source_file, uri_of
from xacct_load.s3 import delete_objects, list_objects, split_uri
from xacct_load.source_files import THREADS
from xacct_load.supplier_rows import hint

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROWS_PER_FILE = 100_000
#: Rejected rows of a day that are reported, and how many characters of each.
SAMPLED_ROWS, SAMPLED_CHARACTERS = 10, 300
#: Stands for a record of a feed with sensitive columns.
HIDDEN = "not shown, because the feed has sensitive columns; the file of rejects has it"

#: Key and rows of each file.
RejectFiles = list[tuple[str, int]]


def write_rejects(
    spark: SparkSession, s3: S3Client, rejected: DataFrame, request: LoadRequest, counts: LoadCounts
) -> dict[date, RejectFiles]:
    """Write the rejected rows under this load's folder of each day.

    They count only once the day's manifest names them (`publish_rejects`), after the load.

    Raises:
        LoadError: not all rejected rows arrived.
    """
    written: dict[date, RejectFiles] = {day: [] for day in counts.days}
    days = [day for day, of_day in counts.days.items() if of_day.rejected]
    if not days:
        return written
    reason = F.concat_ws("", F.concat_ws(": ", "kind", "shown"), F.expr(hint("kind", "shown")))
    # One write for all days, because a write for each takes Spark longer than their rows do. Its
    # folders are `day=…`, so the files are copied to their places afterwards.
    together = f"{request.tmp_dir}rejects/"
    (
        rejected
        # As a date: Spark would sort again by a text column that may be NULL, by that column only.
        .withColumn("day", F.to_date("day"))
        .select(
            *("day", "block", "id", source_file(), "raw_record"),
            reason.alias("reason"),
        )
        .coalesce(1 + counts.rejected // ROWS_PER_FILE)
        .sortWithinPartitions("day", "source_file", "block", "id")
        .drop("block", "id")
        .write.partitionBy("day")
        .mode("overwrite")
        .option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
        .json(together, compression="gzip")
    )
    _copy_to_days(s3, request, days, together)
    for day, file, count in _count_written(spark, request, days):
        written[day].append((file, count))
    for day in days:
        rows_written = sum(count for _, count in written[day])
        if rows_written != counts.days[day].rejected:
            raise LoadError(
                f"{rows_written} of {counts.days[day].rejected} rejects of {day} arrived under "
                f"{_load_folder(request, day)}; run the load again"
            )
    return written


def _load_folder(request: LoadRequest, day: date) -> str:
    """``s3://…/`` of the day's rejects of this load."""
    return f"{day_rejects(request.rejects, day)}{request.load_id}/"


def _copy_to_days(s3: S3Client, request: LoadRequest, days: Sequence[date], together: str) -> None:
    """Replace this load's folder of each day by the day's files below ``together``."""
    source_bucket, source_prefix = split_uri(together)

    def copy(day: date) -> None:
        bucket, prefix = split_uri(_load_folder(request, day))
        delete_objects(s3, bucket, prefix)
        for item in list_objects(s3, source_bucket, f"{source_prefix}day={day}/"):
            s3.copy_object(
                CopySource={"Bucket": source_bucket, "Key": item["Key"]},
                Bucket=bucket,
                Key=prefix + item["Key"].rpartition("/")[2],
            )

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(copy, days))


def _count_written(
    spark: SparkSession, request: LoadRequest, days: Sequence[date]
) -> list[tuple[date, str, int]]:
    """Day, key and rows of each file that was written, counted by reading the files back."""
    folders = {_load_folder(request, day): day for day in days}
    counts = (
        spark.read.text([escape_glob(folder) for folder in folders])
        .groupBy("_metadata.file_path")
        .count()
    )
    found = sorted((uri_of(path), count) for path, count in counts.collect())
    return [
        (folders[uri.rpartition("/")[0] + "/"], split_uri(uri)[1], count) for uri, count in found
    ]


def publish_rejects(
    s3: S3Client, request: LoadRequest, counts: LoadCounts, files: Mapping[date, RejectFiles]
) -> None:
    """Write each day's manifest (also without rejects), then delete the files of older loads."""

    def publish(day: date) -> None:
        bucket, prefix = split_uri(day_rejects(request.rejects, day))
        manifest = RejectManifest(
            feed=request.feed,
            day=day,
            load_id=request.load_id,
            rejected_rows=counts.days[day].rejected,
            reasons=counts.days[day].reasons,
            files=files[day],
        )
        s3.put_object(
            Bucket=bucket,
            Key=prefix + MANIFEST,
            Body=json.dumps(manifest.to_json(), ensure_ascii=False, indent=1).encode(),
            ContentType="application/json",
        )
        delete_objects(s3, bucket, prefix, keep=(prefix + MANIFEST, f"{prefix}{request.load_id}/"))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(publish, counts.days))


def sample_rejects(
    s3: S3Client, request: LoadRequest, files: Mapping[date, RejectFiles]
) -> dict[date, list[dict[str, str]]]:
    """The first rejected rows of each day, for the report.

    A record may hold a sensitive value anywhere, for it may be broken: then none is shown.
    """
    is_hidden = any(column.sensitive for column in request.columns)
    bucket, _ = split_uri(request.rejects)

    def sample(of_day: RejectFiles) -> list[dict[str, str]]:
        if not of_day:
            return []
        key, _ = of_day[0]
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with gzip.open(body, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in itertools.islice(lines, SAMPLED_ROWS)]
        return [
            {
                "source_file": row["source_file"],
                "reason": row["reason"],
                "raw_record": HIDDEN if is_hidden else row["raw_record"][:SAMPLED_CHARACTERS],
            }
            for row in rows
        ]

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(files, pool.map(sample, files.values()), strict=True))
