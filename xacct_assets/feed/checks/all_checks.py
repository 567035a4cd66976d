"""Verdicts on a feed's days, each on the day it is about.

Dagster stores one check result per run, which in a run over a range belongs to no day. The checks
here put one evaluation per day into the event log instead, also in a range.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any

import dagster as dg

from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.assets import CHAIN, catalog_table, raw_partition, s3_export, staging_table
from xacct_assets.feed.assets.defaults import asset_key, retry_transient_errors
from xacct_assets.feed.dagster_internals import evaluation_target
from xacct_assets.feed.event_log import Materialization, latest_materializations, latest_problems
from xacct_assets.feed.metadata import CrawledColumns, ExportedFiles, LoadedRows, RawFiles
from xacct_assets.feed.partition_results import EVERY_PARTITION_CHECK, partitions_failure
from xacct_assets.feed.partitions import daily_partitions, parse_day
from xacct_assets.feed.reconciliation.equation import ExportDay, Known, RawDay, Rejected, reconcile
from xacct_assets.feed.spec import FeedSpec

PartitionEvents = Mapping[date, Materialization]


@dataclass(frozen=True)
class Verdict:
    """What a check says of one day."""

    passed: bool
    description: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    @property
    def is_error(self) -> bool:
        """Whether the day must not be relied on."""
        return not self.passed and self.severity is dg.AssetCheckSeverity.ERROR


class BlockingMode(Enum):
    """When a failed check ends the run's way through the chain."""

    NEVER = "never"
    IF_NO_DAY_IS_LEFT = "if no day is left"
    IF_ANY_DAY_FAILED = "if any day failed"


Evaluate = Callable[
    [dg.AssetCheckExecutionContext, AwsClients, Sequence[date], PartitionEvents],
    Mapping[date, Verdict],
]


def feed_checks(feed: FeedSpec) -> list[dg.AssetChecksDefinition]:
    """All checks of a feed's assets."""
    return [
        *(every_partition_materialized(feed, module.NAME) for module in CHAIN),
        files_have_rows(feed),
        schema_matches_feed(feed),
        rejected_share_within_limit(feed),
        row_counts_reconcile(feed),
    ]


def every_partition_materialized(feed: FeedSpec, name: str) -> dg.AssetChecksDefinition:
    """Fails the run at its end if the asset could not be materialized for some of its days.

    The other days go their way meanwhile: nothing waits for this check.
    """

    def evaluate(
        context: dg.AssetCheckExecutionContext,
        aws: AwsClients,
        days: Sequence[date],
        events: PartitionEvents,
    ) -> dict[date, Verdict]:
        problems = latest_problems(context.instance, asset_key(feed, name), days)
        verdicts = {}
        for day in days:
            event, reported = events.get(day), problems.get(day)
            if reported and (event is None or reported.storage_id > event.storage_id):
                problem = reported.problem
                verdicts[day] = Verdict(
                    False, problem.problem, {"is upstream": problem.is_upstream}
                )
            elif event is None:
                verdicts[day] = Verdict(False, f"{name} was never materialized for {day}")
            else:
                verdicts[day] = Verdict(True, "materialized")
        return verdicts

    def fail_the_run(verdicts: Mapping[date, Verdict]) -> None:
        # A problem that came from upstream has failed the run there already.
        own = {
            day: verdict.description
            for day, verdict in verdicts.items()
            if not verdict.passed and not verdict.metadata.get("is upstream")
        }
        if own:
            raise partitions_failure(own)

    return _day_check(
        feed,
        name,
        EVERY_PARTITION_CHECK,
        f"Every day of the run has its {name}. Days that have not are named, with the reason.",
        evaluate,
        afterwards=fail_the_run,
    )


