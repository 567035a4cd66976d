"""Starting, stopping and looking at the sandbox from outside its process."""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.clients import ask_daemon
from xacct_sandbox.daemon import env_file, ports
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
    SandboxError,
)
from xacct_sandbox.daemon.instance_lock import daemon_pid

START_SECONDS = 120.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 25

Say = Callable[[str], None]


def start(config: SandboxConfig, say: Say) -> SandboxConfig:
    """Have the daemon running and answering; nothing is done if it is. The sandbox that runs.

    Raises:
        SandboxError: a port is taken, or the daemon did not come up (the end of its log is given).
    """
    pid = daemon_pid(config)
    if pid is not None:
        running = SandboxConfig.load({HOME_VARIABLE: str(config.home)})
        if (running.aws_port, running.redshift_port) != (config.aws_port, config.redshift_port):
            say(
                f"already running (pid {pid}) on ports {running.aws_port} and "
                f"{running.redshift_port}; for others, `xacct-sandbox down` first"
            )
        _wait_until_ready(running, None)
        say(f"daemon is running (pid {pid}) at {running.endpoint_url}")
        planned = health(running)["faults"]["planned"]
        if planned:
            say(f"{planned} faults are planned in it: see `xacct-sandbox fault list`")
        return running
    _require_free_ports(config)
    process = _spawn(config)
    _wait_until_ready(config, process)
    say(f"daemon started (pid {process.pid}) at {config.endpoint_url}")
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
    last = "it has not answered yet"
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise SandboxError(
                f"the sandbox ended at once (exit code {process.returncode}); "
                f"the end of {config.daemon_log}:\n{_log_tail(config)}"
            )
        try:
            answer = health(config)
        except SandboxError as problem:
            last = str(problem)
        else:
            if answer["ready"]:
                return
            last = f"not ready: {answer}"
        time.sleep(POLL_SECONDS)
    raise SandboxError(
        f"the sandbox is not ready after {START_SECONDS:.0f} s ({last}); "
        f"the end of {config.daemon_log}:\n{_log_tail(config)}"
    )


def _log_tail(config: SandboxConfig) -> str:
    if not config.daemon_log.exists():
        return "(no log)"
    lines = config.daemon_log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])


def health(config: SandboxConfig) -> dict[str, Any]:
    """What the daemon says of itself.

    Raises:
        SandboxError: it does not answer.
    """
    if not (config.token_path.exists() and config.ca_pem.exists()):
        raise SandboxError(f"no sandbox was ever started in {config.home}")
    return ask_daemon("/_sandbox/health", config=config, timeout=10)


def deploy(config: SandboxConfig, folder: Path) -> int:
    """Run `xacct deploy` against the sandbox, as a person would; its exit code."""
    return subprocess.run(
        # A person's own .env in the folder would win over ours, and may name real accounts.
        [sys.executable, "-m", "xacct_assets.operations.cli", "--no-env-file", "deploy"],
        env=client_environment(config),
        cwd=folder,
        check=False,
    ).returncode


