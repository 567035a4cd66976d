"""A worker: runs seeds in its own sandbox."""

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
from tests.support.sandbox import RunningSandbox, free_aws_port, free_wire_port
from tools.chaos.schedule import schedule_of
from tools.chaos.seed import Result, accounts_for, run_seed
from tools.chaos.state import State
from xacct_sandbox.daemon.config import SandboxConfig

# A sandbox is replaced after this many seeds: its growing S3 and histories make it slower.
SEEDS_PER_SANDBOX = 12
STOPS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The worker was asked to stop."""


@contextmanager
def deployed_sandbox(folder: Path) -> Iterator[RunningSandbox]:
    """A sandbox in this folder with both feeds deployed; stopped and reset afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    config = SandboxConfig(
        home=folder / "home", aws_port=free_aws_port(), redshift_port=free_wire_port()
    )
    sandbox = RunningSandbox(
        config, folder, extra_settings={"XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR)}
    )
    _command(sandbox, "xacct_sandbox.cli", "down")
    if config.token_path.exists():
        # Left by a worker that was killed.
        _command(sandbox, "xacct_sandbox.cli", "reset", "--yes")
    try:
        _command(sandbox, "xacct_sandbox.cli", "up", "--no-deploy")
        _command(sandbox, "xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes")
        yield sandbox
    finally:
        _command(sandbox, "xacct_sandbox.cli", "down")
        _command(sandbox, "xacct_sandbox.cli", "reset", "--yes")


def _command(sandbox: RunningSandbox, *command: str) -> None:
    completed = sandbox.run(*command, check=False)
    if completed.returncode:
        raise subprocess.CalledProcessError(
            completed.returncode,
            command,
            completed.stdout,
            f"{completed.stdout}\n{completed.stderr}",
        )


def work(number: int, state: State, seeds: Sequence[int], say: Callable[[str], None]) -> None:
    """Run seeds that no other worker runs, until none is left.

    Args:
        number: number of this worker, used in the name of its folder.
        state: results and claims.
        seeds: the seeds to run.
        say: called with a summary of each seed.

    Raises:
        Stopped: by SIGINT or SIGTERM, or because the parent process is gone.
    """
    _stop_on_signals()
    # The results of the sensors' ticks are in the timeline.
    logging.disable(logging.CRITICAL)
    parent = os.getppid()
    folder = state.folder / f"worker-{number}"
    seed = state.claim(seeds)
    while seed is not None:
        with deployed_sandbox(folder / "sandbox") as sandbox:
            for _ in range(SEEDS_PER_SANDBOX):
                if os.getppid() != parent:
                    # A parent that was killed could not stop its workers.
                    raise Stopped
                schedule = schedule_of(seed)
                accounts_for(sandbox, schedule).forget_crawls()
                with (folder / f"seed-{seed}.log").open("w", encoding="utf-8") as log:
                    result = run_seed(sandbox, schedule, folder / "dagster", echo=_into(log))
                state.keep(seed, result.as_dict())
                say(summary_line(result))
                seed = state.claim(seeds)
                if seed is None:
                    break


def _into(log: TextIO) -> Callable[[str], None]:
    """A function that writes timeline entries to a log at once."""

    def write(text: str) -> None:
        log.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
        log.flush()

    return write


def summary_line(result: Result) -> str:
    """The result of a seed in one line."""
    kinds = sorted({problem["kind"] for problem in result.problems})
    verdict = "ok" if result.ok else f"FAILED: {', '.join(kinds)}"
    return (
        f"seed {result.seed}: {verdict} ({len(result.faults)} faults, {result.runs} runs, "
        f"{result.seconds:.0f} s)"
    )


def _stop_on_signals() -> None:
    def stop(number: int, frame: object) -> None:
        for one in STOPS:
            # The shutdown must not be interrupted by a second signal.
            signal.signal(one, signal.SIG_IGN)
        raise Stopped

    # Both signals: while Dagster evaluates a sensor, SIGTERM has the handler of SIGINT.
    for one in STOPS:
        signal.signal(one, stop)
