"""Settings of the Spark session."""

from __future__ import annotations

from pyspark.sql import SparkSession

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # Spark lists more than 32 paths in a job of its own, by default with a task for each path.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "64",
    # The JVM compiles no method above 8,000 bytes (HotSpot's HugeMethodLimit): Spark then evaluates
    # the plan in smaller ones.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Numbers of a load are not written into the code, which Java would have to compile again.
    "spark.sql.optimizer.inSetConversionThreshold": "0",
    "spark.sql.optimizer.inSetSwitchThreshold": "0",
    # Plans are made once: what Spark would learn while it runs (how large a shuffle is) is known.
    "spark.sql.adaptive.enabled": "false",
    # Spark gives its settings to the codecs. The temporary files live for a minute only.
    "zlib.compress.level": "BEST_SPEED",
    # Looking for a smaller form of each value costs more than the bytes that it saves.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
}
#: Rows of a task after a shuffle, which moves only numbers.
ROWS_PER_TASK = 500_000


def set_up_spark(spark: SparkSession) -> None:
    """Give the session its settings."""
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    # Spark warns about every file whose header does not fit the schema; see `records`.
    spark.sparkContext.setLogLevel("ERROR")


def set_shuffle_tasks(spark: SparkSession, expected_rows: int) -> None:
    """Say how many tasks there are after a shuffle: Spark knows only when it is too late."""
    spark.conf.set("spark.sql.shuffle.partitions", 1 + expected_rows // ROWS_PER_TASK)
