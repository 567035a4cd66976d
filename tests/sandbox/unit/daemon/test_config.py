"""Where the sandbox lives is said by the environment, and a running one by its own file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xacct_sandbox.daemon import env_file
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError


def test_without_settings_it_is_the_folder_here_and_the_usual_ports(
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
def test_a_port_that_is_none_is_named_with_its_variable(text: str) -> None:
    with pytest.raises(SandboxError, match="XACCT_SANDBOX_PORT"):
        SandboxConfig.from_environment({"XACCT_SANDBOX_PORT": text})


def test_one_port_for_both_is_refused() -> None:
    with pytest.raises(SandboxError, match="each need a port"):
        SandboxConfig.from_environment(
            {"XACCT_SANDBOX_PORT": "5439", "XACCT_SANDBOX_REDSHIFT_PORT": "5439"}
        )


def test_a_running_sandbox_is_found_by_its_own_file(tmp_path: Path) -> None:
    started = SandboxConfig(home=tmp_path, aws_port=4999, redshift_port=5450)
    started.sandbox_json.write_text(json.dumps({**started.document(), "pid": 1}))
    assert SandboxConfig.load({"XACCT_SANDBOX_HOME": str(tmp_path)}) == started


@pytest.mark.parametrize("content", ["", "[]", "{", "{}"])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "sandbox.json").write_text(content)
    with pytest.raises(SandboxError, match="delete"):
        SandboxConfig.load({"XACCT_SANDBOX_HOME": str(tmp_path)})


def test_env_is_written_and_rewritten_where_it_is_ours(tmp_path: Path) -> None:
    config = SandboxConfig(home=tmp_path / "home")
    other = SandboxConfig(home=tmp_path / "home", aws_port=4999)
    assert env_file.write(config, tmp_path) == tmp_path / ".env"
    assert env_file.write(other, tmp_path) == tmp_path / ".env"
    assert "AWS_ENDPOINT_URL=https://127.0.0.1:4999" in (tmp_path / ".env").read_text()
    assert env_file.remove(tmp_path)
    assert not (tmp_path / ".env").exists()


def test_a_persons_own_env_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_PROFILE=work\n")
    assert env_file.write(SandboxConfig(home=tmp_path), tmp_path) is None
    assert not env_file.remove(tmp_path)
    assert (tmp_path / ".env").read_text() == "AWS_PROFILE=work\n"


def test_env_holds_no_secret(tmp_path: Path) -> None:
    names = env_file.variables(SandboxConfig(home=tmp_path))
    assert not [name for name in names if "SECRET" in name.replace("SECRETS", "") or "KEY" in name]
