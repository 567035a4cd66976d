"""The row-count equation of one day: numbers in, verdict out, no AWS calls.

For every day: rows in its raw files = rows in staging (until deleted there) + rejected
= rows in the fact table + rejected = rows in the export's manifest + rejected.

Raw files may be deleted later, by a lifecycle rule. Then the load audit says how many rows were
loaded, and the rest of the equation still holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.feed import advice
from xacct_assets.feed.reconciliation.raw_state import RawState, raw_state
from xacct_assets.feed.retention import Retention

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
        doubled_keys: some of the keys that more than one row has, as text.
        has_key: whether the feed has a key.
        retention: of the raw files.
    """

    raw: RawDay
    staged: int
    load_audit: LoadAuditEntry | None
    rejected: RejectedRows | None
    fact: int
    export: ExportDay
    fact_keys: int | None = None
    doubled_keys: tuple[str, ...] = ()
    has_key: bool = True
    retention: Retention = field(default_factory=Retention)

    @property
    def raw_state(self) -> RawState:
        """Whether the raw files that the day was loaded from are there."""
        if self.raw.problems or self.raw.archived:
            return "there"
        return raw_state(self.raw.files, self.raw.rows, self.load_audit, self.retention)

    @property
    def has_files(self) -> bool:
        """Whether the day can be loaded from the raw files that are there."""
        return self.raw_state == "there" and not self.raw.archived

    @property
    def has_newer_files(self) -> bool:
        """Whether a file was written after the day was loaded."""
        newest = self.raw.newest
        loaded_at = self.load_audit.loaded_at if self.load_audit else None
        return bool(newest and loaded_at and newest > loaded_at.replace(tzinfo=UTC))


@dataclass(frozen=True)
class DayReconciliation:
    """The verdict on one day. A number is None if there is nothing to count.

    Attributes:
        raw_files: files that are there.
        raw_rows: rows in them.
        raw_state: whether the files that the day was loaded from are still there; "not a day" of
            the feed.
        ok: whether all that is there agrees.
        problems: what does not, each with what to do.
        warnings: what needs attention although the numbers agree.
        notes: what else somebody should know.
    """

    partition: str
    raw_files: int | None
    raw_rows: int | None
    staged_rows: int | None
    rejected_rows: int | None
    fact_rows: int | None
    exported_rows: int | None
    manifest: ManifestState
    ok: bool
    problems: list[str] = field(default_factory=list)
    raw_state: RawState | Literal["not a day"] = "there"
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)


#: What is said of a feed without a key.
NO_KEY = (
    "the feed has no key: its rows are counted, but it is not proven that none of them is there "
    "twice in place of another"
)


def judge(day: date, numbers: DayNumbers) -> DayReconciliation:
    """Apply the equation to a day's numbers."""
    state, archived = numbers.raw_state, numbers.raw.archived
    # A day that was loaded before its files were archived needs them no more.
    is_loaded = numbers.load_audit is not None and not numbers.has_newer_files
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
        raw_rows=None if state == "gone" or archived else numbers.raw.rows,
        staged_rows=numbers.staged,
        rejected_rows=None if numbers.rejected is None else numbers.rejected.rows,
        fact_rows=numbers.fact,
        exported_rows=numbers.export.rows,
        manifest=_manifest_state(numbers),
        ok=not problems,
        problems=problems,
        raw_state=state,
        warnings=_warnings(numbers, agree=not problems),
        notes=[
            *(_not_counted(archived) if is_loaded else ()),
            *numbers.raw.notes,
            *(() if numbers.has_key or not numbers.fact else (NO_KEY,)),
        ],
    )


def judge_outside(day: date, reason: str) -> DayReconciliation:
    """The verdict on a day that has data but is no partition of the feed; nothing is counted.

    Args:
        reason: says that it is not a day of the feed.
    """
    return DayReconciliation(
        *(day.isoformat(), None, None, None, None, None, None, "not needed"),
        ok=True,
        raw_state="not a day",
        warnings=[reason],
    )


def _not_counted(archived: Sequence[str]) -> list[str]:
    """The note on a loaded day whose raw files were archived since."""
    if not archived:
        return []
    more = f" (and {len(archived) - 1} more)" if len(archived) > 1 else ""
    return [
        "its raw files were archived after it was loaded, so their rows are not counted; to load "
        f"it again: {archived[0]}{more}"
    ]


def _warehouse_problems(numbers: DayNumbers) -> list[str]:
    raw, load_audit = numbers.raw, numbers.load_audit
    if (
        raw.files == 0
        and load_audit is None
        and numbers.rejected is None
        and numbers.export.rows is None
    ):
        if numbers.fact:
            return [
                f"fact has {numbers.fact} rows, but nothing has landed; delete them, or "
                f"{advice.LAND_AND_LOAD}"
            ]
        return []
    if load_audit is None:
        again = advice.load_again(has_files=numbers.has_files)
        problems = [f"never loaded: the load audit has no entry; {again}"]
    else:
        problems = _load_problems(numbers, load_audit)
    if (expected := _expected_fact(numbers)) != numbers.fact:
        rejected = numbers.rejected.rows if numbers.rejected else 0
        known = (
            f"and {rejected} were rejected, but the raw files hold {raw.rows}"
            if numbers.has_files
            else f"but {expected} were loaded"
        )
        mend = advice.mend_fact(has_files=numbers.has_files)
        problems.append(f"fact has {numbers.fact} rows {known}: {mend}")
    return problems


