"""Files of random text: Spark cuts each into exactly as many records as raw_partition counted.

All files of the day hold what no feed would load, so that every record is rejected; rejects name
their file, which makes the comparison one file by file.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date

import pytest

from tests.support.pipeline import Pipeline
from xacct_assets.contract.csv_count import count_records
from xacct_assets.contract.malformed_csv import MalformedCsv

DAY = "2026-07-01"
FILES = 120
# What decides where a record ends, and what readers like to take for a line end or for nothing.
ALPHABET = 'aa,,""\n\n\r é;\t\x00\x0b\x0c\x1c\x85\u2028\ufeff\\#'


def fuzzed(random_: random.Random, columns: list[str]) -> Iterator[tuple[str, bytes, int]]:
    """Endless files that are not malformed as a whole: name, body, and how many records."""
    number = 0
    while True:
        end = random_.choice(["\n", "\r\n"])
        body = "".join(random_.choices(ALPHABET, k=random_.randrange(60)))
        if end == "\r\n":
            body = body.replace("\n", end)
        header = random_.sample(columns, len(columns))
        mark = random_.choice(["", "", "\ufeff"])
        data = f"{mark}{','.join(header)}{end}{body}".encode()
        try:
            rows = count_records([data]).rows
        except MalformedCsv:
            continue
        number += 1
        if random_.random() < 0.2:
            yield f"{number:03}.csv.gz", gzip.compress(data, mtime=0), rows
        else:
            yield f"{number:03}.csv", data, rows


@pytest.fixture(scope="module")
def counted(pipeline: Pipeline) -> dict[str, int]:
    """Records of each file that landed."""
    files = fuzzed(random.Random(20260501), pipeline.feed.column_names())
    counts = {}
    for _ in range(FILES):
        name, body, counts[name] = next(files)
        pipeline.put(DAY, body, name)
    return counts


def rejects_of(pipeline: Pipeline) -> list[dict[str, str]]:
    """The day's rejected rows, as the job wrote them."""
    with pipeline.environment():
        manifest = pipeline.aws.rejects(pipeline.feed).manifest(date.fromisoformat(DAY))
    assert manifest is not None
    s3 = pipeline.sandbox.client("account-b-admin", "s3")
    bucket = pipeline.aws.settings.processing_bucket
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key, _ in manifest.files]
    return [json.loads(line) for body in bodies for line in gzip.decompress(body).splitlines()]


def test_spark_cuts_each_file_as_it_was_counted(
    pipeline: Pipeline, counted: dict[str, int]
) -> None:
    run = pipeline.run(DAY, assets=["raw_partition", "catalog_table", "staging_table"])
    assert run.metadata("raw_partition", DAY)["dagster/partition_row_count"] == sum(
        counted.values()
    )
    # All were rejected: that, and nothing else, is what the run has to say.
    assert list(run.failures) == ["staging_table_rejected_share_within_limit"], run.why
    read = Counter(row["source_file"].rpartition("/")[2] for row in rejects_of(pipeline))
    assert read == Counter({name: rows for name, rows in counted.items() if rows})
    assert sum(counted.values()) > FILES
