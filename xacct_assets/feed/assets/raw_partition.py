"""raw_partition: what has landed in account A for a day, and whether it can be read at all."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Event

import dagster as dg

from xacct_assets.aws.s3.file_inspection import FileVerdict
from xacct_assets.aws.s3.raw_bucket import Listing
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.arrival.fingerprint import fingerprint
from xacct_assets.feed.assets.defaults import ROWS_SHOWN as OBJECTS_SHOWN
from xacct_assets.feed.assets.defaults import common, fail_fast_on_permanent_errors, table
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.raw_files import inspect_day, raw_prefix, survey_days
from xacct_assets.feed.spec import FeedSpec

NAME = "raw_partition"
# Days read side by side; the files of a day are read side by side as well.
CONCURRENT_DAYS = 4
# Names of the metadata that later assets rely on.
FILES, ROWS = "files", "dagster/partition_row_count"
EMPTY_FILES, IGNORED, NEWEST = "files without rows", "objects ignored", "newest object"


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's raw days."""

    @dg.asset(
        **common(feed, NAME, "1", feed.source, feed.column_names()),
        kinds={"s3", "csv"},
        description=(
            f"A day's files of {feed.name} in the central account's bucket: listed, read and "
            "counted. Fails if nothing has landed or a file as a whole is malformed."
        ),
    )
    def raw_partition(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with fail_fast_on_permanent_errors():
            step = PartitionBatch.of(context, upstream=None)
            reports = {}
            for day, listing, verdicts in _look(feed, aws, step.ready):
                problem = _problem(feed, aws, day, listing, verdicts)
                if problem:
                    step.fail(day, problem)
                else:
                    reports[day] = _report(feed, aws, day, listing, verdicts)
            yield from step.report(reports)

    return raw_partition


def _look(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> list[tuple[date, Listing, list[FileVerdict]]]:
    listings = survey_days(feed, aws, days)
    stop = Event()

    def one(day: date) -> tuple[date, Listing, list[FileVerdict]]:
        listing = listings[day]
        return day, listing, inspect_day(feed, aws, listing.objects, stop=stop)

    threads = ThreadPoolExecutor(min(CONCURRENT_DAYS, len(days)), "raw")
    try:
        return list(threads.map(one, days))
    except BaseException:
        # A run that is terminated is over at once; the threads end within a chunk.
        stop.set()
        raise
    finally:
        threads.shutdown(wait=not stop.is_set(), cancel_futures=True)


def _problem(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    listing: Listing,
    verdicts: Sequence[FileVerdict],
) -> str | None:
    if not verdicts:
        where = f"s3://{aws.input_bucket(feed)}/{raw_prefix(feed, day)}"
        others = f" ({len(listing.ignored)} other objects are there)" if listing.ignored else ""
        return (
            f"nothing has landed under {where}: no file matches "
            f"{', '.join(feed.source.patterns)}{others}. Land the day's files there, then "
            "materialize the day again."
        )
    bad = [verdict.problem for verdict in verdicts if verdict.problem]
    if not bad:
        return None
    return f"{len(bad)} of {len(verdicts)} files cannot be loaded:\n" + "\n".join(
        f"- {problem}" for problem in bad
    )


def _report(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    listing: Listing,
    verdicts: Sequence[FileVerdict],
) -> PartitionResult:
    objects = listing.objects
    return PartitionResult(
        metadata={
            "dagster/uri": f"s3://{aws.input_bucket(feed)}/{raw_prefix(feed, day)}",
            ROWS: sum(verdict.rows for verdict in verdicts),
            FILES: len(objects),
            "bytes": sum(item.size for item in objects),
            NEWEST: dg.MetadataValue.timestamp(
                max(item.last_modified for item in objects).timestamp()
            ),
            EMPTY_FILES: [f"{v.object.key}: {v.note}" for v in verdicts if v.rows == 0],
            IGNORED: listing.ignored[:OBJECTS_SHOWN],
            "objects": table(
                [
                    {
                        "key": verdict.object.key,
                        "bytes": verdict.object.size,
                        "rows": verdict.rows,
                        "etag": verdict.object.etag,
                    }
                    for verdict in verdicts
                ]
            ),
        },
        data_version=fingerprint(objects),
    )
