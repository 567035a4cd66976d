"""Reconciles days: collects their numbers from S3 and the warehouse and applies the equation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from xacct_assets.aws.s3.keys import KeySample
from xacct_assets.contract.days import day_prefix
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.feed.partitions import (
    contiguous,
    describe_days,
    inside_days,
    today_utc,
)
from xacct_assets.feed.raw_files import (
    describe_unmatched,
    inspect_day,
    problems_of,
    survey_days,
)
from xacct_assets.feed.reconciliation.equation import (
    DayNumbers,
    DayReconciliation,
    ExportDay,
    RawDay,
    RejectedRows,
    judge,
    judge_outside,
)
from xacct_assets.feed.reconciliation.load_audit import LoadAuditEntry, read_load_audit
from xacct_assets.feed.reconciliation.warehouse_counts import (
    count_by_day,
    count_fact_by_day,
    doubled_keys,
)
from xacct_assets.feed.retention import retention_of

if TYPE_CHECKING:
    from xacct_assets.aws.s3.exports import ExportVerdict
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

# Days read in parallel: each takes a few S3 requests.
CONCURRENT_DAYS = 8


@dataclass(frozen=True)
class KnownNumbers:
    """Numbers that the caller has just verified, so that they are not read again.

    Attributes:
        raw: counted raw files; used if the listing still has the same version.
        rejected: rejected rows of the caller's own loads; used if the load audit still names the
            same load.
        exports: exports that were compared with their manifest.
    """

    raw: Mapping[date, RawDay] = field(default_factory=dict)
    rejected: Mapping[date, RejectedRows] = field(default_factory=dict)
    exports: Mapping[date, ExportDay] = field(default_factory=dict)


def reconcile(
    feed: FeedSpec, aws: AwsClients, days: Iterable[date], known: KnownNumbers | None = None
) -> list[DayReconciliation]:
    """Reconcile each of the days.

    Args:
        known: numbers that need not be read again.

    Returns:
        One verdict per day, in order. Of a day that is no partition of the feed nothing is read.

    Raises:
        AwsFailure: a number cannot be read.
    """
    today, asked = today_utc(), sorted(set(days))
    wanted = inside_days(feed, contiguous(asked), today)
    outside = sorted(set(asked) - set(wanted))
    verdicts = [judge_outside(day, _not_a_day(feed, day, today)) for day in outside]
    if wanted:
        verdicts += _reconcile(feed, aws, wanted, today, known or KnownNumbers())
    return sorted(verdicts, key=lambda verdict: verdict.partition)


def _not_a_day(feed: FeedSpec, day: date, today: date) -> str:
    fix = (
        "to load it, set an earlier start_date"
        if day < feed.start
        else "if its files are of another day, move them; if not, it becomes one in time"
    )
    return f"not a day of the feed ({describe_days(feed, today)}), so it is left alone; {fix}"


def _reconcile(
    feed: FeedSpec, aws: AwsClients, wanted: Sequence[date], today: date, known: KnownNumbers
) -> list[DayReconciliation]:
    staged = count_by_day(aws, feed.warehouse.staging, wanted)
    load_audit = read_load_audit(feed, aws, wanted)
    fact, fact_keys = count_fact_by_day(feed, aws, wanted)
    doubled = {
        day: doubled_keys(feed, aws, day) for day, keys in fact_keys.items() if fact[day] != keys
    }
    raw = raw_days(feed, aws, wanted, known.raw)
    exports = dict(known.exports)
    exports |= export_days(feed, aws, [day for day in wanted if day not in exports])
    rejected = rejected_days(feed, aws, wanted, known.rejected, load_audit)
    return [
        judge(
            day,
            DayNumbers(
                raw=raw[day],
                staged=staged.get(day, 0),
                load_audit=load_audit.get(day),
                rejected=rejected[day],
                fact=fact.get(day, 0),
                fact_keys=fact_keys.get(day, 0) if feed.key else None,
                doubled_keys=doubled.get(day, ()),
                has_key=bool(feed.key),
                export=exports[day],
                retention=retention_of(feed, day, today),
            ),
        )
        for day in wanted
    ]


def raw_days(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date], known: Mapping[date, RawDay]
) -> dict[date, RawDay]:
    """Count each day's raw files and rows.

    Args:
        known: earlier counts; files are read only if the listing's version differs from theirs.
    """

    listings = survey_days(feed, aws, days)

    def count(day: date) -> RawDay:
        unmatched = KeySample.of(listings[day].unmatched)
        notes = (describe_unmatched(feed, unmatched),) if unmatched else ()
        objects = listings[day].objects
        version = fingerprint(objects)
        if day in known and known[day].version == version:
            return replace(known[day], notes=notes)
        verdicts = inspect_day(feed, aws, objects)
        return RawDay(
            files=len(objects),
            rows=sum(verdict.rows or 0 for verdict in verdicts),
            version=version,
            problems=tuple(problems_of([each for each in verdicts if not each.is_archived])),
            archived=tuple(problems_of([each for each in verdicts if each.is_archived])),
            newest=max((item.last_modified for item in objects), default=None),
            notes=notes,
        )

    with ThreadPoolExecutor(min(CONCURRENT_DAYS, max(1, len(days))), "raw") as pool:
        return dict(zip(days, pool.map(count, days), strict=True))


def rejected_days(
    feed: FeedSpec,
    aws: AwsClients,
    days: Sequence[date],
    known: Mapping[date, RejectedRows],
    load_audit: Mapping[date, LoadAuditEntry],
) -> dict[date, RejectedRows | None]:
    """Read each day's manifest of rejected rows; None for a day without one.

    Args:
        known: used instead of the manifest if the load audit names the same load.
    """

    def read(day: date) -> RejectedRows | None:
        own, loaded = known.get(day), load_audit.get(day)
        if own is not None and loaded is not None and loaded.load_id == own.load_id:
            return own
        manifest = aws.rejects(feed).manifest(day)
        if manifest is None:
            return None
        return RejectedRows(manifest.rejected_rows, manifest.load_id)

    with ThreadPoolExecutor(min(CONCURRENT_DAYS, len(days)), "rejects") as pool:
        return dict(zip(days, pool.map(read, days), strict=True))


def export_days(feed: FeedSpec, aws: AwsClients, days: Sequence[date]) -> dict[date, ExportDay]:
    """Compare each day's export with its manifest."""
    if not days:
        return {}
    prefixes = {day: day_prefix(feed.export.prefix, feed.export.layout, day) for day in days}
    verdicts = aws.exports(feed).verify_all(list(prefixes.values()))
    return {day: _export_day(feed, verdicts[prefix]) for day, prefix in prefixes.items()}


def _export_day(feed: FeedSpec, verdict: ExportVerdict) -> ExportDay:
    if verdict.manifest is None and verdict.files == 0:
        return ExportDay(rows=None, problems=tuple(verdict.problems if verdict.stray else ()))
    # Redshift counts a file's header line among its records (UNLOAD reference: MANIFEST VERBOSE).
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
