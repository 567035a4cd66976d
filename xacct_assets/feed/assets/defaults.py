"""What the five assets of a feed share: arguments, keys, retries, tables for the UI."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import dagster as dg

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.feed.partitions import backfill_policy, daily_partitions
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.spec.columns import Column

# Rows of a table that the UI shows. The counts beside it are complete.
ROWS_SHOWN = 50

# At most two retries of a step; 5 seconds before the first, 10 before the second.
_RETRIES = dg.RetryPolicy(
    max_retries=2,
    delay=5,
    backoff=dg.Backoff.EXPONENTIAL,
    jitter=dg.Jitter.PLUS_MINUS,
)


def asset_key(feed: FeedSpec, name: str) -> dg.AssetKey:
    """Key of one of the feed's assets; the feed's name comes first, which groups them in the UI."""
    return dg.AssetKey([feed.name, name])


class AssetDefaults(TypedDict):
    """Arguments of ``dagster.asset`` that all five assets share."""

    key: dg.AssetKey
    group_name: str
    owners: list[str]
    tags: dict[str, str]
    partitions_def: dg.DailyPartitionsDefinition
    backfill_policy: dg.BackfillPolicy
    dagster_type: Any
    code_version: str
    pool: str


def asset_defaults(feed: FeedSpec, name: str, version: str, *settings: Any) -> AssetDefaults:
    """Arguments of ``dagster.asset`` that all five assets share.

    Args:
        version: raised by hand when the asset's own logic changes what it produces.
        settings: the settings that its data depends on; the code version changes with them.
    """
    text = json.dumps([_plain(part) for part in settings], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return AssetDefaults(
        key=asset_key(feed, name),
        group_name=feed.name,
        owners=feed.owners,
        tags=feed.tags,
        partitions_def=daily_partitions(feed),
        backfill_policy=backfill_policy(feed),
        # No value passes between the assets: the data stays in AWS.
        dagster_type=dg.Nothing,
        code_version=f"{version}-{digest}",
        # The repository's dagster.yaml lets one run of a pool be executed at a time.
        pool=feed.name,
    )


def description(feed: FeedSpec, text: str) -> str:
    """An asset's description for the UI: what it is, and what the feed holds."""
    return f"{text}\n\n{feed.name}: {feed.description}"


def _plain(part: Any) -> Any:
    if hasattr(part, "model_dump"):
        return part.model_dump(mode="json")
    if isinstance(part, list):
        return [_plain(item) for item in part]
    return part


@contextmanager
def retry_transient_errors(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> Iterator[None]:
    """Requests a retry of the step for errors that a retry may cure; all others fail it at once.

    Steps have no ``retry_policy``: with one, Dagster (1.13) also retries a step that was
    interrupted, so that a terminated run goes on.

    Raises:
        RetryRequested: a transient error of AWS (throttling, a lost connection, a serialization
            conflict), or an error of unknown cause.
        Failure: an AWS error that a retry cannot cure, with the error's text.
    """
    try:
        yield
    except (dg.Failure, dg.RetryRequested):
        raise
    except Exception as error:
        if isinstance(error, AwsFailure) and not error.retryable:
            raise dg.Failure(str(error)) from error
        attempt = context.op_execution_context.retry_number + 1
        raise dg.RetryRequested(
            max_retries=_RETRIES.max_retries, seconds_to_wait=_RETRIES.calculate_delay(attempt)
        ) from error


def table(records: list[dict[str, Any]]) -> dg.TableMetadataValue | dg.TextMetadataValue:
    """The first rows as a table for the UI."""
    if not records:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table([dg.TableRecord(row) for row in records[:ROWS_SHOWN]])


def column_schema(feed: FeedSpec) -> dg.TableSchemaMetadataValue:
    """The feed's columns as Dagster shows a table's schema."""
    return dg.MetadataValue.table_schema(
        dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name,
                    type=column.type,
                    description=_column_description(column),
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                    tags={"sensitive": "true"} if column.sensitive else {},
                )
                for column in feed.columns
            ]
        )
    )


def _column_description(column: Column) -> str | None:
    """What the column holds, and its name in the files if that is another."""
    if column.header_name == column.name:
        return column.description or None
    return (
        f"{column.description} ({column.header_name})" if column.description else column.header_name
    )
