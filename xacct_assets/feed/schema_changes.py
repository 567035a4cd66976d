"""Tells the readers of a feed's exports which columns have changed, and since when.

The manifest of a day lists the columns of its files. What changed between two days is in
``_schema_changes/000`` in the feed's export folder: a CSV file with a line for each migration that
was applied to the tables. Names that begin with ``_`` are no data to Spark, Glue and Athena.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import literal, qualified
from xacct_assets.aws.redshift.unload import UnloadOptions, UnloadSpec, statement
from xacct_assets.feed.sql_files.folder import sql_folder
from xacct_assets.feed.sql_files.migration_sql import MIGRATIONS_TABLE
from xacct_assets.feed.sql_files.migrations import Migration, read_migrations
from xacct_assets.sources import sources_root

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

FOLDER = "_schema_changes"


def schema_changes(feed: FeedSpec, aws: AwsClients) -> list[Migration]:
    """The feed's migrations; none where its SQL is not installed."""
    try:
        root = sources_root()
    except DeployFailed:
        return []
    return read_migrations(feed.name, sql_folder(feed.name, root, aws.settings.extra_feeds_dir))


def announcement(feed: FeedSpec, aws: AwsClients) -> str:
    """The UNLOAD of the changes that were applied."""
    settings = aws.settings
    return statement(
        UnloadSpec(
            query=f"SELECT applied_at, migration, description FROM {qualified(MIGRATIONS_TABLE)} "  # noqa: S608
            f"WHERE feed = {literal(feed.name)} ORDER BY applied_at, migration",
            target=f"s3://{aws.export_bucket(feed)}/{feed.export.prefix}/{FOLDER}/",
            role_chain=(settings.role_b_arn, settings.role_a_arn),
            format="CSV",
            options=UnloadOptions(
                parallel=False, compression="none", kms_key_id=aws.export_key(feed)
            ),
        )
    )
