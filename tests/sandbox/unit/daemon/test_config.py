"""The configuration comes from the environment, that of a running sandbox from its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xacct_sandbox.daemon import env_file
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError


def test_the_defaults_are_a_folder_here_and_the_standard_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = SandboxConfig.from_environment({})
    assert (config.home, config.aws_port, config.redshift_port) == (
        tmp_path / ".xacct",
        4566,
        5439,
    )


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "45 66"])
def test_an_invalid_port_is_refused_by_its_variable(text: str) -> None:
    with pytest.raises(SandboxError, match="XACCT_SANDBOX_PORT"):
        SandboxConfig.from_environment({"XACCT_SANDBOX_PORT": text})


def test_the_same_port_for_both_is_refused() -> None:
    with pytest.raises(SandboxError, match="each need a port"):
        SandboxConfig.from_environment(
            {"XACCT_SANDBOX_PORT": "5439", "XACCT_SANDBOX_REDSHIFT_PORT": "5439"}
        )


@pytest.mark.parametrize("port", ["5438", "65535"])
def test_a_port_whose_next_one_is_not_free_for_the_console_is_refused(port: str) -> None:
    with pytest.raises(SandboxError, match=f"XACCT_SANDBOX_PORT={port} leaves no port"):
        SandboxConfig.from_environment({"XACCT_SANDBOX_PORT": port})


def test_the_console_is_on_the_port_after_that_of_the_aws_apis(tmp_path: Path) -> None:
    config = SandboxConfig(home=tmp_path, aws_port=4999)
    assert config.console_url == "http://127.0.0.1:5000"
    assert env_file.variables(config)["XACCT_CONSOLE_URL"] == "http://127.0.0.1:5000"


def test_a_running_sandbox_is_read_from_its_file(tmp_path: Path) -> None:
    started = SandboxConfig(home=tmp_path, aws_port=4999, redshift_port=5450)
    started.sandbox_json.write_text(json.dumps({**started.document(), "pid": 1}))
    assert SandboxConfig.load({"XACCT_SANDBOX_HOME": str(tmp_path)}) == started


@pytest.mark.parametrize("content", ["", "[]", "{", "{}"])
def test_a_damaged_file_is_refused_with_the_fix(tmp_path: Path, content: str) -> None:
    (tmp_path / "sandbox.json").write_text(content)
    with pytest.raises(SandboxError, match="delete"):
        SandboxConfig.load({"XACCT_SANDBOX_HOME": str(tmp_path)})


@pytest.mark.parametrize("port", [5430, 5456, 8190, 8216, 4566, 65535])
def test_a_port_that_redshift_serverless_refuses_is_refused_before_the_start(port: int) -> None:
    with pytest.raises(SandboxError, match="5431-5455 and 8191-8215"):
        SandboxConfig.from_environment({"XACCT_SANDBOX_REDSHIFT_PORT": str(port)})


@pytest.mark.parametrize("port", [5431, 5455, 8191, 8215])
def test_the_ports_that_redshift_serverless_allows_are_accepted(port: int) -> None:
    config = SandboxConfig.from_environment({"XACCT_SANDBOX_REDSHIFT_PORT": str(port)})
    assert config.redshift_port == port


def test_a_running_sandbox_is_found_whatever_ports_the_shell_names(tmp_path: Path) -> None:
    started = SandboxConfig(home=tmp_path, aws_port=4999, redshift_port=5450)
    started.sandbox_json.write_text(json.dumps({**started.document(), "pid": 1}))
    for port in ("none", "1", "5450"):
        shell = {
            "XACCT_SANDBOX_HOME": str(tmp_path),
            "XACCT_SANDBOX_PORT": port,
            "XACCT_SANDBOX_REDSHIFT_PORT": port,
        }
        assert SandboxConfig.load(shell) == started


def test_a_home_that_cannot_be_found_is_refused_with_the_fix() -> None:
    with pytest.raises(SandboxError, match="XACCT_SANDBOX_HOME to an absolute path"):
        SandboxConfig.from_environment({"XACCT_SANDBOX_HOME": "~no-such-user/sandbox"})
