"""What the Glue job costs beside the simplest Spark job, and beside the reference's job.

All three read the same files in the same warm Spark and take turns, so that noise is of all. The
compiler of the JVM matters: the sandbox uses C1 only, which suits small loads; on AWS the default
compiles hot code further.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import report, results
from benchmarks.load.files import PRODUCTS, WIDE, Rows
from benchmarks.load.rig import FLOOR, OURS, REFERENCES, Cost, Rig
from benchmarks.own_sandbox import Progress, own_sandbox

NAME = "load"
#: Rows of products; of the wide feed a fifth.
ROWS = int(os.environ.get("BENCH_LOAD_ROWS", "1000000"))
TURNS = int(os.environ.get("BENCH_LOAD_TURNS", "3"))
JITS = tuple(os.environ.get("BENCH_LOAD_JITS", "default,c1").split(","))
#: A part of the names of the cases that are measured.
CASES = os.environ.get("BENCH_LOAD_CASES", "")
CORES = "one core and two"
_JIT_NAMES = {"default": "default", "c1": "C1"}


@dataclass(frozen=True)
class Measured:
    """A case under one compiler."""

    jit: str
    name: str
    rows: Rows
    size: int
    costs: dict[str, Cost]

    def ratio(self, program: str, other: str, what: str = "processor") -> float:
        """The median of the turns' ratios."""
        one, two = (getattr(self.costs[name], what) for name in (program, other))
        return median(a / b for a, b in zip(one, two, strict=True))


def cases() -> dict[str, Rows]:
    """What is measured."""
    wide = ROWS // 5
    found = {
        "9 columns, 8 files, no rejects": Rows(PRODUCTS, ROWS, 8, 0),
        "9 columns, 8 files, 0.5 % rejects": Rows(PRODUCTS, ROWS, 8),
        "9 columns, 8 files, 5 % rejects": Rows(PRODUCTS, ROWS, 8, 20),
        "9 columns, 1 file, 0.5 % rejects": Rows(PRODUCTS, ROWS, 1),
        "9 columns, 8 files with line breaks, 0.5 % rejects": Rows(PRODUCTS, ROWS, 8, breaks=True),
        "46 columns, 8 files, 0.5 % rejects": Rows(WIDE, wide, 8),
    }
    return {name: rows for name, rows in found.items() if CASES in name}


def main() -> int:
    """Measure, write the section; an hour with both compilers."""
    say = Progress()
    measured: list[Measured] = []
    cores: dict[str, tuple[list[float], list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="xacct-bench-") as scratch:
        for jit in JITS:
            settings = {"XACCT_SANDBOX_SPARK_JIT": jit, "XACCT_SANDBOX_SPARK_WORKERS": "1"}
            with own_sandbox(say, settings) as config:
                rig = Rig(config)
                for name, rows in cases().items():
                    with rig.landed(rows, Path(scratch)) as case:
                        found = Measured(jit, name, rows, case.size, case.measure(TURNS))
                        measured.append(found)
                        say(f"{jit}: {name}: {found.ratio(OURS, FLOOR):.2f} of the floor")
                if jit == "default" and CASES in CORES:
                    cores = _on_one_core_and_two(rig, Path(scratch))
    results.save(NAME, {"ratios": {f"{m.jit}, {m.name}": m.ratio(OURS, FLOOR) for m in measured}})
    report.write_section(NAME, _section(measured, cores, say))
    say(f"{report.REPORT.name} is written")
    return 0


def _on_one_core_and_two(rig: Rig, scratch: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds of our job over one large file, on one core and on all."""
    found = {}
    for name, breaks in (("without line breaks in texts", False), ("with line breaks", True)):
        with rig.landed(Rows(PRODUCTS, ROWS, 1, breaks=breaks), scratch) as case:
            rig.run(OURS, case)
            one: list[float] = []
            every: list[float] = []
            for _ in range(TURNS):
                with rig.on_one_core():
                    one.append(rig.run(OURS, case)[0])
                every.append(rig.run(OURS, case)[0])
            found[f"{case.size / 1e6:.0f} MB {name}"] = (one, every)
    return found


def _section(
    measured: Sequence[Measured],
    cores: dict[str, tuple[list[float], list[float]]],
    say: Progress,
) -> str:
    parts = [
        "## The load job beside the simplest Spark job (`make bench BENCH=load`)",
        f"{report.circumstances(('pyspark', 'ministack'))} {TURNS} turns of each after a "
        f"rehearsal; the whole benchmark took {say.seconds:.0f} s.",
        f"{ROWS:,} rows of products (9 columns), or {ROWS // 5:,} rows of 46 columns of all types. "
        "Floor: Spark reads the files with a typed schema and writes them as CSV GZIP; it verifies "
        "nothing. Reference: `from_catalog`, all columns cast, written to Redshift "
        "(`benchmarks/airflow/reference_load.py`). Ours is the deployed job, with its load request "
        "as the pipeline sends it. All three run in the same warm Spark with two cores, turn by "
        "turn. Processor seconds are those of the Spark worker, Python and JVM (COPY is "
        "Redshift's); ratios are medians over the turns. The reference reads line by line: where "
        "texts have line breaks it loads broken rows. On AWS the JVM has its default "
        "compilers; the sandbox uses C1 only.",
    ]
    for jit in dict.fromkeys(found.jit for found in measured):
        parts += [
            f"### JIT: {_JIT_NAMES[jit]}",
            report.table(
                (
                    *("case", "floor, CPU (s)", "reference, CPU (s)", "ours, CPU (s)"),
                    *("ours / floor", "ours / reference", "ours, µs a row", "ours, wall (s)"),
                ),
                [_row(found) for found in measured if found.jit == jit],
            ),
        ]
    if cores:
        parts += [
            "### One large file, on one core and on two",
            "Our job, JIT: default. A file whose texts have no line breaks is read in parts, by "
            "all cores. One with line breaks is read by one task: where a record begins is known "
            "only to who has read the file from its beginning.",
            report.table(
                ("file", "one core (s)", "two cores (s)", "ratio"),
                [
                    [
                        *(name, report.spread(one, 1), report.spread(two, 1)),
                        f"{median(b / a for a, b in zip(one, two, strict=True)):.2f}",
                    ]
                    for name, (one, two) in cores.items()
                ],
            ),
        ]
    return "\n\n".join(report.wrapped(part) for part in parts)


def _row(found: Measured) -> list[str]:
    ours = found.costs[OURS]
    return [
        found.name,
        *(
            report.spread(found.costs[program].processor, 1)
            for program in (FLOOR, REFERENCES, OURS)
        ),
        f"{found.ratio(OURS, FLOOR):.2f}",
        f"{found.ratio(OURS, REFERENCES):.2f}",
        f"{median(ours.processor) / found.rows.rows * 1e6:.1f}",
        report.spread(ours.wall, 1),
    ]
