"""docs/benchmarks.md: a section per benchmark, each rewritten by its own run alone."""

from __future__ import annotations

import os
import platform
import statistics
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

REPORT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

`make bench` writes this file. `make bench BENCH=<name>` rewrites one section. Seconds are medians,
with the minimum and the maximum in brackets. Counts are exact.
"""


def write_section(name: str, text: str, *, at_top: bool = False) -> None:
    """Put the benchmark's section where its last one was; a new one at the end, or before all."""
    begin, end = f"<!-- {name}: written by its benchmark -->", f"<!-- end of {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    whole = REPORT.read_text(encoding="utf-8") if REPORT.exists() else _HEAD
    if begin in whole:
        before, _, rest = whole.partition(begin)
        if end not in rest:
            raise ValueError(f"{REPORT} has {begin!r} without {end!r}: delete that section")
        whole = before + section + rest.partition(end)[2]
    elif at_top and "<!-- " in whole:
        head, first, rest = whole.partition("<!-- ")
        whole = f"{head}{section}\n\n{first}{rest}"
    else:
        whole = f"{whole.rstrip()}\n\n{section}\n"
    REPORT.write_text(whole, encoding="utf-8")


def circumstances(packages: Sequence[str]) -> str:
    """When, on what machine, how busy, and with which versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = " / ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, load {load} at the end (1, 5 "
        f"and 15 minutes). Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    # platform.processor() is empty on most Linux systems.
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns after the first are right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 100 characters; tables and headings as they are."""
    return text if text.startswith(("|", "#")) else textwrap.fill(text, 100)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median, and the ends."""
    middle, least, most = (
        f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({least}–{most})"
