"""The pipeline benchmark in one picture: docs/images/benchmark.png."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pipeline_rig import FAST, OURS

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "benchmark.png"
_REFERENCE, _OURS, _BUSY = "#9aa5b1", "#2f6f9f", "#d9dee4"


def draw(known: Mapping[str, Any]) -> None:
    """Write the picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
    runs, month = known["one_day"]["runs"], known["month"]

    def middle(system: str, name: str) -> float:
        return statistics.median(run[name] for run in runs[system])

    labels = ["Airflow", "ours"]
    day = axes[0]
    busy = [middle(system, "busy") for system in (FAST, OURS)]
    wall = [middle(system, "wall") for system in (FAST, OURS)]
    day.bar(labels, busy, color=_BUSY, label="services at work")
    over = [all_ - part for all_, part in zip(wall, busy, strict=True)]
    day.bar(labels, over, bottom=busy, color=[_REFERENCE, _OURS], label="overhead")
    slow = statistics.median(known["defaults"]["walls"])
    day.set_title(f"One day (s); with provider\ndefaults {slow:.0f} s")
    day.legend(fontsize=8, frameon=False)
    for position, value in enumerate(wall):
        day.text(position, value, f"{value:.1f}", ha="center", va="bottom", fontsize=9)

    def bars(axis: Any, title: str, reference: float, ours: float, digits: int) -> None:
        axis.bar(labels, [reference, ours], color=[_REFERENCE, _OURS])
        axis.set_title(title)
        for position, value in enumerate((reference, ours)):
            axis.text(position, value, f"{value:,.{digits}f}", ha="center", va="bottom", fontsize=9)

    ours = statistics.median(run["wall"] for run in month["range"])
    bars(axes[1], "30 days (s)", month["reference"]["wall"], ours, 1)
    calls = statistics.median(run["calls"] for run in month["range"])
    bars(axes[2], "AWS calls, 30 days", month["reference"]["calls"], calls, 0)
    memory = max(run["memory"] for run in month["range"]) / 1e6
    bars(axes[3], "Peak memory, 30 days (MB)", month["reference"]["memory"] / 1e6, memory, 0)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(y=0.12)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
    plt.close(figure)
