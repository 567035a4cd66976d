"""The `.env` that `xacct-sandbox up` writes: what it holds, and what of the user's it keeps."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from xacct_sandbox.daemon import env_file
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError

ODD_PATHS = [
    "my repo dir",
    "it's",
    "Größe 日本",
    "#1 a #2",
    'a "quoted" name',
    "back\\slash and 'quote'",
    " blanks around ",
    "$HOME",
    "a=b",
]


def read(folder: Path) -> dict[str, str | None]:
    """The variables as Dagster, `dg` and `xacct` read them."""
    return dotenv_values(folder / ".env")


@pytest.fixture
def config(tmp_path: Path) -> SandboxConfig:
    return SandboxConfig(home=tmp_path / "home")


def test_our_own_env_file_is_rewritten_and_removed(config: SandboxConfig, tmp_path: Path) -> None:
    other = SandboxConfig(home=config.home, aws_port=4999)
    assert env_file.write(config, tmp_path) == tmp_path / ".env"
    assert env_file.write(other, tmp_path) == tmp_path / ".env"
    assert read(tmp_path)["AWS_ENDPOINT_URL"] == "https://127.0.0.1:4999"
    assert read(tmp_path)["XACCT_ARRIVAL_START_RUNNING"] == "true"
    assert env_file.remove(tmp_path)
    assert not (tmp_path / ".env").exists()


def test_a_users_own_env_file_is_never_changed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_PROFILE=work\n")
    assert env_file.write(SandboxConfig(home=tmp_path), tmp_path) is None
    assert not env_file.remove(tmp_path)
    assert (tmp_path / ".env").read_text() == "AWS_PROFILE=work\n"


def test_the_env_file_has_no_secret(config: SandboxConfig) -> None:
    names = {
        name: value
        for name, value in env_file.variables(config).items()
        if "SECRET" in name.replace("SECRETS", "") or "KEY" in name or "TOKEN" in name
    }
    assert set(names.values()) == {""}


def test_keys_in_the_shell_do_not_win_over_the_profile(config: SandboxConfig) -> None:
    """botocore prefers keys in the environment to AWS_PROFILE, and takes an empty one as unset."""
    variables = env_file.variables(config)
    assert variables["AWS_PROFILE"] == "orchestrator"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        assert variables[name] == ""


# -- the user's lines --------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["MY_OWN=1", "# a remark", "export OTHER='a b'", "AWS_PROFILE=me"])
@pytest.mark.parametrize("written_by", ["this version", "an earlier version"])
def test_a_line_that_the_user_added_is_kept(
    config: SandboxConfig, tmp_path: Path, line: str, written_by: str
) -> None:
    env_file.write(config, tmp_path)
    path = tmp_path / ".env"
    if written_by == "an earlier version":
        path.write_text(path.read_text().replace(env_file.END_MARKER + "\n", ""))
    with path.open("a") as file:
        file.write(line + "\n")
    wanted = read(tmp_path)
    for _ in range(2):
        env_file.write(config, tmp_path)
        assert path.read_text().splitlines().count(line) == 1
        assert read(tmp_path) == wanted


def test_a_line_between_ours_is_kept(config: SandboxConfig, tmp_path: Path) -> None:
    env_file.write(config, tmp_path)
    path = tmp_path / ".env"
    marker, *ours = path.read_text().splitlines()
    path.write_text("\n".join([marker, "MINE=1", *ours]))
    env_file.write(config, tmp_path)
    assert read(tmp_path)["MINE"] == "1"


def test_the_users_lines_outlive_a_reset(config: SandboxConfig, tmp_path: Path) -> None:
    env_file.write(config, tmp_path)
    with (tmp_path / ".env").open("a") as file:
        file.write("MINE=1\n")
    assert env_file.remove(tmp_path)
    assert read(tmp_path) == {"MINE": "1"}
    env_file.write(config, tmp_path)
    assert read(tmp_path)["MINE"] == "1"
    assert read(tmp_path)["AWS_PROFILE"] == "orchestrator"


def test_the_file_keeps_its_mode_and_its_link(config: SandboxConfig, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    env_file.write(config, tmp_path)
    (tmp_path / ".env").rename(real)
    (tmp_path / ".env").symlink_to(real)
    real.chmod(0o600)
    env_file.write(config, tmp_path)
    assert (tmp_path / ".env").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_not_text_is_refused_and_not_changed(
    config: SandboxConfig, tmp_path: Path
) -> None:
    env_file.write(config, tmp_path)
    path = tmp_path / ".env"
    path.write_bytes(path.read_bytes() + b"MINE=\xff\n")
    before = path.read_bytes()
    with pytest.raises(SandboxError, match="save it as UTF-8"):
        env_file.write(config, tmp_path)
    assert path.read_bytes() == before


# -- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD_PATHS)
def test_a_path_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    config = SandboxConfig(home=tmp_path / name / ".xacct")
    env_file.write(config, tmp_path)
    assert read(tmp_path) == {**env_file.variables(config), **env_file.ARRIVAL}


@pytest.mark.parametrize("name", ODD_PATHS)
def test_a_shell_reads_a_path_as_it_was_written(tmp_path: Path, name: str) -> None:
    config = SandboxConfig(home=tmp_path / name / ".xacct")
    env_file.write(config, tmp_path)
    done = subprocess.run(
        ["sh", "-c", '. ./.env && printf %s "$AWS_CONFIG_FILE"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == str(config.aws_config_file)


@pytest.mark.parametrize("name", ["${HOME}", "two\nlines", os.fsdecode(b"latin-\xe9")])
def test_a_path_that_no_env_file_can_hold_is_refused_with_the_fix(
    tmp_path: Path, name: str
) -> None:
    config = SandboxConfig(home=tmp_path / name / ".xacct")
    with pytest.raises(SandboxError, match="XACCT_SANDBOX_HOME"):
        env_file.write(config, tmp_path)
    assert not (tmp_path / ".env").exists()


# -- proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_the_users_exceptions_from_the_proxy_are_kept(
    config: SandboxConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "intranet.example, 10.0.0.0/8")
    env_file.write(config, tmp_path)
    for variable in ("NO_PROXY", "no_proxy"):
        hosts = str(read(tmp_path)[variable]).split(",")
        assert {"intranet.example", "10.0.0.0/8", "127.0.0.1", "localhost"} <= set(hosts)


def test_exceptions_that_the_user_wrote_into_the_file_do_not_hide_this_machine(
    config: SandboxConfig, tmp_path: Path
) -> None:
    env_file.write(config, tmp_path)
    with (tmp_path / ".env").open("a") as file:
        file.write("NO_PROXY=intranet.example\n")
    for _ in range(2):
        env_file.write(config, tmp_path)
        for variable in ("NO_PROXY", "no_proxy"):
            value = str(read(tmp_path)[variable])
            assert set(value.split(",")) == {"intranet.example", "127.0.0.1", "localhost"}