def client_environment(config: SandboxConfig) -> dict[str, str]:
    """Our environment, with everything about AWS replaced by the sandbox's `.env`."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**ours, **env_file.variables(config)}


# -- stopping ----------------------------------------------------------------------------------


def stop(config: SandboxConfig, say: Say) -> None:
    """End the daemon, everything it started, and the UI that the demo left running.

    Raises:
        SandboxError: something would not end.
    """
    _stop_ui(config, say)
    pid = daemon_pid(config)
    if pid is None:
        say("the daemon is not running")
    else:
        os.kill(pid, signal.SIGTERM)

        # A process that ends loses its command line a moment before its lock on the home.
        def gone() -> bool:
            return not _command_line(pid) and daemon_pid(config) is None

        if not _wait(gone, STOP_SECONDS):
            say(f"pid {pid} does not end by itself after {STOP_SECONDS:.0f} s; killing it")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not _wait(gone, 5):
            raise SandboxError(f"the daemon (pid {pid}) cannot be ended; see {config.daemon_log}")
        say(f"daemon stopped (pid {pid})")
    _end_left_over(config, say)


def _end_left_over(config: SandboxConfig, say: Say) -> None:
    """End what the daemon could not: after a kill, or a Spark that was just starting.

    Raises:
        SandboxError: something would not end.
    """
    # Children watch their parent and end by themselves; asked, they end sooner; then made to.
    for sign, seconds in ((None, 0.5), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for process, command in _left_over(config):
            if sign is signal.SIGKILL:
                say(f"killing what was left over: pid {process}, {command[:60]}")
            if sign is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, sign)
        if _wait(lambda: not list(_left_over(config)), seconds):
            return
    left = ", ".join(f"{pid}: {command[:60]}" for pid, command in _left_over(config))
    raise SandboxError(f"these processes of the sandbox cannot be ended: {left}")


def _stop_ui(config: SandboxConfig, say: Say) -> None:
    pid_file = config.home / "dagster-dev.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text(encoding="utf-8"))
    if "dagster" in _command_line(pid):
        os.killpg(pid, signal.SIGINT)
        if not _wait(lambda: not _command_line(pid), STOP_SECONDS):
            os.killpg(pid, signal.SIGKILL)
        say(f"Dagster UI stopped (pid {pid})")
    pid_file.unlink(missing_ok=True)


def _left_over(config: SandboxConfig) -> Iterator[tuple[int, str]]:
    """Processes that work on this home: our modules with its variable, or its data folders."""
    folders = (str(config.postgres_dir), str(config.spark_dir))
    variable = f"{HOME_VARIABLE}={config.home}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        command = _command_line(pid)
        if pid == os.getpid() or not command:
            continue
        ours = any(folder in command for folder in folders)
        if not ours and "xacct_sandbox." in command:
            try:
                ours = variable in (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # ended meanwhile, or not ours to look at
        if ours:
            yield pid, command


def _command_line(pid: int) -> str:
    """ "" for a process that is gone (a zombie has no command line either)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def wipe(config: SandboxConfig) -> None:
    """Remove the whole home. The sandbox must be down.

    Raises:
        SandboxError: it runs, or the folder is not a sandbox's.
    """
    if daemon_pid(config) is not None:
        raise SandboxError("the sandbox is running; `xacct-sandbox down` first")
    if not config.home.exists():
        return
    if not (config.token_path.exists() or config.sandbox_json.exists()):
        raise SandboxError(
            f"{config.home} holds no sandbox (no token, no sandbox.json): not removing it"
        )
    shutil.rmtree(config.home)


# -- looking -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Status:
    """What `xacct-sandbox status` shows."""

    running: bool
    home: str
    pid: int | None
    endpoint_url: str
    aws_port: int
    redshift_port: int
    ready: bool
    parts: dict[str, bool]
    problem: str | None
    stacks: list[dict[str, str]]
    bytes_on_disk: dict[str, int]
    faults: dict[str, int]


def status(config: SandboxConfig) -> Status:
    """The sandbox as it is now; never raises because it is down."""
    pid = daemon_pid(config)
    nothing: dict[str, Any] = {"ready": False, "parts": {}, "problem": None, "faults": {}}
    answer = nothing
    stacks: list[dict[str, str]] = []
    if pid is not None:
        try:
            answer = health(config)
            stacks = _stacks(config)
        except (SandboxError, ClientError, BotoCoreError) as problem:
            answer = {**nothing, "problem": str(problem)}
    return Status(
        running=pid is not None,
        home=str(config.home),
        pid=pid,
        endpoint_url=config.endpoint_url,
        aws_port=config.aws_port,
        redshift_port=config.redshift_port,
        ready=answer["ready"],
        parts=answer["parts"],
        problem=answer["problem"],
        stacks=stacks,
        bytes_on_disk={
            name: _size(config.home / name)
            for name in ("ministack", "postgres", "spark", "log")
            if (config.home / name).exists()
        },
        faults=answer["faults"],
    )


def session(config: SandboxConfig, profile: str) -> boto3.Session:
    """A boto3 session of one of the sandbox's users.

    Raises:
        SandboxError: the accounts were not vended yet.
    """
    parser = configparser.RawConfigParser()
    parser.read(config.aws_credentials_file, encoding="utf-8")
    if not parser.has_section(profile):
        raise SandboxError(
            f"{config.aws_credentials_file} has no profile {profile}; run `xacct-sandbox up`"
        )
    return boto3.Session(
        aws_access_key_id=parser[profile]["aws_access_key_id"],
        aws_secret_access_key=parser[profile]["aws_secret_access_key"],
        region_name=config.region,
    )


def client(config: SandboxConfig, profile: str, service: str) -> Any:
    """A boto3 client of the sandbox for one of its users."""
    return session(config, profile).client(
        service, endpoint_url=config.endpoint_url, verify=str(config.ca_bundle)
    )


def _stacks(config: SandboxConfig) -> list[dict[str, str]]:
    found = []
    for account, profile in (("A", "account-a-admin"), ("B", "account-b-admin")):
        pages = client(config, profile, "cloudformation").get_paginator("describe_stacks")
        for page in pages.paginate():
            found += [
                {"account": account, "name": stack["StackName"], "status": stack["StackStatus"]}
                for stack in page["Stacks"]
            ]
    return sorted(found, key=lambda stack: (stack["account"], stack["name"]))


def _size(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue  # written over while we looked
    return total
