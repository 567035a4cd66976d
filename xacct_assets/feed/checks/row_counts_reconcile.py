"""The check that every row of a day's raw files was exported or rejected."""

from datetime import date

import dagster as dg

from xacct_assets.feed.assets import raw_partition, s3_export, staging_table
from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.checks.per_partition import (
    BlockingMode,
    CheckInput,
    Verdict,
    per_partition_check,
)
from xacct_assets.feed.event_log import Materialization, latest_materializations
from xacct_assets.feed.metadata import ExportedFiles, LoadedRows, RawFiles
from xacct_assets.feed.partitions import parse_day
from xacct_assets.feed.reconciliation.collection import KnownNumbers, reconcile
from xacct_assets.feed.reconciliation.equation import (
    NO_KEY,
    DayReconciliation,
    ExportDay,
    RawDay,
    RejectedRows,
)
from xacct_assets.feed.spec import FeedSpec


def row_counts_reconcile(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """Apply the row-count equation of `xacct_assets.feed.reconciliation` to each day."""

    def evaluate(given: CheckInput) -> dict[date, Verdict]:
        results = reconcile(feed, given.aws, given.days, _known_numbers(given, feed))
        return {parse_day(result.partition): _verdict(result) for result in results}

    return per_partition_check(
        feed,
        s3_export.NAME,
        "row_counts_reconcile",
        "Rows in the raw files = rows in the fact table + rejected = rows in the export's "
        "manifest + rejected, and the exported files are those of the manifest.",
        evaluate,
        blocking=BlockingMode.IF_ANY_DAY_FAILED,
    )


def _verdict(result: DayReconciliation) -> Verdict:
    return Verdict(
        result.ok and not result.warnings,
        "; ".join([*result.problems, *result.warnings]) or _describe(result),
        {
            name: "none" if value is None else value
            for name, value in result.as_dict().items()
            if name not in ("ok", "partition")
        },
        dg.AssetCheckSeverity.ERROR if result.problems else dg.AssetCheckSeverity.WARN,
    )


def _describe(result: DayReconciliation) -> str:
    if result.raw_state in ("gone", "partly gone"):
        raw = f"raw files are {result.raw_state}, as retention_days expects"
        return f"{raw}; {result.fact_rows} fact; {result.exported_rows or 0} exported"
    raw_rows = "?" if result.raw_rows is None else result.raw_rows
    no_key = f"; {NO_KEY}" if NO_KEY in result.notes else ""
    return (
        f"{raw_rows} raw = {result.fact_rows} fact + {result.rejected_rows} rejected; "
        f"{result.exported_rows or 0} exported{no_key}"
    )


def _known_numbers(given: CheckInput, feed: FeedSpec) -> KnownNumbers:
    """The numbers that this run has verified itself.

    Raw counts of other runs are used too, since they carry the version of the listing. Rows that
    raw_partition left to the load job are those that the job counted in the same files.
    """
    instance, run_id = given.context.instance, given.context.run.run_id
    raw = latest_materializations(instance, asset_key(feed, raw_partition.NAME), given.days)
    staged = latest_materializations(instance, asset_key(feed, staging_table.NAME), given.days)
    loads = {
        day: LoadedRows.from_metadata(event.metadata)
        for day, event in staged.items()
        if event.run_id == run_id
    }
    exports = {
        day: ExportedFiles.from_metadata(event.metadata)
        for day, event in given.materializations.items()
        if event.run_id == run_id
    }
    return KnownNumbers(
        raw={
            day: counted
            for day, event in raw.items()
            if (counted := _raw_day(event, staged.get(day))) is not None
        },
        rejected={
            day: RejectedRows(load.rows_rejected, load.load_id) for day, load in loads.items()
        },
        exports={
            day: ExportDay(rows=export.rows, files=export.files, bytes=export.bytes)
            for day, export in exports.items()
            # Without files, whether there is a manifest decides; that is not in the metadata.
            if export.files
        },
    )


def _raw_day(event: Materialization, staged: Materialization | None) -> RawDay | None:
    raw = RawFiles.from_metadata(event.metadata)
    rows = raw.rows
    if rows is None:
        loaded = None if staged is None else LoadedRows.from_metadata(staged.metadata)
        if loaded is None or loaded.raw_version != event.data_version:
            return None
        rows = loaded.rows_read
    return RawDay(files=raw.files, rows=rows, version=event.data_version or "")
