"""What benchmarks measured, kept between runs: a file of JSON for each.

So a benchmark of several parts can be taken up where it was left, and the table of targets can be
written from all of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parent.parent / ".xacct" / "bench" / "results"


def load(name: str) -> dict[str, Any]:
    """What is known; empty if nothing is."""
    path = PLACE / f"{name}.json"
    if not path.exists():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")))


def save(name: str, figures: dict[str, Any]) -> None:
    """Replace what is known."""
    PLACE.mkdir(parents=True, exist_ok=True)
    fresh = PLACE / f"{name}.json.new"
    fresh.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    fresh.replace(PLACE / f"{name}.json")
