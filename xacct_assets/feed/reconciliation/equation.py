"""The equation that says a day is right, and the collector of its numbers.

For every day: rows in its raw files = rows in staging (until cleaned) + rejected
= rows in the fact table + rejected = rows in the export's manifest + rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.contract.days import day_prefix
from xacct_assets.feed.arrival.fingerprint import fingerprint
from xacct_assets.feed.partitions import in_words

if TYPE_CHECKING:
    from xacct_assets.aws.s3.exports import ExportVerdict, ManifestEntry
    from xacct_assets.aws.s3.file_inspection import RawObject
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

# Days looked at side by side: each is a handful of S3 requests.
CONCURRENT_DAYS = 8

Manifest = Literal["whole", "broken", "missing", "not needed"]


@dataclass(frozen=True)
class RawDay:
    """What lies in the raw bucket for a day."""

    files: int
    rows: int
    version: str
    problems: tuple[str, ...] = ()
    newest: datetime | None = None
    """When the last file was written (UTC); None if the files are known to be the loaded ones."""


@dataclass(frozen=True)
class LoadAuditEntry:
    """The last committed load of a day; ``loaded_at`` is UTC without saying so, as Redshift's."""

    load_id: str
    rows_loaded: int
    transformed: bool
    loaded_at: datetime | None = None


@dataclass(frozen=True)
class ExportDay:
    """What lies in the export bucket for a day. rows is None if there is no manifest."""

    rows: int | None
    files: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()
    entries: Sequence[ManifestEntry] = ()


@dataclass(frozen=True)
class Rejected:
    """The account of a day's rejected rows, and the load it is of."""

    rows: int
    load_id: str


@dataclass(frozen=True)
class Known:
    """What a run has just proven itself, so that it need not be read again a moment later.

    Attributes:
        raw: days whose files were read; they count if the same objects are still there.
        rejected: of the loads that the run made; they count if the load audit has the same load.
        exports: days whose export was held against its manifest.
    """

    raw: Mapping[date, RawDay] = field(default_factory=dict)
    rejected: Mapping[date, Rejected] = field(default_factory=dict)
    exports: Mapping[date, ExportDay] = field(default_factory=dict)


@dataclass(frozen=True)
class Numbers:
    """All that is known of one day."""

    raw: RawDay
    staged: int
    load_audit: LoadAuditEntry | None
    rejected: int | None
    rejected_load_id: str | None
    fact: int
    export: ExportDay
    fact_keys: int | None = None
    """Different keys among the fact rows; None if nobody counted."""


@dataclass(frozen=True)
class DayReconciliation:
    """The verdict on one day. Rows are counts; None means that there is nothing to count."""

    partition: str
    raw_files: int
    raw_rows: int
    staged_rows: int
    rejected_rows: int | None
    fact_rows: int
    exported_rows: int | None
    manifest: Manifest
    ok: bool
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def judge(day: date, numbers: Numbers) -> DayReconciliation:
    """The verdict that follows from a day's numbers; nothing is asked of anybody."""
    raw, load_audit, export = numbers.raw, numbers.load_audit, numbers.export
    rejected = numbers.rejected or 0
    nothing_ever = (
        raw.files == 0 and load_audit is None and numbers.rejected is None and export.rows is None
    )
    problems = [*raw.problems]
    if not nothing_ever:
        if load_audit is None:
            problems.append("never loaded: the load audit has no entry; materialize staging_table")
        else:
            problems += _load_problems(numbers, load_audit, rejected)
        if numbers.fact + rejected != raw.rows:
            problems.append(
                f"fact has {numbers.fact} rows and {rejected} were rejected, but the raw files "
                f"hold {raw.rows}"
            )
    elif numbers.fact:
        problems.append(f"fact has {numbers.fact} rows, but nothing has landed")
    if numbers.fact_keys not in (None, numbers.fact):
        # Redshift enforces no key: a row doubled and another lost would still add up.
        problems.append(
            f"fact has {numbers.fact} rows of {numbers.fact_keys} different keys: rows were "
            "changed by hand, or the procedure doubles some; materialize the day from "
            "staging_table on"
        )
    problems += export.problems
    exported = export.rows
    if exported is None and numbers.fact:
        problems.append("there is no export manifest; materialize s3_export")
    if exported is not None and exported != numbers.fact:
        problems.append(f"the export holds {exported} rows, but fact has {numbers.fact}")
    return DayReconciliation(
        partition=day.isoformat(),
        raw_files=raw.files,
        raw_rows=raw.rows,
        staged_rows=numbers.staged,
        rejected_rows=numbers.rejected,
        fact_rows=numbers.fact,
        exported_rows=exported,
        manifest=_manifest(numbers),
        ok=not problems,
        problems=problems,
    )


