"""Counts of files and rows by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xacct_assets.contract.load_report import DayLoad, LoadReport
from xacct_assets.contract.load_request import LoadRequest
from xacct_load.errors import LoadError
from xacct_load.records import SURPLUS_FIELDS
from xacct_load.source_files import SourceFile
from xacct_load.validation import NO_TEXT, OTHER_HEADER

#: Characters of a record in an error message.
SHOWN_CHARACTERS = 200


@dataclass
class DayCounts:
    """Files and rows of one day; ``reasons`` counts the rejected rows by kind."""

    files: int = 0
    loaded: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

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
            samples: a few rejected rows of each day.
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
                    sample=samples[day],
                )
                for day, counts in self.days.items()
            },
        )


def count_rows(rows: DataFrame, request: LoadRequest, files: Sequence[SourceFile]) -> LoadCounts:
    """Count good and rejected rows by day and kind. Fills the cache of ``rows``.

    Raises:
        LoadError: rows come from a file outside the partitions' locations, or follow a second
            header in another order, so that their fields cannot be told; or the text of a record is
            not known.
    """
    counts = LoadCounts({item.day: DayCounts() for item in request.days})
    for file in files:
        counts.days[file.day].files += 1
    by_kind = rows.groupBy("day", F.col("problem.kind").alias("kind")).count()
    for row in by_kind.orderBy("day", "kind").collect():
        if row["day"] is None:
            raise LoadError(
                f"{row['count']} rows were read from files outside the partitions' locations; "
                "an object key may be written in a way this script does not expect"
            )
        day = counts.days[date.fromisoformat(row["day"])]
        if row["kind"] is None:
            day.loaded = row["count"]
        else:
            day.reasons[row["kind"]] = row["count"]
            if row["kind"] in (OTHER_HEADER, NO_TEXT):
                raise _unloadable(rows, row["kind"], len(request.columns))
    return counts


def _unloadable(rows: DataFrame, kind: str, columns: int) -> LoadError:
    """The error for a file with a row of a kind that stops the load."""
    (row,) = rows.where(F.col("problem.kind") == kind).limit(1).collect()
    if kind == NO_TEXT:
        return LoadError(
            f"{row['source_file']}: holds a record of {columns + SURPLUS_FIELDS} fields, and the "
            f"feed has {columns} columns: remove the record"
        )
    return LoadError(
        f"{row['source_file']}: holds a second header row, in another order than the first "
        f"({row['raw_record'][:SHOWN_CHARACTERS]}): several files were put together; deliver them "
        "one by one"
    )
