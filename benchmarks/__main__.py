"""`python -m benchmarks [name ...]`: run benchmarks, all of them without a name."""

from __future__ import annotations

import argparse
from importlib import import_module

#: Name on the command line: the module whose ``main()`` measures and writes its section, and what
#: it measures.
BENCHMARKS = {
    "copy": (
        "benchmarks.copy_speed",
        "COPY and UNLOAD beside PostgreSQL's own COPY, S3 requests, a small job in warm Spark, "
        "start-up (3 minutes)",
    ),
    "counting": (
        "benchmarks.counting",
        "counting the records of a file beside Python's csv module and pyarrow, and eight files "
        "at once (a minute)",
    ),
    "history": (
        "benchmarks.history",
        "the UI's queries, a sensor tick and loading beside a history of 1,000 days (5 minutes)",
    ),
    "load": (
        "benchmarks.load.speed",
        "the Glue job beside the simplest Spark job over the same files, and beside the "
        "reference's job, under both compilers of the JVM (an hour; BENCH_LOAD_ROWS, "
        "BENCH_LOAD_TURNS, BENCH_LOAD_JITS and BENCH_LOAD_CASES make it smaller)",
    ),
    "location": (
        "benchmarks.location",
        "loading the code location with one feed and with eleven (half a minute)",
    ),
    "pipeline": (
        "benchmarks.pipeline",
        "a day, 30 days and a year: Airflow's reference DAG and ours on one sandbox (20 minutes; "
        "installs Airflow into .xacct/bench the first time). BENCH_PARTS=one_day,month measures "
        "these parts anew and keeps the others' figures; parts: idle, one_day, true_times, month, "
        "stock, defaults, year",
    ),
    "scale": (
        "benchmarks.scale",
        "a day of 10 million rows and a day of 20,000 files through the whole pipeline, with the "
        "memory of each process (10 to 40 minutes; BENCH_ROWS and BENCH_FILES make it smaller)",
    ),
    "sensor": (
        "benchmarks.sensor_tick",
        "a tick of the arrival sensor beside up to a million objects (5 minutes)",
    ),
    "targets": (
        "benchmarks.targets",
        "nothing: writes the table of targets from what the others measured last",
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """The exit code of the first that fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Each benchmark rewrites its own section of docs/benchmarks.md.",
        epilog="\n\n".join(f"{name}: {text}." for name, (_, text) in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names = parser.parse_args(arguments).names
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark is called {', '.join(unknown)}; see --help")
    for name in names or BENCHMARKS:
        if code := import_module(BENCHMARKS[name][0]).main():
            return int(code)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
