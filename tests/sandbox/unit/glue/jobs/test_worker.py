"""The environment of a Spark worker, and what is said of one that ended before its script did."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from awsglue.session import _java_option

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.jobs.worker import Worker, _environment


@pytest.fixture
def config(tmp_path: Path) -> SandboxConfig:
    return SandboxConfig(home=tmp_path)


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "TMPDIR"])
def test_what_python_and_java_need_of_this_machine_reaches_a_worker(
    config: SandboxConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/opt/here")
    assert _environment(config)[name] == "/opt/here"


@pytest.mark.parametrize(
    "name",
    [
        *("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "SPARK_HOME"),
        *("SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "PYTHONHOME", "HTTPS_PROXY", "AWS_PROFILE"),
    ],
)
def test_settings_of_the_users_shell_do_not_reach_a_worker(
    config: SandboxConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/mine")
    assert name not in _environment(config)


@pytest.mark.parametrize(
    ("name", "mine", "in_glue"),
    [
        ("LC_ALL", "C", "C.UTF-8"),
        ("TZ", "Asia/Kolkata", "UTC"),
        ("JAVA_HOME", "/usr/lib/jvm/java-8", None),
        ("PYTHONPATH", "/mine", None),
        ("HOME", "/nonexistent", None),
    ],
)
def test_locale_time_zone_and_java_are_those_of_a_job(
    config: SandboxConfig,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    mine: str,
    in_glue: str | None,
) -> None:
    monkeypatch.setenv(name, mine)
    value = _environment(config)[name]
    assert value == in_glue if in_glue else value != mine


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("/plain", '"-Dx=/plain"'),
        ("/my dir's", '"-Dx=/my dir\'s"'),
        ('/a "b"', '"-Dx=/a \\"b\\""'),
        ("/a\\b", '"-Dx=/a\\\\b"'),
    ],
)
def test_a_path_is_one_java_option(path: str, option: str) -> None:
    assert _java_option(f"-Dx={path}") == option


ENDED = "the Spark worker ended with exit code 1"


def said_of(code: int, *lines: str) -> str:
    """The error of a run whose worker wrote these lines and ended with this code."""
    process: Any = SimpleNamespace(poll=lambda: code)
    worker: Any = Worker(Path("/nowhere"), process)
    worker._read_output("error", [f"{line}\n" for line in lines])
    return f"{ENDED}{worker._cause()}"


@pytest.mark.parametrize(
    "line",
    [
        "26/01/01 ERROR SparkUncaughtExceptionHandler: Uncaught exception in thread Thread[x]",
        "\tat org.apache.spark.sql.catalyst.trees.TreeNode.mapChildren(TreeNode.scala:1244)",
    ],
)
def test_an_error_other_than_memory_is_named_and_asks_for_no_memory(line: str) -> None:
    assert said_of(1, "java.lang.StackOverflowError", line) == (
        f"{ENDED}: java.lang.StackOverflowError"
    )


@pytest.mark.parametrize(
    ("code", "line"), [(1, "java.lang.OutOfMemoryError: Java heap space"), (-9, "INFO x")]
)
def test_a_worker_without_memory_or_that_was_killed_asks_for_memory(code: int, line: str) -> None:
    assert "(out of memory? raise XACCT_SANDBOX_SPARK_MEMORY)" in said_of(code, line)


def test_a_worker_that_ended_without_a_word_asks_for_no_memory() -> None:
    assert said_of(1, "INFO x") == f"{ENDED}: see the error log of the run"
