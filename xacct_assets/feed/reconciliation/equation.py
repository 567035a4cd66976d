"""The row-count equation of one day: numbers in, verdict out, no AWS calls.

For every day: rows in its raw files = rows in staging (until deleted there) + rejected
= rows in the fact table + rejected = rows in the export's manifest + rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.feed.partitions import in_words

if TYPE_CHECKING:
    from xacct_assets.aws.s3.exports import ManifestEntry
    from xacct_assets.feed.reconciliation.load_audit import LoadAuditEntry

_TIME = "%Y-%m-%d %H:%M:%S"

ManifestState = Literal["whole", "broken", "missing", "not needed"]


@dataclass(frozen=True)
class RawDay:
    """A day's files in the raw bucket.

    Attributes:
        rows: rows of the files that can be read.
        version: fingerprint of the listing; it changes when a file is added, replaced or deleted.
        problems: files that cannot be loaded as a whole, with the reason.
        archived: files that cannot be read until they are restored, with the command. Their rows
            are unknown.
        newest: when the last file was written (UTC); None if the files are known to be the loaded
            ones.
        notes: what else somebody should know, such as files that are not loaded.
    """

    files: int
    rows: int
    version: str
    problems: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    newest: datetime | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportDay:
    """A day's files in the export bucket.

    Attributes:
        rows: rows according to the manifest; None if there is no manifest.
        bytes: size of all files.
        problems: where the files and the manifest differ.
        entries: the manifest's entries.
    """

    rows: int | None
    files: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()
    entries: Sequence[ManifestEntry] = ()


@dataclass(frozen=True)
class RejectedRows:
    """How many rows of a day a load rejected, and the id of that load."""

    rows: int
    load_id: str


@dataclass(frozen=True)
class DayNumbers:
    """The numbers of one day from S3 and the warehouse.

    Attributes:
        staged: rows in the staging table.
        load_audit: the last committed load; None if the day was never loaded.
        rejected: rejected rows; None if there is no manifest of rejected rows.
        fact: rows in the fact table.
        fact_keys: distinct keys in the fact table; None if they were not counted.
    """

    raw: RawDay
    staged: int
    load_audit: LoadAuditEntry | None
    rejected: RejectedRows | None
    fact: int
    export: ExportDay
    fact_keys: int | None = None


@dataclass(frozen=True)
class DayReconciliation:
    """The verdict on one day. A row count is None if there is nothing to count.

    Attributes:
        problems: what does not agree, each with what to do.
        notes: what else somebody should know; it makes no day wrong.
    """

    partition: str
    raw_files: int
    raw_rows: int | None
    staged_rows: int
    rejected_rows: int | None
    fact_rows: int
    exported_rows: int | None
    manifest: ManifestState
    ok: bool
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)


def judge(day: date, numbers: DayNumbers) -> DayReconciliation:
    """Apply the equation to a day's numbers."""
    archived = numbers.raw.archived
    # A day that was loaded before its files were archived needs them no more.
    is_loaded = numbers.load_audit is not None and not _landed_since(numbers, numbers.load_audit)
    problems = [
        *numbers.raw.problems,
        *(() if is_loaded else archived),
        *_warehouse_problems(numbers),
        *_key_problems(numbers),
        *_export_problems(numbers),
    ]
    return DayReconciliation(
        partition=day.isoformat(),
        raw_files=numbers.raw.files,
        raw_rows=None if archived else numbers.raw.rows,
        staged_rows=numbers.staged,
        rejected_rows=None if numbers.rejected is None else numbers.rejected.rows,
        fact_rows=numbers.fact,
        exported_rows=numbers.export.rows,
        manifest=_manifest_state(numbers),
        ok=not problems,
        problems=problems,
        notes=[*(_not_counted(archived) if is_loaded else ()), *numbers.raw.notes],
    )


def _not_counted(archived: Sequence[str]) -> list[str]:
    """What is said of a loaded day whose raw files were archived since."""
    if not archived:
        return []
    more = f" (and {len(archived) - 1} more)" if len(archived) > 1 else ""
    return [
        "its raw files were archived after it was loaded, so their rows are not counted; to load "
        f"it again: {archived[0]}{more}"
    ]