def files_have_rows(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """Warns of files without rows: allowed, but rarely meant."""

    def judge(event: Materialization) -> Verdict:
        raw = RawFiles.from_metadata(event.metadata)
        empty = raw.empty_files
        return Verdict(
            not empty,
            f"{len(empty)} of {raw.files} files hold no rows" if empty else f"{raw.rows} rows",
            {"files without rows": empty, "rows": raw.rows},
            dg.AssetCheckSeverity.WARN,
        )

    return _materialization_check(
        feed,
        raw_partition.NAME,
        "files_have_rows",
        "No file of the day is empty or has a header only (a warning: such a day is loaded).",
        judge,
    )


def schema_matches_feed(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """Compares what the crawler inferred with the feed's columns.

    It stops nothing: the load goes by the header of each file, which raw_partition has proven, and
    a value that does not fit its type is rejected by name. Where the catalog was mended (the crawl
    had seen other files, or taken a header for data), it is judged as it is now.
    """

    def judge(event: Materialization) -> Verdict:
        columns = CrawledColumns.from_metadata(event.metadata)
        wrong_names = [
            *(f"{name} is missing" for name in columns.missing_columns),
            *(f"{name} is not a column of the feed" for name in columns.unknown_columns),
        ]
        differences = [*wrong_names, *columns.type_drift]
        return Verdict(
            not differences,
            "; ".join(differences) or "the columns in the catalog are the feed's",
            {
                "columns missing": columns.missing_columns,
                "columns unknown": columns.unknown_columns,
                "type drift": columns.type_drift,
            },
            dg.AssetCheckSeverity.ERROR if wrong_names else dg.AssetCheckSeverity.WARN,
        )

    return _materialization_check(
        feed,
        catalog_table.NAME,
        "schema_matches_feed",
        "The columns that the crawler found are the feed's, with types that fit.",
        judge,
    )


def rejected_share_within_limit(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """Keeps a day with too many rejected rows from the fact table."""

    def judge(event: Materialization) -> Verdict:
        load = LoadedRows.from_metadata(event.metadata)
        read, rejected = load.rows_read, load.rows_rejected
        problem = staging_table.too_many_rejects(feed, load)
        return Verdict(
            problem is None,
            problem or f"{rejected} of {read} rows rejected",
            {"rows rejected": rejected, "rows read": read, "allowed": feed.reject_threshold},
        )

    return _materialization_check(
        feed,
        staging_table.NAME,
        "rejected_share_within_limit",
        f"At most {feed.reject_threshold:.1%} of the day's rows were rejected; a day with more "
        "does not go on to the fact table.",
        judge,
        stops=BlockingMode.IF_NO_DAY_IS_LEFT,
    )


def row_counts_reconcile(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """The equation that says a day is right."""

    def evaluate(
        context: dg.AssetCheckExecutionContext,
        aws: AwsClients,
        days: Sequence[date],
        events: PartitionEvents,
    ) -> dict[date, Verdict]:
        return {
            parse_day(result.partition): Verdict(
                result.ok,
                "; ".join(result.problems)
                or f"{result.raw_rows} raw = {result.fact_rows} fact + "
                f"{result.rejected_rows} rejected; {result.exported_rows or 0} exported",
                {
                    name: "none" if value is None else value
                    for name, value in result.as_dict().items()
                    if name not in ("ok", "partition")
                },
            )
            for result in reconcile(feed, aws, days, _known(context, feed, days, events))
        }

    return _day_check(
        feed,
        s3_export.NAME,
        "row_counts_reconcile",
        "Rows in the raw files = rows in the fact table + rejected = rows in the export's "
        "manifest + rejected, and the export is whole.",
        evaluate,
        stops=BlockingMode.IF_ANY_DAY_FAILED,
    )


def _known(
    context: dg.AssetCheckExecutionContext,
    feed: FeedSpec,
    days: Sequence[date],
    exported: PartitionEvents,
) -> Known:
    """What this run has proven itself; of other runs only raw counts, by their data version."""
    instance, run_id = context.instance, context.run.run_id
    raw = latest_materializations(instance, asset_key(feed, raw_partition.NAME), days)
    staged = latest_materializations(instance, asset_key(feed, staging_table.NAME), days)
    raw_files = {day: RawFiles.from_metadata(event.metadata) for day, event in raw.items()}
    loads = {
        day: LoadedRows.from_metadata(event.metadata)
        for day, event in staged.items()
        if event.run_id == run_id
    }
    exports = {
        day: ExportedFiles.from_metadata(event.metadata)
        for day, event in exported.items()
        if event.run_id == run_id
    }
    return Known(
        raw={
            day: RawDay(files.files, files.rows, raw[day].data_version or "")
            for day, files in raw_files.items()
        },
        rejected={day: Rejected(load.rows_rejected, load.load_id) for day, load in loads.items()},
        exports={
            day: ExportDay(rows=export.rows, files=export.files, bytes=export.bytes)
            for day, export in exports.items()
            # Without files the manifest has to be looked for.
            if export.files
        },
    )


def _materialization_check(
    feed: FeedSpec,
    asset_name: str,
    name: str,
    description: str,
    judge: Callable[[Materialization], Verdict],
    *,
    stops: BlockingMode = BlockingMode.NEVER,
) -> dg.AssetChecksDefinition:
    """A check that needs to know no more of a day than its newest materialization says."""

    def evaluate(
        context: dg.AssetCheckExecutionContext,
        aws: AwsClients,
        days: Sequence[date],
        events: PartitionEvents,
    ) -> dict[date, Verdict]:
        return {day: judge(event) for day, event in events.items()}

    return _day_check(feed, asset_name, name, description, evaluate, stops=stops)


def _day_check(
    feed: FeedSpec,
    asset_name: str,
    name: str,
    description: str,
    evaluate: Evaluate,
    *,
    stops: BlockingMode = BlockingMode.NEVER,
    afterwards: Callable[[Mapping[date, Verdict]], None] = lambda verdicts: None,
) -> dg.AssetChecksDefinition:
    key = asset_key(feed, asset_name)

    # Dagster runs a generator here; its annotation names functions only.
    @dg.asset_check(  # type: ignore[arg-type]
        asset=key,
        name=name,
        description=description,
        # Says that later assets wait for the check; whether it stops them is decided below.
        blocking=stops is not BlockingMode.NEVER,
        partitions_def=daily_partitions(feed),
    )
    def _check(
        context: dg.AssetCheckExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        with retry_transient_errors(context):
            days = _days_to_check(context, feed, key)
            events = latest_materializations(context.instance, key, days)
            verdicts = dict(evaluate(context, aws, days, events))
        for day in days:
            if day not in verdicts:
                verdicts[day] = Verdict(
                    False,
                    f"nothing to look at: {asset_name} was not materialized for {day}",
                    severity=dg.AssetCheckSeverity.WARN,
                )
        failed = [day for day in days if verdicts[day].is_error]
        stop = bool(failed) and (
            stops is BlockingMode.IF_ANY_DAY_FAILED
            or (stops is BlockingMode.IF_NO_DAY_IS_LEFT and len(failed) == len(days))
        )
        for day in days:
            yield _evaluation(key, name, day, verdicts[day], events.get(day))
        yield dg.Output(None)
        if stop:
            raise partitions_failure({day: verdicts[day].description for day in failed})
        afterwards(verdicts)

    return _check


def _days_to_check(
    context: dg.AssetCheckExecutionContext, feed: FeedSpec, key: dg.AssetKey
) -> list[date]:
    """The run's days; of a run without any, the newest days that the asset is there for.

    The UI's button "Execute all" beside the checks of an asset starts a run that is of no day.
    """
    if context.has_partition_key or context.has_partition_key_range:
        return [parse_day(partition) for partition in context.partition_keys]
    days = sorted(map(parse_day, context.instance.get_materialized_partitions(key)))
    if not days:
        raise dg.Failure(
            f"nothing to look at: {key.to_user_string()} was never materialized; materialize a day"
        )
    return days[-feed.max_days_per_run :]


def _evaluation(
    key: dg.AssetKey,
    name: str,
    day: date,
    verdict: Verdict,
    event: Materialization | None,
) -> dg.AssetCheckEvaluation:
    target = None
    if event is not None:
        target = evaluation_target(event.storage_id, event.run_id, event.timestamp)
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=name,
        passed=verdict.passed,
        description=verdict.description,
        # The UI hides every list behind a link, also an empty one.
        metadata={
            name: "none" if value == [] else value for name, value in verdict.metadata.items()
        },
        severity=verdict.severity,
        partition=day.isoformat(),
        target_materialization_data=target,
        # True would stop all days because of one.
        blocking=False,
    )
