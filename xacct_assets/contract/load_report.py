"""The load report: what one run of the Glue job did, for every day.

It travels back as a custom message of Dagster Pipes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

_SAMPLE_FIELDS = ("source_file", "reason", "raw_record")


@dataclass(frozen=True)
class DayLoad:
    """What the job did for one day; counts of files and rows.

    Attributes:
        reasons: kind of reason -> rejected rows.
        sample: a few rejected rows: source_file, reason, raw_record (its beginning).
        rows_counted: rows that the job counted itself, apart from reading them; None if the request
            said how many there are.
        problem: why the job left the day as it was: a file of it cannot be loaded; None if it did
            not.
    """

    files: int
    rows_read: int
    rows_loaded: int
    rows_rejected: int
    reasons: Mapping[str, int]
    sample: Sequence[Mapping[str, str]] = ()
    rows_counted: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class LoadReport:
    """What the job did for each day of a load request."""

    load_id: str
    days: Mapping[date, DayLoad]

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "load_id": self.load_id,
            "days": {
                day.isoformat(): {
                    "files": load.files,
                    "rows_read": load.rows_read,
                    "rows_loaded": load.rows_loaded,
                    "rows_rejected": load.rows_rejected,
                    "reasons": dict(load.reasons),
                    "sample": [dict(row) for row in load.sample],
                    **({} if load.rows_counted is None else {"rows_counted": load.rows_counted}),
                    **({} if load.problem is None else {"problem": load.problem}),
                }
                for day, load in self.days.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LoadReport:
        """Read what `to_json` made, on the other side."""
        return cls(
            load_id=str(data["load_id"]),
            days={
                date.fromisoformat(day): DayLoad(
                    files=int(counts["files"]),
                    rows_read=int(counts["rows_read"]),
                    rows_loaded=int(counts["rows_loaded"]),
                    rows_rejected=int(counts["rows_rejected"]),
                    reasons={str(kind): int(count) for kind, count in counts["reasons"].items()},
                    sample=[
                        {name: str(row[name]) for name in _SAMPLE_FIELDS}
                        for row in counts.get("sample", ())
                    ],
                    rows_counted=counts.get("rows_counted"),
                    problem=counts.get("problem"),
                )
                for day, counts in data["days"].items()
            },
        )

    @classmethod
    def find(cls, messages: Sequence[object], load_id: str) -> LoadReport | None:
        """The last report of this load among the custom messages of a job run, if there is one."""
        reports = [
            message
            for message in messages
            if isinstance(message, dict) and message.get("load_id") == load_id and "days" in message
        ]
        return cls.from_json(reports[-1]) if reports else None