def _expected_fact(numbers: DayNumbers) -> int:
    """How many rows the fact table should have; as many as it has, if that is not known."""
    if numbers.load_audit is not None:
        # Before the procedure was called, the rows of an earlier load are there.
        return numbers.load_audit.rows_loaded if numbers.load_audit.transformed else numbers.fact
    if not numbers.has_files:
        return numbers.fact
    return numbers.raw.rows - (numbers.rejected.rows if numbers.rejected else 0)


def _load_problems(numbers: DayNumbers, load_audit: LoadAuditEntry) -> list[str]:
    again = advice.load_again(has_files=numbers.has_files)
    problems = []
    if changed := _changed_files(numbers, load_audit):
        problems.append(changed)
    if numbers.rejected is None:
        problems.append(f"there is no manifest of rejected rows; {again}")
    elif numbers.rejected.load_id != load_audit.load_id:
        problems.append(
            f"the manifest of rejected rows is of load {numbers.rejected.load_id}, the loaded rows "
            f"are of load {load_audit.load_id}; {again}"
        )
    if not load_audit.transformed:
        problem = "loaded but not yet in the fact table"
        if numbers.staged == load_audit.rows_loaded:
            problems.append(f"{problem}; {advice.TRANSFORM}")
        else:
            problems.append(
                f"{problem}, and staging has {numbers.staged} rows of {load_audit.rows_loaded} "
                f"loaded; {again}"
            )
    elif numbers.staged not in (0, load_audit.rows_loaded):
        problems.append(
            f"staging has {numbers.staged} rows left of {load_audit.rows_loaded} that are already "
            f"in the fact table; {advice.TRANSFORM}"
        )
    return problems


def _changed_files(numbers: DayNumbers, load_audit: LoadAuditEntry) -> str | None:
    """How the raw files differ from those that were loaded, with what to do."""
    raw, differences, rows = numbers.raw, [], numbers.raw.rows
    is_newer = numbers.has_newer_files
    if is_newer:
        # Equal row counts do not prove equal rows.
        differences.append(
            f"the newest file is of {raw.newest:{_TIME}}, the load of "
            f"{load_audit.loaded_at:{_TIME}} UTC"
        )
    rejected = numbers.rejected
    if rejected and rejected.load_id == load_audit.load_id and not raw.archived:
        rows = load_audit.rows_loaded + rejected.rows
        if rows != raw.rows:
            differences.append(
                f"{load_audit.rows_loaded} rows were loaded and {rejected.rows} rejected, but the "
                f"raw files hold {raw.rows}"
            )
    # Files that expire are no change.
    if not differences or not (numbers.has_files or (raw.files and is_newer)):
        return None
    changed = f"the raw files changed since they were loaded ({'; '.join(differences)})"
    if numbers.raw_state == "partly gone":
        return (
            f"{changed}, but source.retention_days ({numbers.retention.days}) is over: the day "
            f"would lose rows. Delete the new files, or {advice.LAND_AND_LOAD}"
        )
    if raw.rows < rows and not is_newer:
        return (
            f"{changed}; {advice.LOAD_CHANGED_FILES}. If a lifecycle rule deleted some, set "
            "source.retention_days instead, or the day loses their rows"
        )
    return f"{changed}; {advice.LOAD_CHANGED_FILES}"


def _key_problems(numbers: DayNumbers) -> list[str]:
    if numbers.fact_keys in (None, numbers.fact):
        return []
    # Redshift does not enforce keys: one row doubled and another lost leave the count as it was.
    doubled = f" (doubled: {'; '.join(numbers.doubled_keys)})" if numbers.doubled_keys else ""
    return [
        f"fact has {numbers.fact} rows but {numbers.fact_keys} distinct keys{doubled} (trailing "
        f"blanks make no other key): {advice.mend_fact(has_files=numbers.has_files)}"
    ]


def _export_problems(numbers: DayNumbers) -> list[str]:
    exported = numbers.export.rows
    problems = list(numbers.export.problems)
    if exported is None and numbers.fact and not problems:
        problems.append("there is no export manifest")
    # A fact table with a problem of its own must not be exported over what is there.
    is_fact_right = numbers.fact == _expected_fact(numbers)
    if exported is not None and exported != numbers.fact and is_fact_right:
        problems.append(f"the export holds {exported} rows, but fact has {numbers.fact}")
    return [f"{'; '.join(problems)}; {advice.EXPORT}"] if problems else []


def _warnings(numbers: DayNumbers, *, agree: bool) -> list[str]:
    if numbers.raw_state != "gone" or numbers.retention.is_over:
        return []
    gone = "raw files are gone" + ("; loaded and exported agree" if agree else "")
    if numbers.retention.days is None:
        reason = "If a lifecycle rule deletes them, set source.retention_days in the defs.yaml"
    else:
        reason = f"source.retention_days ({numbers.retention.days}) is not over yet"
    return [f"{gone}. {reason}. The day cannot be loaded again without them"]


def _manifest_state(numbers: DayNumbers) -> ManifestState:
    if numbers.export.problems:
        return "broken"
    if numbers.export.rows is not None:
        return "whole"
    # An UNLOAD of no rows may write no files and no manifest.
    return "missing" if numbers.fact else "not needed"
