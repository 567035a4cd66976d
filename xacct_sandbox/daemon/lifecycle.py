"""Starts and stops the sandbox from outside its process, and deploys the two accounts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from xacct_sandbox.daemon import env_file, ports
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
    SandboxError,
)
from xacct_sandbox.daemon.control_client import health
from xacct_sandbox.daemon.instance_lock import daemon_pid
from xacct_sandbox.daemon.processes import (
    POLL_SECONDS,
    command_line,
    end_leftovers,
    wait_until,
)

START_SECONDS = 120.0
STOP_SECONDS = 20.0
LOG_TAIL_LINES = 25

Say = Callable[[str], None]


# -- starting ----------------------------------------------------------------------------------


def start(config: SandboxConfig, say: Say) -> SandboxConfig:
    """Starts the daemon, or finds it running, and waits until it is ready.

    Args:
        config: the sandbox to start.
        say: prints a line of progress.

    Returns:
        The configuration of the running sandbox. Its ports differ from the requested ones if it ran
        already.

    Raises:
        SandboxError: a port is taken, or the daemon did not start; the message has its log's end.
    """
    pid = daemon_pid(config)
    if pid is not None:
        running = SandboxConfig.load({HOME_VARIABLE: str(config.home)})
        if (running.aws_port, running.redshift_port) != (config.aws_port, config.redshift_port):
            say(
                f"the daemon already runs (pid {pid}) on ports {running.aws_port} and "
                f"{running.redshift_port}; to change them, run `xacct-sandbox down` first"
            )
        _wait_until_ready(running, None)
        say(f"the daemon is running (pid {pid}) at {running.endpoint_url}")
        planned = health(running)["faults"]["planned"]
        if planned:
            say(f"faults still planned: {planned}; see `xacct-sandbox fault list`")
        return running
    _require_free_ports(config)
    process = _spawn(config)
    _wait_until_ready(config, process)
    say(f"the daemon has started (pid {process.pid}) at {config.endpoint_url}")
    return config


def _require_free_ports(config: SandboxConfig) -> None:
    for port, variable, purpose in (
        (config.aws_port, AWS_PORT_VARIABLE, "the AWS APIs"),
        (config.redshift_port, REDSHIFT_PORT_VARIABLE, "Redshift"),
    ):
        if not ports.is_free(port):
            owner = ports.listener(port) or "another process"
            raise SandboxError(
                f"port {port} on {config.host} is taken by {owner}, so the sandbox cannot serve "
                f"{purpose} there; end that process, or choose another port: "
                f"{variable}={port + 1} xacct-sandbox up"
            )


def _spawn(config: SandboxConfig) -> subprocess.Popen[bytes]:
    config.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if config.daemon_log.exists():
        config.daemon_log.replace(config.daemon_log.with_suffix(".log.1"))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        HOME_VARIABLE: str(config.home),
        AWS_PORT_VARIABLE: str(config.aws_port),
        REDSHIFT_PORT_VARIABLE: str(config.redshift_port),
    }
    with config.daemon_log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "xacct_sandbox.daemon.server"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(config: SandboxConfig, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    state = "it has not responded yet"
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise SandboxError(
                f"the daemon ended at its start (exit code {process.returncode}); "
                f"the end of {config.daemon_log}:\n{_log_tail(config)}"
            )
        try:
            answer = health(config)
        except SandboxError as problem:
            state = str(problem)
        else:
            if answer["ready"]:
                return
            state = f"not ready: {answer}"
        time.sleep(POLL_SECONDS)
    raise SandboxError(
        f"the sandbox is not ready after {START_SECONDS:.0f} s ({state}); "
        f"the end of {config.daemon_log}:\n{_log_tail(config)}"
    )


def _log_tail(config: SandboxConfig) -> str:
    if not config.daemon_log.exists():
        return "(no log)"
    lines = config.daemon_log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])


def deploy(config: SandboxConfig, folder: Path) -> int:
    """Runs `xacct deploy` against the sandbox, with ``folder`` as the working directory.

    Returns:
        The exit code of the command.
    """
    return subprocess.run(
        # --no-env-file: a user's own .env in the folder may name real accounts.
        [sys.executable, "-m", "xacct_assets.operations.cli", "--no-env-file", "deploy"],
        env=client_environment(config),
        cwd=folder,
        check=False,
    ).returncode


def client_environment(config: SandboxConfig) -> dict[str, str]:
    """This process's environment, with all AWS settings replaced by those of the sandbox."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    return {**environment, **env_file.variables(config)}


# -- stopping ----------------------------------------------------------------------------------


def stop(config: SandboxConfig, say: Say) -> None:
    """Ends the daemon, the processes that it started, and the UI that the demo left running.

    Args:
        config: the sandbox to stop.
        say: prints a line of progress.

    Raises:
        SandboxError: a process does not end.
    """
    _stop_ui(config, say)
    pid = daemon_pid(config)
    if pid is None:
        say("the daemon is not running")
    else:
        os.kill(pid, signal.SIGTERM)

        def has_ended() -> bool:
            # A process that ends loses its command line a moment before its lock.
            return not command_line(pid) and daemon_pid(config) is None

        if not wait_until(has_ended, STOP_SECONDS):
            say(f"the daemon (pid {pid}) has not ended after {STOP_SECONDS:.0f} s; killing it")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not wait_until(has_ended, 5):
            raise SandboxError(f"the daemon (pid {pid}) cannot be ended; see {config.daemon_log}")
        say(f"the daemon has stopped (pid {pid})")
    end_leftovers(config, say)


def _stop_ui(config: SandboxConfig, say: Say) -> None:
    if not config.ui_pid_file.exists():
        return
    pid = int(config.ui_pid_file.read_text(encoding="utf-8"))
    if "dagster" in command_line(pid):
        os.killpg(pid, signal.SIGINT)
        if not wait_until(lambda: not command_line(pid), STOP_SECONDS):
            os.killpg(pid, signal.SIGKILL)
        say(f"the Dagster UI has stopped (pid {pid})")
    config.ui_pid_file.unlink(missing_ok=True)


def wipe(config: SandboxConfig) -> None:
    """Removes the whole home. The sandbox must be down.

    Raises:
        SandboxError: the sandbox is running, or the folder is not the home of a sandbox.
    """
    if daemon_pid(config) is not None:
        raise SandboxError("the sandbox is running; run `xacct-sandbox down` first")
    if not config.home.exists():
        return
    if not (config.token_path.exists() or config.sandbox_json.exists()):
        raise SandboxError(
            f"{config.home} is not removed: it holds no sandbox (no token, no sandbox.json)"
        )
    shutil.rmtree(config.home)
