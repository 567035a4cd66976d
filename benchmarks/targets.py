"""What the project set out to show, held against what benchmarks measured last.

`make bench BENCH=targets` writes the table anew without measuring anything.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks import pipeline_report as figures
from benchmarks import report, results
from benchmarks.pipeline_report import Figures
from benchmarks.pipeline_rig import FAST, OURS

NAME = "targets"
#: Figures of other benchmarks: the claim, how it is measured, and whether it is met.
_OTHERS = {
    "copy_ratio": (
        "COPY of CSV at least 0.70 of PostgreSQL's own COPY",
        lambda found: found >= 0.7,
    ),
    "unload_ratio": (
        "UNLOAD of CSV at least 0.70 of PostgreSQL's own COPY",
        lambda found: found >= 0.7,
    ),
    "loading_eleven_feeds": (
        "eleven feeds load in under 1.5 s of processor",
        lambda found: found < 1.5,
    ),
    "largest_process_gb": (
        "10 million rows end to end without any process over 1.5 GB",
        lambda found: found <= 1.5,
    ),
}
_MEASURED_BY = ("copy", "location", "scale")
_LOOKS = (
    *("glue GetCrawler", "glue ListCrawls", "glue GetJobRun", "glue GetJobRuns"),
    "redshift-data DescribeStatement",
)


def main() -> int:
    """Write the table."""
    report.write_section(
        NAME,
        table(
            results.load("pipeline"),
            {name: figure for of in _MEASURED_BY for name, figure in results.load(of).items()},
        ),
        at_top=True,
    )
    return 0


def table(pipeline: Figures, others: Figures) -> str:
    """The section; a figure that there is none of is said to be missing."""
    rows = [
        [claim, measured, "yes" if met else "**no**"]
        for claim, measured, met in (judged(pipeline) if pipeline else [])
    ]
    for name, (claim, is_met) in _OTHERS.items():
        if name in others:
            met = "yes" if is_met(others[name]) else "**no**"
            rows.append([claim, f"{others[name]:.2f}", met])
        else:
            rows.append([claim, "not measured yet", ""])
    return "\n\n".join(
        [
            "## Targets",
            "Medians of the sections below.",
            report.table(("target", "measured", "met"), rows),
        ]
    )


def looks(runs: Sequence[Figures]) -> float:
    """The median number of calls of a run that only ask how far a service is."""
    return statistics.median(
        sum(run["by_operation"].get(name, 0) for name in _LOOKS) for run in runs
    )


def judged(known: Figures) -> list[tuple[str, str, bool]]:
    """(target, what was measured, whether it is met), computed from the figures."""
    fixed = known["one_day"]["runs"]
    ours, fast = fixed[OURS], fixed[FAST]
    month, year = known["month"], known["year"]["ours"]
    scale = figures.DAYS_OF_YEAR / figures.DAYS_OF_MONTH
    range_wall = figures.middle(month["range"], "wall")
    dollars = figures.year_dollars(known)
    memory = [
        max(
            known["one_day"]["memory"][OURS],
            year["memory"],
            *(run["memory"] for run in [*month["range"], month["backfill"]]),
        ),
        max(known["one_day"]["memory"][FAST], month["reference"]["memory"]),
    ]
    true = known["true_times"]["runs"]
    return [
        _at_most(
            "one day: wall at most 0.50 of Airflow's at its fastest polling",
            figures.ratio(figures.values(ours, "wall"), figures.values(fast, "wall")),
            0.50,
        ),
        _at_most(
            "the same with real service durations",
            figures.ratio(figures.values(true[OURS], "wall"), figures.values(true[FAST], "wall")),
            0.50,
        ),
        _at_most(
            "one day: wall at most 0.10 of Airflow's with provider defaults",
            figures.ratio(figures.values(ours, "wall"), known["defaults"]["walls"]),
            0.10,
            digits=3,
        ),
        _at_most("one day: overhead at most 3.0 s", figures.middle(ours, "overhead"), 3.0, " s"),
        _at_most(
            "one day: request to first AWS call at most 2.0 s",
            figures.middle(ours, "first_call"),
            2.0,
            " s",
        ),
        _at_most(
            "end of a service detected within 5 % of its duration or 0.5 s (share of that)",
            figures.detection_share(ours),
            1.0,
        ),
        (
            "fewer polls of services than the reference at its fastest",
            f"{looks(ours):.0f} to {looks(fast):.0f}",
            looks(ours) < looks(fast),
        ),
        _at_most("one day: at most 16 AWS calls", figures.middle(ours, "calls"), 16, digits=0),
        _at_most(
            "30 days: at most 60 AWS calls", figures.middle(month["range"], "calls"), 60, digits=0
        ),
        _at_most(
            "30 days: wall at most 0.15 of the reference's",
            range_wall / month["reference"]["wall"],
            0.15,
        ),
        _at_most(
            "365 days: Glue cost at most 0.03 of the reference's",
            dollars[1] / dollars[0],
            0.03,
            digits=3,
        ),
        _at_most(
            "365 days: AWS calls at most 0.05 of the reference's",
            year["calls"] / (month["reference"]["calls"] * scale),
            0.05,
            digits=3,
        ),
        _at_most("peak memory at most 0.40 of the reference's", memory[0] / memory[1], 0.40),
        _at_most(
            "code location imported in under 1.2 s",
            statistics.median(known["idle"]["import"]),
            1.2,
            " s",
        ),
    ]


def _at_most(
    claim: str, measured: float, most: float, unit: str = "", digits: int = 2
) -> tuple[str, str, bool]:
    return claim, f"{measured:.{digits}f}{unit}", measured <= most
