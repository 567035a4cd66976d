"""What a process pays for loading the code location: for one feed and for eleven.

Every process of a Dagster instance loads it: the code server, each run, each `dg` command. The
floor is `import dagster`, which each pays too. Processor seconds, because they depend least on what
else the machine does; the least of several runs for the same reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import report, results
from benchmarks.own_sandbox import Progress

NAME = "location"
REPEATS = 7
FURTHER_FEEDS = 10
ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "tests" / "feeds" / "orders"
#: Prints processor seconds: of Dagster's import, of our modules', of the definitions.
SCRIPT = """
import json, time
seconds = [time.process_time()]
import dagster
seconds.append(time.process_time())
from xacct_assets.definitions import defs
seconds.append(time.process_time())
defs()
seconds.append(time.process_time())
print(json.dumps([after - before for before, after in zip(seconds, seconds[1:])]))
"""
SETTINGS = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "bench",
    "AWS_REGION": "us-east-1",
}


def main() -> int:
    """Measure, and write the section; half a minute."""
    say = Progress()
    with tempfile.TemporaryDirectory() as folder:
        write_feeds(Path(folder))
        one, eleven = measured({}), measured({"XACCT_EXTRA_FEEDS_DIR": folder})
    say(f"one feed {sum(one):.2f} s, {1 + FURTHER_FEEDS} feeds {sum(eleven):.2f} s of processor")
    results.save(NAME, {"loading_eleven_feeds": sum(eleven)})
    report.write_section(NAME, section(one, eleven))
    say(f"{report.REPORT.name} is written")
    return 0


def write_feeds(folder: Path) -> None:
    """Ten copies of a feed, each with names of its own."""
    for number in range(FURTHER_FEEDS):
        name = f"feed{number}"
        (folder / name).mkdir()
        for file in SAMPLE.iterdir():
            text = file.read_text(encoding="utf-8").replace("orders", name)
            (folder / name / file.name).write_text(text.replace("shop_db", f"{name}_db"))


def measured(extra: dict[str, str]) -> list[float]:
    """Seconds of each part, of the process that needed the fewest."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    runs = []
    for _ in range(REPEATS):
        printed = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT],
            env={**kept, **SETTINGS, **extra},
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        runs.append([float(seconds) for seconds in json.loads(printed)])
    return min(runs, key=sum)


def section(one: list[float], eleven: list[float]) -> str:
    """The text for docs/benchmarks.md."""
    parts = [
        "## Loading the code location (`make bench BENCH=location`)",
        report.circumstances(("dagster",)),
        f"Processor seconds of a new process, the least of {REPEATS}. Every process that loads the "
        "feeds pays the first row too.",
        report.table(
            ("", "1 feed", f"{1 + FURTHER_FEEDS} feeds"),
            [
                [name, f"{first:.2f}", f"{second:.2f}"]
                for name, first, second in (
                    ("`import dagster`", one[0], eleven[0]),
                    ("our modules", one[1], eleven[1]),
                    ("the feeds: their files, and Dagster's definitions", one[2], eleven[2]),
                    ("in all", sum(one), sum(eleven)),
                )
            ],
        ),
    ]
    return "\n\n".join(report.wrapped(part) for part in parts)