def _load_problems(numbers: Numbers, load_audit: LoadAuditEntry, rejected: int) -> list[str]:
    problems = []
    newest, loaded_at = numbers.raw.newest, load_audit.loaded_at
    if newest and loaded_at and newest > loaded_at.replace(tzinfo=UTC):
        # As many rows as before may still be other rows.
        problems.append(
            f"files have landed since it was loaded (the newest at {newest:%Y-%m-%d %H:%M:%S}, the "
            f"load was at {loaded_at:%Y-%m-%d %H:%M:%S} UTC); materialize the day again"
        )
    if load_audit.rows_loaded + rejected != numbers.raw.rows:
        problems.append(
            f"{load_audit.rows_loaded} rows were loaded and {rejected} rejected, but the raw files "
            f"hold {numbers.raw.rows}; files have changed since, materialize the day again"
        )
    if numbers.rejected is None:
        problems.append("there is no account of rejected rows; materialize staging_table")
    elif numbers.rejected_load_id != load_audit.load_id:
        problems.append(
            f"the account of rejected rows is of load {numbers.rejected_load_id}, the loaded rows "
            f"are of {load_audit.load_id}; materialize staging_table"
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


def _manifest(numbers: Numbers) -> Manifest:
    if numbers.export.problems:
        return "broken"
    if numbers.export.rows is not None:
        return "whole"
    # An UNLOAD of no rows may write nothing at all.
    return "missing" if numbers.fact else "not needed"


def reconcile(
    feed: FeedSpec, aws: AwsClients, days: Iterable[date], known: Known | None = None
) -> list[DayReconciliation]:
    """The verdict on each of the days, in order.

    Args:
        known: what the caller has proven a moment ago.
    """
    wanted = sorted(set(days))
    if not wanted:
        return []
    known = known or Known()
    staged, load_audit, fact, fact_keys = _warehouse_numbers(feed, aws, wanted)
    raw = raw_days(feed, aws, wanted, known.raw)
    exports = dict(known.exports)
    exports |= export_days(feed, aws, [day for day in wanted if day not in exports])

    def rejected(day: date) -> Rejected | None:
        ours, loaded = known.rejected.get(day), load_audit.get(day)
        if ours is not None and loaded is not None and loaded.load_id == ours.load_id:
            return ours
        manifest = aws.rejects(feed).manifest(day)
        return manifest and Rejected(manifest.rejected_rows, manifest.load_id)

    with ThreadPoolExecutor(min(CONCURRENT_DAYS, len(wanted)), "reconcile") as pool:
        accounts = dict(zip(wanted, pool.map(rejected, wanted), strict=True))
    return [
        judge(
            day,
            Numbers(
                raw=raw[day],
                staged=staged.get(day, 0),
                load_audit=load_audit.get(day),
                rejected=None if (account := accounts[day]) is None else account.rows,
                rejected_load_id=None if account is None else account.load_id,
                fact=fact.get(day, 0),
                fact_keys=fact_keys.get(day, 0),
                export=exports[day],
            ),
        )
        for day in wanted
    ]


def raw_days(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date], known: Mapping[date, RawDay]
) -> dict[date, RawDay]:
    """Count each day's raw files and rows; contents are read only where they are not known."""
    from xacct_assets.feed.raw_files import inspect_day, survey_days

    def one(day: date, objects: Sequence[RawObject]) -> RawDay:
        version = fingerprint(objects)
        if day in known and known[day].version == version:
            return known[day]
        verdicts = inspect_day(feed, aws, objects)
        return RawDay(
            files=len(objects),
            rows=sum(verdict.rows for verdict in verdicts),
            version=version,
            problems=tuple(verdict.problem for verdict in verdicts if verdict.problem),
            newest=max((item.last_modified for item in objects), default=None),
        )

    listings = survey_days(feed, aws, days)
    with ThreadPoolExecutor(min(CONCURRENT_DAYS, max(1, len(days))), "raw") as pool:
        return dict(
            zip(days, pool.map(lambda day: one(day, listings[day].objects), days), strict=True)
        )


