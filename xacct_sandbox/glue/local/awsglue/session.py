"""The Spark session of a worker: small enough for a laptop, with ``s3://`` paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from awsglue.s3_mirror import S3Mirror, install

JIT_VARIABLE = "XACCT_SANDBOX_SPARK_JIT"
C1_ONLY = " -XX:TieredStopAtLevel=1"
"""Half the CPU time for small loads, a fifth more for large ones."""


def _java_option(text: str) -> str:
    """One option as Spark's launcher splits them: at blanks outside of quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def start_session(
    folder: Path, *, memory: str, cores: int, java_options: Sequence[str] = ()
) -> tuple[SparkSession, S3Mirror]:
    """Start Spark in this process.

    Args:
        folder: scratch space of the worker.
        memory: heap of the JVM, as Java writes it (``1g``).
        cores: tasks that run at the same time.
        java_options: further options of the JVM.

    Returns:
        The session, and the mirror behind its ``s3://`` paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jit = "" if os.environ.get(JIT_VARIABLE) == "default" else C1_ONLY
    own = (f"-Djava.io.tmpdir={folder}", *java_options)
    settings = {
        "spark.app.name": "glue",
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": (
            f"{' '.join(map(_java_option, own))} -XX:+UseSerialGC{jit}"
        ),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(folder / "shuffle"),
        "spark.sql.warehouse.dir": f"file:{folder / 'warehouse'}",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(cores),
        "spark.default.parallelism": str(cores),
        "spark.sql.adaptive.enabled": "true",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        # No checksum files: they would be uploaded, and do not allow a colon in a name.
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    }
    builder = SparkSession.builder.master(f"local[{cores}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    return spark, install(spark, folder / "s3")