def _landed_since(numbers: DayNumbers, load_audit: LoadAuditEntry) -> bool:
    """Whether a file was written after the day was loaded."""
    newest, loaded_at = numbers.raw.newest, load_audit.loaded_at
    return bool(newest and loaded_at and newest > loaded_at.replace(tzinfo=UTC))


def _warehouse_problems(numbers: DayNumbers) -> list[str]:
    raw, load_audit = numbers.raw, numbers.load_audit
    if (
        raw.files == 0
        and load_audit is None
        and numbers.rejected is None
        and numbers.export.rows is None
    ):
        if numbers.fact:
            return [f"fact has {numbers.fact} rows, but nothing has landed"]
        return []
    rejected = numbers.rejected.rows if numbers.rejected else 0
    problems = []
    if load_audit is None:
        problems.append("never loaded: the load audit has no entry; materialize staging_table")
    else:
        problems += _load_problems(numbers, load_audit, rejected)
    if not raw.archived and numbers.fact + rejected != raw.rows:
        problems.append(
            f"fact has {numbers.fact} rows and {rejected} were rejected, but the raw files "
            f"hold {raw.rows}"
        )
    return problems


def _load_problems(numbers: DayNumbers, load_audit: LoadAuditEntry, rejected: int) -> list[str]:
    problems = []
    if _landed_since(numbers, load_audit):
        # Equal row counts do not prove equal rows.
        problems.append(
            f"files have landed since it was loaded (the newest at {numbers.raw.newest:{_TIME}}, "
            f"the load was at {load_audit.loaded_at:{_TIME}} UTC); materialize the day again"
        )
    if not numbers.raw.archived and load_audit.rows_loaded + rejected != numbers.raw.rows:
        problems.append(
            f"{load_audit.rows_loaded} rows were loaded and {rejected} rejected, but the raw files "
            f"hold {numbers.raw.rows}; files have changed since, materialize the day again"
        )
    if numbers.rejected is None:
        problems.append("there is no manifest of rejected rows; materialize staging_table")
    elif numbers.rejected.load_id != load_audit.load_id:
        problems.append(
            f"the manifest of rejected rows is of load {numbers.rejected.load_id}, the loaded rows "
            f"are of load {load_audit.load_id}; materialize staging_table"
        )
    if not load_audit.transformed:
        problems.append("loaded but not yet in the fact table; materialize fact_table")
        if numbers.staged != load_audit.rows_loaded:
            problems.append(
                f"staging has {numbers.staged} rows of {load_audit.rows_loaded} loaded; "
                "materialize staging_table"
            )
    elif numbers.staged not in (0, load_audit.rows_loaded):
        problems.append(
            f"staging has {numbers.staged} rows left of {load_audit.rows_loaded} that are already "
            "in the fact table; materialize fact_table"
        )
    return problems


def _key_problems(numbers: DayNumbers) -> list[str]:
    if numbers.fact_keys in (None, numbers.fact):
        return []
    # Redshift does not enforce keys: one row doubled and another lost leave the count as it was.
    return [
        f"fact has {numbers.fact} rows but {numbers.fact_keys} distinct keys: rows were changed by "
        "hand, or the procedure duplicates some; materialize the day from staging_table on"
    ]


def _export_problems(numbers: DayNumbers) -> list[str]:
    problems = list(numbers.export.problems)
    exported = numbers.export.rows
    if exported is None and numbers.fact:
        problems.append("there is no export manifest; materialize s3_export")
    if exported is not None and exported != numbers.fact:
        problems.append(f"the export holds {exported} rows, but fact has {numbers.fact}")
    return problems


def _manifest_state(numbers: DayNumbers) -> ManifestState:
    if numbers.export.problems:
        return "broken"
    if numbers.export.rows is not None:
        return "whole"
    # An UNLOAD of no rows may write no files and no manifest.
    return "missing" if numbers.fact else "not needed"


def summarize(results: Sequence[DayReconciliation]) -> str:
    """One line per wrong day, or one line if all days are right."""
    wrong = [result for result in results if not result.ok]
    if not wrong:
        return f"{len(results)} days are right"
    days = in_words([date.fromisoformat(result.partition) for result in wrong])
    return f"{len(wrong)} of {len(results)} days are wrong ({days}):\n" + "\n".join(
        f"- {result.partition}: {'; '.join(result.problems)}" for result in wrong
    )
