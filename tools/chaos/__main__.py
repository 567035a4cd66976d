"""``python -m tools.chaos --seeds 40`` runs those of the seeds 1 to 40 that have no result yet.

It can be stopped at any time (Ctrl-C or a kill); the same command continues with the rest.
``--seed 7`` runs one seed, prints everything as it happens, and stores the result too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dagster._core.errors import DagsterExecutionInterruptedError

from tests.support.project import ROOT
from tools.chaos.report import report_of
from tools.chaos.schedule import schedule_of
from tools.chaos.seed import run_seed
from tools.chaos.state import State
from tools.chaos.worker import Stopped, deployed_sandbox, summary_line, work

REPORT = "report.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 if all seeds passed, 1 if one failed, 130 if it was stopped."""
    options = _options(arguments)
    for name in [name for name in os.environ if name.startswith(("AWS_", "XACCT_"))]:
        # No seed can reach the AWS account or installation that the shell is configured for.
        del os.environ[name]
    state = State(options.state.resolve())
    if options.worker is not None:
        try:
            work(options.worker, state, range(1, options.seeds + 1), _say)
        except (Stopped, DagsterExecutionInterruptedError):
            return 130
        return 0
    if options.report:
        return _report(state, options.seeds)
    if options.seed is not None:
        return _one(state, options.seed)
    return _many(state, options.seeds, options.workers)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="run seeds 1 to this")
    parser.add_argument("--seed", type=int, help="run one seed and print everything")
    parser.add_argument("--workers", type=int, default=2, help="number of sandboxes in parallel")
    parser.add_argument("--state", type=Path, default=ROOT / ".xacct" / "chaos")
    parser.add_argument(
        "--report", action="store_true", help="write the report without running anything"
    )
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _one(state: State, seed: int) -> int:
    began = time.monotonic()

    def echo(text: str) -> None:
        _say(f"{time.monotonic() - began:7.1f}  {text}")

    with deployed_sandbox(state.folder / "one" / "sandbox") as sandbox:
        result = run_seed(sandbox, schedule_of(seed), state.folder / "one" / "dagster", echo=echo)
    state.keep(seed, result.as_dict())
    _say(report_of({seed: result.as_dict()}))
    _say(summary_line(result))
    return 0 if result.ok else 1


def _many(state: State, seeds: int, workers: int) -> int:
    done = len([seed for seed in state.results() if seed <= seeds])
    _say(f"{done} of {seeds} seeds have a result; results are in {state.folder}")
    worker_count = max(1, min(workers, seeds - done))
    # A background process ignores SIGINT, and SIGTERM would leave the workers running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    command = [sys.executable, "-W", "ignore", "-m", "tools.chaos", "--seeds", str(seeds)]
    command += ["--state", str(state.folder)]
    processes = [
        subprocess.Popen([*command, "--worker", str(number)], cwd=ROOT)
        for number in range(worker_count)
    ]
    try:
        for process in processes:
            process.wait()
    except KeyboardInterrupt:
        _say("stopping; the same command continues from here")
        for process in processes:
            _stop(process)
        _report(state, seeds)
        return 130
    return _report(state, seeds)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM until the process ends: Dagster swallows an interrupt during a sensor tick."""
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def _report(state: State, seeds: int) -> int:
    results = {seed: result for seed, result in state.results().items() if seed <= seeds}
    text = report_of(results)
    (state.folder / REPORT).write_text(text, encoding="utf-8")
    _say(text)
    _say(f"{len(results)} of {seeds} seeds have a result; this report is {state.folder / REPORT}")
    passed = all(result["ok"] for result in results.values())
    return 0 if passed and len(results) == seeds else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