def export_days(feed: FeedSpec, aws: AwsClients, days: Sequence[date]) -> dict[date, ExportDay]:
    """Prove each day's export by its manifest."""
    if not days:
        return {}
    prefixes = {day: day_prefix(feed.export.prefix, feed.export.layout, day) for day in days}
    verdicts = aws.exports(feed).verify_all(list(prefixes.values()))
    return {day: _export_day(feed, verdicts[prefix]) for day, prefix in prefixes.items()}


def _export_day(feed: FeedSpec, verdict: ExportVerdict) -> ExportDay:
    if verdict.manifest is None and verdict.files == 0:
        return ExportDay(rows=None, problems=tuple((verdict.stray and verdict.problems) or ()))
    # Redshift counts a file's header line among its records (MANIFEST VERBOSE, HEADER).
    headers = verdict.files if _writes_headers(feed) else 0
    return ExportDay(
        rows=None if verdict.rows is None else verdict.rows - headers,
        files=verdict.files,
        bytes=verdict.bytes,
        problems=tuple(verdict.problems),
        entries=verdict.manifest.entries if verdict.manifest else (),
    )


def _writes_headers(feed: FeedSpec) -> bool:
    return feed.export.format == "csv" and feed.export.header is not False


def _warehouse_numbers(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> tuple[dict[date, int], dict[date, LoadAuditEntry], dict[date, int], dict[date, int]]:
    staged = count_by_day(aws, feed.warehouse.staging, days)
    load_audit = read_load_audit(feed, aws, days)
    return staged, load_audit, *_count_keys_by_day(feed, aws, days)


def count_by_day(aws: AwsClients, table: str, days: Sequence[date]) -> dict[date, int]:
    """Rows of each day that has any in the table."""
    from xacct_assets.aws.redshift.sql import load_statement

    sql = load_statement("xacct_assets.feed", "count_by_day", table=table)
    rows = aws.warehouse.query(sql, (min(days), max(days)))
    return {as_day(row["partition_date"]): int(row["row_count"]) for row in rows}


def _count_keys_by_day(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> tuple[dict[date, int], dict[date, int]]:
    """Rows, and different keys, of each day that has any in the fact table; one statement."""
    from xacct_assets.aws.redshift.sql import load_statement

    sql = load_statement(
        "xacct_assets.feed", "count_keys_by_day", fact=feed.warehouse.fact, key=feed.key
    )
    rows = aws.warehouse.query(sql, (min(days), max(days)))
    counts = {as_day(row["partition_date"]): row for row in rows}
    return (
        {day: int(row["row_count"]) for day, row in counts.items()},
        {day: int(row["key_count"]) for day, row in counts.items()},
    )


def read_load_audit(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> dict[date, LoadAuditEntry]:
    """The last committed load of each day that has one."""
    from xacct_assets.aws.redshift.sql import load_statement

    sql = load_statement(
        "xacct_assets.feed", "load_audit_entries", load_audit=feed.warehouse.load_audit
    )
    rows = aws.warehouse.query(sql, (feed.name, min(days), max(days)))
    return {
        as_day(row["partition_date"]): LoadAuditEntry(
            load_id=row["load_id"],
            rows_loaded=int(row["rows_loaded"]),
            transformed=row["transformed_at"] is not None,
            loaded_at=row["loaded_at"],
        )
        for row in rows
    }


def as_day(value: date | str) -> date:
    """A day as the database gives it: a date over the wire, text through the Data API."""
    return value if isinstance(value, date) else date.fromisoformat(value)


def summarize(results: Sequence[DayReconciliation]) -> str:
    """One line per bad day, or one line that all are right."""
    bad = [result for result in results if not result.ok]
    if not bad:
        return f"{len(results)} days are right"
    days = in_words([date.fromisoformat(result.partition) for result in bad])
    return f"{len(bad)} of {len(results)} days are wrong ({days}):\n" + "\n".join(
        f"- {result.partition}: {'; '.join(result.problems)}" for result in bad
    )
