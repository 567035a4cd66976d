"""Warms up the JVM of a Spark worker, so that its first run is faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

ROUNDS = 2
"""The first takes 12 CPU seconds, the second 2. A third would make the next one 0.2 faster."""

_ROWS = 2000
_NO_WILDCARDS = ("__globPaths__", "false")
"""Spark's option to read a path as it is: a folder may be named ``[old]``."""
_CSV_OPTIONS = {"multiLine": "true", "quote": '"', "escape": '"', "lineSep": "\n"}
_SCHEMA = "id STRING, name STRING, price STRING, at STRING, bad STRING"


def warm_up(spark: SparkSession, folder: Path, *, until: Callable[[], bool]) -> None:
    """Have the JVM load and compile the classes that a load of CSV files uses.

    A run that arrives meanwhile waits for one round at most.

    Args:
        spark: the session.
        folder: scratch space.
        until: ends the warm-up when it is true.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source.csv"
    text = "".join(f'{n},"a ""{n}""\nb",{n}.5,2026-01-01T00:00:00\n' for n in range(_ROWS))
    source.write_text("id,name,price,at\n" + text, encoding="utf-8")
    for _ in range(ROUNDS):
        if until():
            return
        rows = _parse(spark, source).persist()
        rows.groupBy("turn").count().collect()
        for kind in ("csv", "json"):
            rows.where("turn = 1").coalesce(1).write.mode("overwrite").option(
                "compression", "gzip"
            ).format(kind).save(_path(folder / kind))
        spark.read.option(*_NO_WILDCARDS).text(_path(folder / "json")).count()
        rows.unpersist()


def _parse(spark: SparkSession, source: Path) -> DataFrame:
    """Parses and numbers the records of a CSV file with the functions that a load uses."""
    records = (
        spark.read.option(*_NO_WILDCARDS)
        .schema("a STRING, record STRING")
        .options(**_CSV_OPTIONS, header="true", columnNameOfCorruptRecord="record")
    )
    return (
        records.csv(_path(source))
        .select(
            F.expr("_metadata.file_path").alias("file"),
            F.monotonically_increasing_id().alias("position"),
            F.coalesce("record", "a").alias("record"),
        )
        .select(
            "*",
            F.from_csv(
                "record", _SCHEMA, {**_CSV_OPTIONS, "columnNameOfCorruptRecord": "bad"}
            ).alias("parsed"),
        )
        .selectExpr(
            "file",
            "record",
            "CASE WHEN parsed.id RLIKE '^[0-9]+' "
            "THEN CAST(TRY_CAST(parsed.id AS BIGINT) AS STRING) END AS id",
            "CAST(TRY_CAST(parsed.price AS DECIMAL(12,2)) AS STRING) AS price",
            "DATE_FORMAT(TRY_CAST(parsed.at AS TIMESTAMP), 'yyyy-MM-dd HH:mm:ss') AS at",
            "ROW_NUMBER() OVER (PARTITION BY parsed.id ORDER BY position) AS turn",
        )
    )


def _path(path: Path) -> str:
    """A local path for Spark, which takes percent signs as they are: this is not a URI."""
    return f"file:{path}"
