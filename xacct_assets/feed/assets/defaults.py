"""What the five assets of a feed have in common."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.feed.partitions import backfill_policy, daily_partitions
from xacct_assets.feed.spec import FeedSpec

# Rows of a table shown in the UI; the counts beside it are always complete.
ROWS_SHOWN = 50


# Retries of a step, and seconds before the first; what a retry cannot mend is not retried.
RETRIES, RETRY_DELAY = 2, 5


def retry_policy() -> dg.RetryPolicy:
    """For steps whose failure may pass: throttling, a lost connection, a rival transaction."""
    return dg.RetryPolicy(
        max_retries=RETRIES,
        delay=RETRY_DELAY,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )


def asset_key(feed: FeedSpec, name: str) -> dg.AssetKey:
    """Key of one of the feed's assets: the feed first, so that feeds stand apart in the UI."""
    return dg.AssetKey([feed.name, name])


def pool(feed: FeedSpec, what: str) -> str:
    """Name of a pool of the feed; dagster.yaml says how many steps of a pool run at once."""
    return f"{feed.name}_{what}"


def common(feed: FeedSpec, name: str, version: str, *about: Any) -> dict[str, Any]:
    """Arguments that all five assets share.

    Args:
        version: raised by hand when the asset's own logic changes what it produces.
        about: the settings that what it produces depends on; the code version follows them.
    """
    settings = json.dumps([_plain(part) for part in about], sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return {
        "key": asset_key(feed, name),
        "group_name": feed.name,
        "owners": feed.owners,
        "tags": feed.tags,
        "partitions_def": daily_partitions(feed),
        "backfill_policy": backfill_policy(feed),
        # No value passes between the assets: the data stays in AWS.
        "dagster_type": dg.Nothing,
        "code_version": f"{version}-{digest}",
        "retry_policy": retry_policy(),
    }


def _plain(part: Any) -> Any:
    if hasattr(part, "model_dump"):
        return part.model_dump(mode="json")
    if isinstance(part, list):
        return [_plain(item) for item in part]
    return part


@contextmanager
def fail_fast_on_permanent_errors() -> Iterator[None]:
    """Let Dagster retry only what a retry can help; the others fail at once, in their own words."""
    try:
        yield
    except AwsFailure as error:
        if error.retryable:
            raise
        raise dg.Failure(description=str(error), allow_retries=False) from error


def table(records: list[dict[str, Any]]) -> dg.TableMetadataValue | dg.TextMetadataValue:
    """The first rows of a table for the UI."""
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
                    description=column.description or None,
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in feed.columns
            ]
        )
    )
