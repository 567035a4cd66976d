"""`make bench BENCH=pipeline`: the reference's Airflow DAG and ours, side by side on one sandbox.

Parts can be named in BENCH_PARTS (comma list), to measure some of them anew; the others keep what
they measured last, and the section is written from all of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import pipeline_report, report, results, targets
from benchmarks.airflow import installation
from benchmarks.airflow.instance import AirflowFailed
from benchmarks.dagster_instance import DagsterFailed
from benchmarks.own_sandbox import Progress
from benchmarks.pipeline_rig import (
    DEFAULTS,
    FAST,
    MANY,
    MONTHS,
    OURS,
    ROWS_A_DAY,
    YEAR,
    Observed,
    Rig,
    rig,
)
from benchmarks.year_feed import FEED
from xacct_sandbox.sample_data import ProductFile

NAME = "pipeline"
FIXED_TIMES = "crawl=1,job=3,statement=0.1"
"""What the sandbox can keep for a day on an idle machine: short, so that orchestration shows."""
REPEATS = 5
DEFAULTS_REPEATS = 3
DEFAULTS_APART = 20.0
TRUE_REPEATS = 3
IDLE_SECONDS = 10.0
IMPORT_REPEATS = 5

Figures = dict[str, Any]


class WrongExport(Exception):
    """A system did not export what landed: its seconds are worth nothing."""


def main() -> int:
    """Measure, keep the figures, write the section."""
    say, parts = Progress(), _parts()
    programs, failed = installation.installed(say), []
    with rig(programs, say) as both:
        _warm_up(both)
        for name in parts:
            say(f"-- {name}: {PARTS[name].__doc__}")
            try:
                figures = {**PARTS[name](both), "circumstances": report.circumstances(PACKAGES)}
            except (AirflowFailed, DagsterFailed) as problem:
                # The other parts' minutes need not be lost.
                say(f"{name} FAILED: {problem}")
                failed.append(name)
                continue
            results.save(NAME, {**results.load(NAME), name: figures})
    if failed:
        say(f"the section is not written; measure again with BENCH_PARTS={','.join(failed)}")
        return 1
    known = results.load(NAME)
    if missing := [name for name in PARTS if name not in known]:
        say(f"the section is not written: {', '.join(missing)} was never measured")
        return 0
    text = pipeline_report.section(known, installation.versions(), say.seconds)
    report.write_section(NAME, text, at_top=True)
    targets.main()
    say(f"written to {report.REPORT}")
    return 0


def _parts() -> list[str]:
    wanted = os.environ.get("BENCH_PARTS", "")
    names = wanted.split(",") if wanted else list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        raise SystemExit(f"BENCH_PARTS: no part is called {unknown}; there are {', '.join(PARTS)}")
    return names


def _warm_up(both: Rig) -> None:
    """Each system's first run makes the table and fills caches; a wrong export ends it all."""
    both.fix_times("true")
    day = both.new_day()
    file = ProductFile(seed=1, day=day, rows=ROWS_A_DAY)
    both.one_day(FAST, day)
    # It takes a line break in a quoted field for the end of a row, so there are more.
    exported = both.rows_exported("reference", day)
    if exported <= ROWS_A_DAY:
        raise WrongExport(f"the reference exported {exported} of {ROWS_A_DAY} rows of {day}")
    both.say(f"the reference is warm; it exported {exported} rows of {day}, {ROWS_A_DAY} landed")
    both.one_day(OURS, day)
    exported = both.rows_exported(FEED, day)
    if exported != file.good_rows:
        raise WrongExport(f"we exported {exported} of {file.good_rows} good rows of {day}")
    both.say(f"ours is warm; it exported {exported} rows of {day}, the others are to be rejected")


def _summary(system: str, seen: Observed) -> str:
    return (
        f"{system}: {seen.wall:.1f} s, {seen.overhead:.1f} of them no service was at work; first "
        f"call after {seen.first_call:.2f} s; {seen.calls} calls, {seen.processor:.1f} CPU s"
        + (f", {seen.memory / 1e6:.0f} MB" if seen.memory else "")
    )


def idle(both: Rig) -> Figures:
    """Both systems with nothing to do."""
    figures: Figures = dict(both.idle(IDLE_SECONDS))
    for system in (OURS, FAST):
        both.say(f"{system}: {figures[system]['memory'] / 1e6:.0f} MB")
    figures["import"] = _import_seconds()
    both.say(f"the code location is imported in {statistics.median(figures['import']):.2f} s")
    return figures


