"""The environment of a Spark worker: that of a Glue job, and the machine's own libraries."""

from __future__ import annotations

from pathlib import Path

import pytest
from awsglue.session import _java_option

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.jobs.worker import _environment


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
