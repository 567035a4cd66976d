"""The port of the UI is checked before the minutes of work that come before the UI."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from xacct_sandbox import cli
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.demo import check_ui_port


def test_a_taken_port_is_told_with_its_process_and_the_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"pid {os.getpid()}.*make run UI_PORT="):
            check_ui_port(port, SandboxConfig(home=tmp_path))


@pytest.mark.parametrize("port", [4566, 5439])
def test_a_port_of_the_sandbox_is_refused_although_it_is_still_free(
    tmp_path: Path, port: int
) -> None:
    with pytest.raises(SandboxError, match="by the sandbox itself"):
        check_ui_port(port, SandboxConfig(home=tmp_path))


@pytest.mark.parametrize("port", ["0", "65536", "700000", "http"])
def test_a_number_that_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["demo", "--ui-port", port])
    assert "--ui-port" in capsys.readouterr().err