def one_day(both: Rig) -> Figures:
    """A day, service times fixed, taking turns."""
    both.fix_times(FIXED_TIMES)
    seen = _in_turns(both, (FAST, OURS), REPEATS)
    # Looking at memory costs processor time, so it is done in a turn that is not timed.
    memory = {s: both.one_day(s, both.new_day(), memory=True).memory for s in (FAST, OURS)}
    return {
        "times": FIXED_TIMES,
        "runs": seen,
        "memory": memory,
        "overruns": dict(both.overruns()),
    }


def defaults(both: Rig) -> Figures:
    """A day of the reference with the provider's own intervals; several at once, since it waits."""
    both.fix_times(FIXED_TIMES)
    days = [both.new_day() for _ in range(DEFAULTS_REPEATS)]
    walls = both.staggered(DEFAULTS, days, DEFAULTS_APART)
    both.say(f"{DEFAULTS}: {', '.join(f'{wall:.1f}' for wall in walls)} s")
    return {"walls": walls}


def true_times(both: Rig) -> Figures:
    """A day, with the sandbox's true service times, taking turns."""
    both.fix_times("true")
    return {"runs": _in_turns(both, (FAST, OURS), TRUE_REPEATS)}


def month(both: Rig) -> Figures:
    """30 days: the reference as 30 DAG runs, ours as a range in a run, and as a backfill."""
    both.fix_times(FIXED_TIMES)
    ranges = []
    for days in MONTHS[:3]:
        ranges.append(both.range_run(days))
        both.say(_summary("ours, one run", ranges[-1]))
    both.one_day(MANY, both.new_day())
    reference = both.backfill(MANY, MONTHS[0])
    both.say(_summary(MANY, reference))
    backfill = both.backfill(OURS, MONTHS[3])
    both.say(_summary("ours, a backfill", backfill))
    return {
        "range": [seen.document() for seen in ranges],
        "reference": reference.document(),
        "backfill": backfill.document(),
        "overruns": dict(both.overruns()),
    }


def stock(both: Rig) -> Figures:
    """Ours on Dagster's default settings: a day, 30 days in one run, 30 days as a backfill."""
    both.fix_times(FIXED_TIMES)
    with both.stock() as ours:
        ours.one_day(OURS, ours.new_day())
        days = _in_turns(ours, (OURS,), REPEATS)[OURS]
        one_run = ours.range_run(MONTHS[4])
        both.say(_summary("ours on stock Dagster, one run", one_run))
        backfill = ours.backfill(OURS, MONTHS[5])
        both.say(_summary("ours on stock Dagster, a backfill", backfill))
    return {"runs": days, "range": one_run.document(), "backfill": backfill.document()}


def year(both: Rig) -> Figures:
    """365 days: ours as a backfill; the reference's are taken from its 30 days."""
    both.fix_times(FIXED_TIMES)
    seen = both.backfill(OURS, YEAR)
    both.say(_summary("ours", seen))
    return {"ours": seen.document(), "overruns": dict(both.overruns())}


def _in_turns(both: Rig, systems: tuple[str, ...], repeats: int) -> dict[str, list[Figures]]:
    seen: dict[str, list[Figures]] = {system: [] for system in systems}
    for _ in range(repeats):
        for system in systems:
            observed = both.one_day(system, both.new_day())
            both.say(_summary(system, observed))
            seen[system].append(observed.document())
    return seen


def _import_seconds() -> list[float]:
    code = (
        "import time; began = time.perf_counter(); import xacct_assets.definitions; "
        "print(time.perf_counter() - began)"
    )
    environment = {
        **os.environ,
        "XACCT_ACCOUNT_A": "111111111111",
        "XACCT_ACCOUNT_B": "222222222222",
        "XACCT_SUFFIX": "local",
        "AWS_REGION": "us-east-1",
    }
    return [
        float(
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                env=environment,
                cwd=Path(__file__).parent.parent,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(IMPORT_REPEATS)
    ]


PACKAGES = ("dagster", "boto3", "ministack", "pyspark")
PARTS: dict[str, Callable[[Rig], Figures]] = {
    "idle": idle,
    "one_day": one_day,
    "true_times": true_times,
    "month": month,
    "stock": stock,
    "defaults": defaults,
    "year": year,
}
