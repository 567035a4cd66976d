"""Where rejected rows are stored, and the manifest that says how many a day has.

Layout: ``rejects/<feed>/YYYY/MM/DD/manifest.json`` in the processing bucket (written after the load
has committed, also for a day without rejects), with ``<load_id>/part-*.json.gz`` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

MANIFEST = "manifest.json"


def feed_prefix(feed: str) -> str:
    """Key prefix of all rejects of a feed, with a slash at its end."""
    return f"rejects/{feed}/"


def day_rejects(prefix: str, day: date) -> str:
    """Key prefix (or URI) of a day's rejects of every load, below the feed's."""
    return f"{prefix}{day:%Y/%m/%d}/"


@dataclass(frozen=True)
class RejectManifest:
    """A day's rejected rows.

    Attributes:
        load_id: the load that rejected them.
        reasons: kind of reason -> rows.
        files: (key, rows) of each file.
    """

    feed: str
    day: date
    load_id: str
    rejected_rows: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    files: list[tuple[str, int]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain data."""
        return {
            "feed": self.feed,
            "day": self.day.isoformat(),
            "load_id": self.load_id,
            "rejected_rows": self.rejected_rows,
            "reasons": dict(self.reasons),
            "files": [{"key": key, "rows": rows} for key, rows in self.files],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RejectManifest:
        """Read what `to_json` made.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is something else.
        """
        return cls(
            feed=str(data["feed"]),
            day=date.fromisoformat(data["day"]),
            load_id=str(data["load_id"]),
            rejected_rows=int(data["rejected_rows"]),
            reasons={str(kind): int(count) for kind, count in data["reasons"].items()},
            files=[(str(file["key"]), int(file["rows"])) for file in data["files"]],
        )
