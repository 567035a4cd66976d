"""Starting and removing a sandbox: what stands in the way is told with its fix, before any work."""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xacct_sandbox.daemon import lifecycle, ports
from xacct_sandbox.daemon.config import REDSHIFT_PORTS, SandboxConfig, SandboxError
from xacct_sandbox.daemon.instance_lock import InstanceLock

THIS_PROCESS = rf"in use by \S+ \(pid {os.getpid()}\)"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[SandboxConfig]:
    """A home whose daemon seems to run: this process holds its lock."""
    config = SandboxConfig(home=tmp_path, aws_port=4999, redshift_port=5450)
    with InstanceLock(config):
        config.sandbox_json.write_text(json.dumps({**config.document(), "pid": os.getpid()}))
        yield config


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def be_ready(monkeypatch: pytest.MonkeyPatch, **answer: Any) -> None:
    healthy = {"ready": True, "failed": None, "faults": {"planned": 0}}
    monkeypatch.setattr(lifecycle, "health", lambda _config: {**healthy, **answer})


def ignore(_text: str) -> None:
    """Takes lines of progress."""


# -- ports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "port"), [("XACCT_SANDBOX_PORT", 4600), ("XACCT_SANDBOX_REDSHIFT_PORT", 5440)]
)
def test_another_port_than_the_running_one_is_refused_with_the_fix(
    running: SandboxConfig, monkeypatch: pytest.MonkeyPatch, variable: str, port: int
) -> None:
    be_ready(monkeypatch)
    monkeypatch.setenv("XACCT_SANDBOX_HOME", str(running.home))
    monkeypatch.setenv(variable, str(port))
    with pytest.raises(SandboxError, match=rf"{variable}={port}.*xacct-sandbox down.*unset"):
        lifecycle.start(SandboxConfig.from_environment(), ignore)


@pytest.mark.parametrize("named", [True, False])
def test_the_running_sandbox_goes_on_if_no_other_port_is_asked_for(
    running: SandboxConfig, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    be_ready(monkeypatch)
    monkeypatch.setenv("XACCT_SANDBOX_HOME", str(running.home))
    if named:
        monkeypatch.setenv("XACCT_SANDBOX_PORT", "4999")
    assert lifecycle.start(SandboxConfig.from_environment(), ignore) == running


def test_a_port_in_use_is_told_with_its_process_and_a_free_one(
    tmp_path: Path, listening: int
) -> None:
    config = SandboxConfig(home=tmp_path / "home", aws_port=listening)
    with pytest.raises(SandboxError, match=THIS_PROCESS) as refused:
        lifecycle.start(config, ignore)
    other = re.search(r"export XACCT_SANDBOX_PORT=(\d+)", str(refused.value))
    assert other is not None
    assert ports.is_free(int(other[1]))
    assert not config.home.exists()


def test_the_other_port_for_redshift_is_one_that_aws_allows(tmp_path: Path) -> None:
    with socket.socket() as server:
        taken = next(port for port in reversed(REDSHIFT_PORTS) if ports.is_free(port))
        server.bind(("127.0.0.1", taken))
        server.listen()
        config = SandboxConfig(home=tmp_path / "home", aws_port=1024, redshift_port=taken)
        with pytest.raises(SandboxError, match="Redshift") as refused:
            lifecycle.start(config, ignore)
    other = re.search(r"export XACCT_SANDBOX_REDSHIFT_PORT=(\d+)", str(refused.value))
    assert other is not None
    assert int(other[1]) in REDSHIFT_PORTS


def test_a_port_that_needs_root_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind = socket.socket.bind

    def bind_as_a_user(self: socket.socket, address: tuple[str, int]) -> None:
        if address[1] < 1024:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        bind(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind_as_a_user)
    with pytest.raises(SandboxError, match="Permission denied"):
        lifecycle.start(SandboxConfig(home=tmp_path / "home", aws_port=443), ignore)


# -- starting ----------------------------------------------------------------------------------


def test_a_part_that_failed_is_told_at_once(
    running: SandboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "START_SECONDS", 0.5)
    be_ready(monkeypatch, ready=False, failed="no Spark worker could be started: no libjvm.so")
    with pytest.raises(SandboxError, match=r"a part of the sandbox failed: .* no libjvm\.so"):
        lifecycle.start(running, ignore)


def test_state_that_cannot_be_saved_at_the_moment_is_waited_for(
    running: SandboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "START_SECONDS", 0.1)
    be_ready(monkeypatch, ready=False, problem="state 'iam' could not be saved")
    with pytest.raises(SandboxError, match=r"not ready after 0 s .*could not be saved"):
        lifecycle.start(running, ignore)


def test_a_user_without_a_name_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(user_id: int) -> None:
        raise KeyError(user_id)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(SandboxError, match="/etc/passwd"):
        lifecycle.start(SandboxConfig(home=tmp_path / "home"), ignore)


@pytest.mark.parametrize("home", ["/proc/sandbox", "/dev/null/sandbox"])
def test_a_home_that_cannot_be_written_is_refused_with_the_fix(home: str) -> None:
    with pytest.raises(SandboxError, match="XACCT_SANDBOX_HOME"):
        lifecycle._spawn(SandboxConfig(home=Path(home)))


# -- removing ----------------------------------------------------------------------------------


def stopped_home(folder: Path) -> SandboxConfig:
    config = SandboxConfig(home=folder / "home")
    (config.home / "dagster").mkdir(parents=True)
    (config.home / "dagster" / "runs.db").touch()
    config.token_path.touch()
    return config


def test_a_file_that_cannot_be_removed_is_told_and_the_reset_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = stopped_home(tmp_path)

    def busy(path: Path) -> None:
        raise OSError(39, "Directory not empty", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle.shutil, "rmtree", busy)
        with pytest.raises(SandboxError, match="dagster cannot be removed"):
            lifecycle.wipe(config)
    lifecycle.wipe(config)
    assert not config.home.exists()


@pytest.mark.parametrize("name", ["thesis.txt", "postgres-dump", "tls.bak", ".hidden"])
@pytest.mark.parametrize("folder", [True, False])
def test_what_others_put_into_the_home_stays(tmp_path: Path, name: str, folder: bool) -> None:
    config = stopped_home(tmp_path)
    theirs = config.home / name
    if folder:
        theirs.mkdir()
        (theirs / "content").write_text("theirs")
    else:
        theirs.write_text("theirs")
    assert lifecycle.wipe(config) == [theirs]
    assert list(config.home.iterdir()) == [theirs]
    # It is no sandbox any more, so it is not touched again.
    with pytest.raises(SandboxError, match="holds no sandbox"):
        lifecycle.wipe(config)


def test_a_folder_that_is_no_sandbox_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SandboxError, match="holds no sandbox"):
        lifecycle.wipe(SandboxConfig(home=tmp_path))
    assert (tmp_path / "thesis.txt").exists()


def test_dagster_that_uses_the_home_is_told_and_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = stopped_home(tmp_path)
    asked: list[Path] = []

    def users(folder: Path) -> list[int]:
        asked.append(folder)
        return [4711]

    monkeypatch.setattr(lifecycle, "users_of_dagster_home", users)
    monkeypatch.setattr(lifecycle, "DAGSTER_ENDS_SECONDS", 0)
    with pytest.raises(SandboxError, match=r"pid 4711.*Ctrl-C"):
        lifecycle.end_users_of_home(config, ignore)
    assert asked[0] == config.home / "dagster"
