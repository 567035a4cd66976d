"""A day of many rows and a day of many files through the whole pipeline: how long, how much memory.

Each day goes the way a person's would: files land in account A's bucket, a run of all five assets
is launched in a running Dagster, `xacct reconcile` proves the result. While a run is under way, the
memory of every process is looked at. A day that does not get through is reported with the step at
which it stopped: that is a finding, not a failure of the benchmark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from benchmarks import dagster_instance, processes, report, results
from benchmarks.dagster_instance import Dagster, DagsterFailed
from benchmarks.own_sandbox import Progress, own_sandbox
from xacct_sandbox import landing
from xacct_sandbox.daemon import lifecycle, profiles
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.instance_lock import daemon_pid
from xacct_sandbox.sample_data import ProductFile

#: Of the day of many rows (about 1.4 GB of CSV), and in how many files they come.
ROWS = int(os.environ.get("BENCH_ROWS", "10000000"))
FILES_OF_ROWS = 8
#: Of the day of many files, and the rows in each.
FILES = int(os.environ.get("BENCH_FILES", "20000"))
ROWS_IN_A_FILE = 10
MANY_ROWS, MANY_FILES = date(2026, 3, 1), date(2026, 3, 2)
FEED = "products"
RUN_SECONDS = float(os.environ.get("BENCH_RUN_SECONDS", "1800"))
LIMIT = 1.5e9


@dataclass
class Day:
    """What became of one day."""

    name: str
    landed_seconds: float
    size: int
    run_seconds: float = 0.0
    stopped: str = ""
    reconciled: str = ""
    steps: dict[str, float] = field(default_factory=dict)
    peaks: processes.Peaks = field(default_factory=processes.Peaks)


def main() -> int:
    """Land, run, prove, write the section; ten to forty minutes."""
    say = Progress()
    with tempfile.TemporaryDirectory(prefix="xacct-bench-") as scratch, own_sandbox(say) as config:
        variables = {
            name: value
            for name, value in lifecycle.client_environment(config).items()
            if name.startswith(("AWS_", "XACCT_", "SSL_"))
        }
        with dagster_instance.running(Path(scratch) / "dagster", variables, say) as dagster:
            rig = Rig(config, dagster, say, variables)
            days = [
                rig.day(f"{ROWS:,} rows in {FILES_OF_ROWS} files", MANY_ROWS, rig.land_rows),
                rig.day(f"{FILES:,} files of {ROWS_IN_A_FILE} rows", MANY_FILES, rig.land_files),
            ]
    if not days[0].stopped and ROWS == 10_000_000:
        results.save("scale", {"largest_process_gb": max(days[0].peaks.rss.values()) / 1e9})
    report.write_section("scale", _section(days, say))
    say(f"{report.REPORT.name} is written")
    return 0


class Rig:
    """A deployed sandbox and a running Dagster."""

    def __init__(
        self, config: SandboxConfig, dagster: Dagster, say: Progress, variables: Mapping[str, str]
    ) -> None:
        self._config = config
        self._dagster = dagster
        self._say = say
        self._variables = variables

    def day(self, name: str, day: date, land: Callable[[date], int]) -> Day:
        began = time.monotonic()
        size = land(day)
        result = Day(name, time.monotonic() - began, size)
        self._say(f"{name}: {size / 1e6:.0f} MB landed in {result.landed_seconds:.0f} s")
        daemon = daemon_pid(self._config)
        assert daemon is not None
        roots = [daemon, *self._dagster.pids]
        began = time.monotonic()
        with processes.watched(lambda: roots, 1.0) as result.peaks:
            run_id = self._dagster.launch(FEED, day)
            try:
                self._dagster.wait(run_id, RUN_SECONDS)
            except DagsterFailed as problem:
                result.stopped = str(problem)
        result.run_seconds = time.monotonic() - began
        result.steps = self._dagster.steps(run_id)
        self._say(f"{name}: {result.stopped or f'through in {result.run_seconds:.0f} s'}")
        for kind, peak in _largest(result.peaks):
            self._say(f"  {kind}: {peak / 1e6:.0f} MB")
        result.reconciled = self._reconcile(day)
        self._say(f"  reconcile: {result.reconciled}")
        return result

    def _reconcile(self, day: date) -> str:
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "xacct_assets.operations.cli",
                    "--no-env-file",
                    "reconcile",
                ),
                *("--partition", str(day)),
            ],
            env={**os.environ, **self._variables},
            capture_output=True,
            text=True,
            check=False,
        )
        line = next((line for line in done.stdout.splitlines() if str(day) in line), done.stdout)
        return " ".join(line.split()) or done.stderr[-300:]

    def land_rows(self, day: date) -> int:
        landing.land_products(
            self._config, [day], ROWS, FILES_OF_ROWS, "products.csv", 1, self._say
        )
        return sum(len(c) for c in ProductFile(1, day, ROWS // 100).chunks()) * 100

    def land_files(self, day: date) -> int:
        s3 = profiles.client(self._config, "account-a-admin", "s3")

        def put(number: int) -> int:
            body = b"".join(ProductFile(1, day, ROWS_IN_A_FILE, number).chunks())
            key = f"{FEED}/{day:%Y/%m/%d}/products-{number:05d}.csv"
            s3.put_object(Bucket=self._config.input_bucket, Key=key, Body=body)
            if number % 2000 == 1999:
                self._say(f"  {number + 1:,} files landed")
            return len(body)

        with ThreadPoolExecutor(4) as threads:
            return sum(threads.map(put, range(FILES)))


def _largest(peaks: processes.Peaks, count: int = 8) -> list[tuple[str, int]]:
    return sorted(peaks.rss.items(), key=lambda item: -item[1])[:count]


def _section(days: list[Day], say: Progress) -> str:
    parts = [
        "## A day of many rows, a day of many files (`make bench BENCH=scale`)",
        f"{report.circumstances(('dagster', 'pyspark', 'ministack', 'pyarrow'))} The whole "
        f"benchmark took {say.seconds:.0f} s.",
        "Files land, a run of all five assets is launched in a running `dagster dev`, and `xacct "
        "reconcile` verifies the day. Memory is the peak of each kind of process, sampled every "
        "second from launch to end. RSS counts shared pages (PostgreSQL's buffers) for every "
        "process that touched them; PSS divides them among these processes.",
    ]
    for day in days:
        over = [kind for kind, peak in day.peaks.rss.items() if peak > LIMIT]
        parts += [
            f"### {day.name}",
            f"{day.size / 1e6:,.0f} MB, landed in {day.landed_seconds:.0f} s. "
            + (
                f"**It did not get through**: {day.stopped}. "
                if day.stopped
                else f"Through in {day.run_seconds:.0f} s. "
            )
            + f"Reconcile: `{day.reconciled}`. "
            + (
                f"Over {LIMIT / 1e9} GB: {', '.join(over)}."
                if over
                else f"No process was over {LIMIT / 1e9} GB."
            ),
            report.table(
                ("step", "seconds"),
                [[name, f"{seconds:.1f}"] for name, seconds in day.steps.items()],
            ),
            report.table(
                ("process", "peak RSS (MB)", "peak PSS (MB)"),
                [
                    [kind, f"{rss / 1e6:.0f}", f"{day.peaks.pss[kind] / 1e6:.0f}"]
                    for kind, rss in _largest(day.peaks)
                ],
            ),
        ]
    return "\n\n".join(report.wrapped(part) for part in parts)
