"""Starts and stops the sandbox from outside its process, and deploys the two accounts."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from xacct_sandbox.daemon import env_file, ports
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    REDSHIFT_PORTS,
    SandboxConfig,
    SandboxError,
)
from xacct_sandbox.daemon.control_client import health
from xacct_sandbox.daemon.instance_lock import daemon_pid
from xacct_sandbox.daemon.processes import (
    POLL_SECONDS,
    command_line,
    end_leftovers,
    users_of_dagster_home,
    wait_until,
)

START_SECONDS = 120.0
STOP_SECONDS = 20.0
DAGSTER_ENDS_SECONDS = 10.0
"""How long the processes of a UI that was ended may take to end."""
LOG_TAIL_LINES = 25
HOME_ENTRIES = (
    "aws",
    "dagster",
    "dagster-dev.pid",
    "daemon.lock",
    "faults.jsonl",
    "faults.signal",
    "log",
    "ministack",
    "postgres",
    "redshift-data",
    "service-overruns.jsonl",
    "service-times.json",
    "spark",
    "tls",
)
"""What the sandbox writes to its home, besides the two files that tell that it is one."""

Say = Callable[[str], None]


# -- starting ----------------------------------------------------------------------------------


def start(config: SandboxConfig, say: Say) -> SandboxConfig:
    """Starts the daemon, or finds it running, and waits until it is ready.

    Args:
        config: the sandbox to start.
        say: prints a line of progress.

    Returns:
        The configuration of the running sandbox. It has the ports that it was started with.

    Raises:
        SandboxError: a port is taken or differs from the running sandbox's, or the daemon did not
            start; the message has its log's end.
    """
    pid = daemon_pid(config)
    if pid is not None:
        running = SandboxConfig.load({HOME_VARIABLE: str(config.home)})
        _refuse_other_ports(config, running, pid)
        _wait_until_ready(running, None)
        say(f"the daemon is running (pid {pid}) at {running.endpoint_url}")
        planned = health(running)["faults"]["planned"]
        if planned:
            say(f"faults still planned: {planned}; see `xacct-sandbox fault list`")
        return running
    _require_user_name()
    _require_free_ports(config)
    process = _spawn(config)
    _wait_until_ready(config, process)
    say(f"the daemon has started (pid {process.pid}) at {config.endpoint_url}")
    return config


def _refuse_other_ports(config: SandboxConfig, running: SandboxConfig, pid: int) -> None:
    """Refuses ports that the environment names and the running sandbox does not have."""
    for variable, wanted, port in (
        (AWS_PORT_VARIABLE, config.aws_port, running.aws_port),
        (REDSHIFT_PORT_VARIABLE, config.redshift_port, running.redshift_port),
    ):
        if os.environ.get(variable) and wanted != port:
            raise SandboxError(
                f"{variable}={wanted}, but the sandbox in {config.home} already runs with port "
                f"{port} (pid {pid}); to change the port, run `xacct-sandbox down` first (stored "
                f"data is kept); to go on with port {port}, run `unset {variable}`"
            )


def _require_user_name() -> None:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as unknown:
        raise SandboxError(
            f"user id {os.geteuid()} has no name on this machine, and PostgreSQL and Spark do not "
            "run without one; run this as a user of /etc/passwd, or add a line for the id there"
        ) from unknown


def _require_free_ports(config: SandboxConfig) -> None:
    for port, variable, purpose, others in (
        (config.aws_port, AWS_PORT_VARIABLE, "the AWS APIs", range(config.aws_port, 65536)),
        (config.console_port, AWS_PORT_VARIABLE, "its console", range(config.aws_port, 65536)),
        (config.redshift_port, REDSHIFT_PORT_VARIABLE, "Redshift", REDSHIFT_PORTS),
    ):
        problem = ports.bind_problem(port)
        if problem is not None:
            taken = (config.aws_port, config.console_port, config.redshift_port)
            other = ports.first_free(each for each in others if each > 1023 and each not in taken)
            raise SandboxError(
                f"port {port} on {config.host} cannot be used ({problem}), so the sandbox cannot "
                f"serve {purpose} there; free it, or choose another port: "
                f"export {variable}={other or 'PORT'}"
            )


def _spawn(config: SandboxConfig) -> subprocess.Popen[bytes]:
    try:
        config.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if config.daemon_log.exists():
            config.daemon_log.replace(config.daemon_log.with_suffix(".log.1"))
        config.daemon_log.touch()
    except OSError as problem:
        raise SandboxError(
            f"{config.home} cannot be written ({problem.strerror}); "
            f"set {HOME_VARIABLE} to a folder of yours"
        ) from problem
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
            if answer.get("failed"):
                raise SandboxError(
                    f"a part of the sandbox failed: {answer['failed']}\n"
                    "Fix the cause, run `xacct-sandbox down`, then this command again"
                )
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
        [sys.executable, "-m", "xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes"],
        env=client_environment(config),
        cwd=folder,
        check=False,
    ).returncode


def why_not_loaded(config: SandboxConfig, feed: str, first: date, last: date) -> str | None:
    """What `xacct days` says against days: no such feed, or not days of it; None if nothing."""
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "xacct_assets.operations.cli", "--no-env-file"),
            *("days", "--feed", feed, "--partition", f"{first}...{last}"),
        ],
        env=client_environment(config),
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stderr.strip().removeprefix("xacct: ") if answer.returncode else None


def new_dagster_instance(config: SandboxConfig) -> subprocess.Popen[bytes] | None:
    """Starts to prepare the Dagster instance of a new sandbox; None if there is one."""
    if (env_file.dagster_home(config) / "history").exists():
        return None
    return subprocess.Popen(
        [sys.executable, "-m", "xacct_assets.local_runtime.new_instance"],
        env=client_environment(config),
    )


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
    if "/dg dev " in command_line(pid):
        os.killpg(pid, signal.SIGINT)
        if not wait_until(lambda: not command_line(pid), STOP_SECONDS):
            os.killpg(pid, signal.SIGKILL)
        say(f"the Dagster UI has stopped (pid {pid})")
    config.ui_pid_file.unlink(missing_ok=True)


def end_users_of_home(config: SandboxConfig, say: Say) -> None:
    """Ends the UI that the demo left running, before the home is removed.

    Raises:
        SandboxError: another Dagster uses the home. It is the user's, so it is not ended.
    """
    _stop_ui(config, say)
    folder = env_file.dagster_home(config)
    if not wait_until(lambda: not users_of_dagster_home(folder), DAGSTER_ENDS_SECONDS):
        pids = ", ".join(map(str, users_of_dagster_home(folder)))
        raise SandboxError(
            f"nothing was deleted: Dagster still uses {folder} (pid {pids}); end it (Ctrl-C in "
            "the terminal of `dagster dev`), then run this command again"
        )


def wipe(config: SandboxConfig) -> list[Path]:
    """Removes what the sandbox wrote to its home, and the home if it is empty then.

    The sandbox must be down.

    Returns:
        What others put into the home, which stays.

    Raises:
        SandboxError: the sandbox is running, the folder is not the home of a sandbox, or a file
            cannot be removed; the command can then be repeated.
    """
    if daemon_pid(config) is not None:
        raise SandboxError("the sandbox is running; run `xacct-sandbox down` first")
    if not config.home.exists():
        return []
    # Removed last: they tell that the folder is a sandbox's.
    signs = (config.token_path, config.sandbox_json)
    if not any(sign.exists() for sign in signs):
        raise SandboxError(
            f"{config.home} is not removed: it holds no sandbox (no token, no sandbox.json)"
        )
    try:
        for path in map(config.home.joinpath, HOME_ENTRIES):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for sign in signs:
            sign.unlink(missing_ok=True)
        left = sorted(config.home.iterdir())
        if not left:
            config.home.rmdir()
        return left
    except OSError as problem:
        raise SandboxError(
            f"{problem.filename} cannot be removed ({problem.strerror}): a process still writes "
            "there, or it belongs to another user; end the process or remove it, then run this "
            "command again"
        ) from problem
