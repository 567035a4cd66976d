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


def test_a_running_sandbox_is_read_from_its_file(tmp_path: Path) -> None:
    started = SandboxConfig(home=tmp_path, aws_port=4999, redshift_port=5450)
    started.sandbox_json.write_text(json.dumps({**started.document(), "pid": 1}))
    assert SandboxConfig.load({"XACCT_SANDBOX_HOME": str(tmp_path)}) == started


@pytest.mark.parametrize("content", ["", "[]", "{", "{}"])
def test_a_damaged_file_is_refused_with_the_fix(tmp_path: Path, content: str) -> None:
    (tmp_path / "sandbox.json").write_text(content)
    with pytest.raises(SandboxError, match="delete"):
        SandboxConfig.load({"XACCT_SANDBOX_HOME": str(tmp_path)})


def test_our_own_env_file_is_rewritten_and_removed(tmp_path: Path) -> None:
    config = SandboxConfig(home=tmp_path / "home")
    other = SandboxConfig(home=tmp_path / "home", aws_port=4999)
    assert env_file.write(config, tmp_path) == tmp_path / ".env"
    assert env_file.write(other, tmp_path) == tmp_path / ".env"
    assert "AWS_ENDPOINT_URL=https://127.0.0.1:4999" in (tmp_path / ".env").read_text()
    assert env_file.remove(tmp_path)
    assert not (tmp_path / ".env").exists()


def test_a_users_own_env_file_is_never_changed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_PROFILE=work\n")
    assert env_file.write(SandboxConfig(home=tmp_path), tmp_path) is None
    assert not env_file.remove(tmp_path)
    assert (tmp_path / ".env").read_text() == "AWS_PROFILE=work\n"


def test_the_env_file_has_no_secret(tmp_path: Path) -> None:
    names = env_file.variables(SandboxConfig(home=tmp_path))
    assert not [name for name in names if "SECRET" in name.replace("SECRETS", "") or "KEY" in name]
