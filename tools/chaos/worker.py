"""A worker: a sandbox of its own, in which it runs seed after seed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from tests.support.project import EXTRA_FEEDS_DIR
from tests.support.sandbox import RunningSandbox, free_port, free_wire_port
from tools.chaos.schedule import schedule_of
from tools.chaos.seed import Result, run_seed, world_of
from tools.chaos.state import State
from xacct_sandbox.daemon.config import SandboxConfig

# A sandbox is made anew after so many seeds: its S3 and histories grow, and get slower.
SEEDS_PER_SANDBOX = 12


STOPS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Somebody asked for the end."""


@contextmanager
def deployed_sandbox(folder: Path) -> Iterator[RunningSandbox]:
    """A sandbox in this folder with both feeds deployed and Spark warm; ended and wiped after."""
    folder.mkdir(parents=True, exist_ok=True)
    config = SandboxConfig(
        home=folder / "home", aws_port=free_port(), redshift_port=free_wire_port()
    )
    sandbox = RunningSandbox(
        config, folder, extra_settings={"XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR)}
    )
    _command(sandbox, "xacct_sandbox.cli", "down")
    if config.token_path.exists():
        # What a worker that was killed has left.
        _command(sandbox, "xacct_sandbox.cli", "reset", "--yes")
    try:
        _command(sandbox, "xacct_sandbox.cli", "up", "--no-deploy")
        _command(sandbox, "xacct_assets.operations.cli", "--no-env-file", "deploy")
        yield sandbox
    finally:
        _command(sandbox, "xacct_sandbox.cli", "down")
        _command(sandbox, "xacct_sandbox.cli", "reset", "--yes")


def _command(sandbox: RunningSandbox, *command: str) -> None:
    done = sandbox.run(*command, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(
            done.returncode, command, done.stdout, f"{done.stdout}\n{done.stderr}"
        )


def work(number: int, state: State, seeds: Sequence[int], say: Callable[[str], None]) -> None:
    """Run the seeds that nobody else runs, until none is left or SIGTERM.

    Args:
        number: of this worker; it names its folder.
        say: told of each seed.
    """
    _stop_on_signals()
    # What sensors say in their ticks is in the timeline.
    logging.disable(logging.CRITICAL)
    parent = os.getppid()
    folder = state.folder / f"worker-{number}"
    seed = state.claim(seeds)
    while seed is not None:
        with deployed_sandbox(folder / "sandbox") as sandbox:
            for _ in range(SEEDS_PER_SANDBOX):
                if os.getppid() != parent:
                    # Killed, it could not tell us.
                    raise Stopped
                schedule = schedule_of(seed)
                world_of(sandbox, schedule).forget_crawls()
                with (folder / f"seed-{seed}.log").open("w", encoding="utf-8") as log:
                    result = run_seed(sandbox, schedule, folder / "dagster", echo=_into(log))
                state.keep(seed, result.as_dict())
                say(in_a_line(result))
                seed = state.claim(seeds)
                if seed is None:
                    break


def _into(log: TextIO) -> Callable[[str], None]:
    """Says everything as it happens, for who looks at a seed while it runs."""

    def write(text: str) -> None:
        log.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
        log.flush()

    return write


def in_a_line(result: Result) -> str:
    """What came of a seed."""
    kinds = sorted({problem["kind"] for problem in result.problems})
    verdict = "ok" if result.ok else f"FAILED: {', '.join(kinds)}"
    return (
        f"seed {result.seed}: {verdict} ({len(result.faults)} faults, {result.runs} runs, "
        f"{result.seconds:.0f} s)"
    )


def _stop_on_signals() -> None:
    def stop(number: int, frame: object) -> None:
        for one in STOPS:
            # What is under way to the end is not to be stopped again.
            signal.signal(one, signal.SIG_IGN)
        raise Stopped

    # Both: Dagster, while it evaluates a sensor, gives SIGTERM the handler of SIGINT.
    for one in STOPS:
        signal.signal(one, stop)
