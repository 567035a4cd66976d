"""Counts of files and rows by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from xacct_assets.contract.load_report import DayLoad, LoadReport


@dataclass
class DayCounts:
    """Files and rows of one day.

    Attributes:
        reasons: counts the rejected rows by kind.
        problem: why the day is not loaded at all: a file of it cannot be. Rows are not counted
            then.
    """

    files: int = 0
    loaded: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    problem: str | None = None

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())


@dataclass
class LoadCounts:
    """Files and rows of all requested days."""

    days: dict[date, DayCounts]

    @property
    def loaded(self) -> int:
        return sum(day.loaded for day in self.days.values())

    @property
    def rejected(self) -> int:
        return sum(day.rejected for day in self.days.values())

    def report(
        self, load_id: str, samples: Mapping[date, Sequence[Mapping[str, str]]]
    ) -> LoadReport:
        """The report for the orchestrator.

        Args:
            load_id: of the request.
            samples: a few rejected rows of each day that was loaded.
        """
        return LoadReport(
            load_id,
            {
                day: DayLoad(
                    files=counts.files,
                    rows_read=counts.loaded + counts.rejected,
                    rows_loaded=counts.loaded,
                    rows_rejected=counts.rejected,
                    reasons=counts.reasons,
                    sample=samples.get(day, ()),
                    problem=counts.problem,
                )
                for day, counts in self.days.items()
            },
        )
