"""raw_partition: the files of a day in account A, listed, checked and counted."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Event

import dagster as dg

from xacct_assets.aws.s3.file_inspection import FileVerdict
from xacct_assets.aws.s3.keys import KeySample
from xacct_assets.aws.s3.raw_bucket import Listing
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.feed.assets.defaults import (
    ROWS_SHOWN,
    asset_defaults,
    description,
    retry_transient_errors,
    table,
)
from xacct_assets.feed.metadata import RawFiles
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.partitions import today_utc
from xacct_assets.feed.raw_files import (
    describe_unmatched,
    how_to_admit,
    inspect_day,
    is_counted_here,
    problems_of,
    raw_prefix,
    survey_days,
)
from xacct_assets.feed.reconciliation.load_audit import read_load_audit
from xacct_assets.feed.reconciliation.raw_state import refusal
from xacct_assets.feed.retention import retention_of
from xacct_assets.feed.spec import FeedSpec

NAME = "raw_partition"
# Days that are read in parallel; the files of a day are read in parallel as well.
CONCURRENT_DAYS = 4


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's raw days."""

    @dg.asset(
        **asset_defaults(
            # How long files are kept and who counts them does not change what they hold.
            *(feed, NAME, "1"),
            feed.source.model_dump(mode="json", exclude={"retention_days", "count_until_mb"}),
            [column.header_name for column in feed.columns],
        ),
        kinds={"s3", "csv"},
        description=description(
            feed,
            f"A day's files of {feed.name} in the central account's bucket: listed, read and "
            "counted (of a very large day: checked, and counted by the Glue job). Fails if nothing "
            "has landed or a file as a whole is malformed.",
        ),
    )
    def raw_partition(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with retry_transient_errors(context):
            batch = PartitionBatch.of(context, upstream=None)
            results = {}
            inspected = _inspect(feed, aws, batch.ready)
            rows = {
                day: [verdict.rows for verdict in verdicts]
                for day, _, verdicts in inspected
                if not any(verdict.problem for verdict in verdicts)
            }
            gone = _files_gone(feed, aws, rows)
            for day, listing, verdicts in inspected:
                unmatched = KeySample.of(listing.unmatched)
                if unmatched and verdicts:
                    context.log.warning(f"{day}: {describe_unmatched(feed, unmatched)}.")
                problem = gone.get(day) or _problem(feed, aws, day, listing, verdicts)
                if problem:
                    batch.fail(day, problem)
                else:
                    results[day] = _result(feed, aws, day, listing, verdicts)
            yield from batch.report(results)

    return raw_partition


def _inspect(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> list[tuple[date, Listing, list[FileVerdict]]]:
    listings = survey_days(feed, aws, days)
    today = today_utc()
    at_once = min(CONCURRENT_DAYS, len(days))
    stop = Event()

    def inspect(day: date) -> tuple[date, Listing, list[FileVerdict]]:
        listing = listings[day]
        # Whether files are missing of an old day shows by the rows in those that are left.
        is_counted = (
            is_counted_here(feed, listing.objects) or retention_of(feed, day, today).is_over
        )
        verdicts = inspect_day(
            feed, aws, listing.objects, is_counted=is_counted, days_at_once=at_once, stop=stop
        )
        return day, listing, verdicts

    threads = ThreadPoolExecutor(at_once, "raw")
    try:
        return list(threads.map(inspect, days))
    except BaseException:
        # A terminated run ends at once; the threads end after their current chunk.
        stop.set()
        raise
    finally:
        threads.shutdown(wait=not stop.is_set(), cancel_futures=True)


def _rows(verdicts: Sequence[FileVerdict]) -> int | None:
    """Rows of the files; None if those of one were not counted."""
    rows = [verdict.rows for verdict in verdicts if verdict.rows is not None]
    return sum(rows) if len(rows) == len(verdicts) else None


def _files_gone(
    feed: FeedSpec, aws: AwsClients, rows: Mapping[date, Sequence[int | None]]
) -> dict[date, str]:
    """Why days must not be loaded that were loaded from files which are gone since.

    Args:
        rows: of each file, by day; None if they were not counted.
    """
    today = today_utc()
    retention = {day: retention_of(feed, day, today) for day in rows}
    suspected = [day for day in rows if not rows[day] or retention[day].is_over]
    loads = read_load_audit(feed, aws, suspected) if suspected else {}
    # All days whose retention is over were counted.
    problems = {
        day: refusal(len(rows[day]), sum(n or 0 for n in rows[day]), loads.get(day), retention[day])
        for day in suspected
    }
    return {day: problem for day, problem in problems.items() if problem is not None}


def _problem(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    listing: Listing,
    verdicts: Sequence[FileVerdict],
) -> str | None:
    if not verdicts:
        where = f"s3://{aws.input_bucket(feed)}/{raw_prefix(feed, day)}"
        unmatched = KeySample.of(listing.unmatched)
        others = f" The files there are {describe_unmatched(feed, unmatched)}." if unmatched else ""
        return (
            f"nothing has landed under {where}: no file matches "
            f"{', '.join(feed.source.patterns)}.{others} Land the day's files there, then "
            "materialize the day again."
        )
    bad = sum(verdict.problem is not None for verdict in verdicts)
    if not bad:
        return None
    lines = [f"- {problem}" for problem in problems_of(verdicts)]
    if command := how_to_admit(feed, aws.input_bucket(feed), verdicts):
        lines.append(command)
    return "\n".join([f"{bad} of {len(verdicts)} files cannot be loaded:", *lines])


def _result(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    listing: Listing,
    verdicts: Sequence[FileVerdict],
) -> PartitionResult:
    objects = listing.objects
    headers = {verdict.header for verdict in verdicts if verdict.object.size}
    facts = RawFiles(
        files=len(objects),
        rows=_rows(verdicts),
        newest_object=max(item.last_modified for item in objects),
        empty_files=[f"{v.object.key}: {v.note}" for v in verdicts if v.rows == 0],
        splittable_files=[v.object.key for v in verdicts if v.is_splittable] or None,
        version=fingerprint(objects),
        header=list(headers.pop()) or None if len(headers) == 1 else None,
    )
    counted = {} if facts.rows is None else {"dagster/partition_row_count": facts.rows}
    return PartitionResult(
        metadata={
            "dagster/uri": f"s3://{aws.input_bucket(feed)}/{raw_prefix(feed, day)}",
            **counted,
            **facts.to_metadata(),
            "bytes": sum(item.size for item in objects),
            "files that no pattern matches": listing.unmatched[:ROWS_SHOWN],
            "objects": table(
                [
                    {
                        "key": verdict.object.key,
                        "bytes": verdict.object.size,
                        "rows": "not counted" if verdict.rows is None else verdict.rows,
                        "etag": verdict.object.etag,
                    }
                    for verdict in verdicts
                ]
            ),
        },
        data_version=facts.version,
    )
