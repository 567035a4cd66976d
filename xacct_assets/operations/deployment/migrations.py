"""Which migrations of the feeds' tables have to be applied, and applying them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xacct_assets.aws.errors import StatementFailed
from xacct_assets.aws.redshift.sql import literal
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.migration_sql import MIGRATIONS_TABLE, record_sql
from xacct_assets.feed.sql_files.migrations import Migration
from xacct_assets.operations.deployment.warehouse_sql import Sql, SqlScript


@dataclass(frozen=True)
class PendingMigrations:
    """Migrations that are not recorded.

    Attributes:
        apply: of feeds whose tables are there, in order.
        record: of feeds without tables, which are made as after these.
    """

    apply: tuple[Migration, ...] = ()
    record: tuple[Migration, ...] = ()

    def describe(self) -> Iterator[str]:
        """Lines that say what is applied."""
        for migration in self.apply:
            yield f"feed {migration.feed}: migration {migration.name}"
            yield from (f"  {change}" for change in migration.changes)

    def records(self) -> SqlScript:
        """Records those whose changes the new tables have."""
        return SqlScript(
            Path("migrations"),
            [
                record_sql(of.feed, of.name, "the tables were made with it").rstrip(";")
                for of in self.record
            ],
        )


def find_pending(
    sql: Sql,
    feeds: Sequence[FeedSpec],
    migrations: Mapping[str, Sequence[Migration]],
    shared: Sequence[SqlScript],
) -> PendingMigrations:
    """Find the migrations that are not recorded.

    Args:
        sql: a login that makes tables.
        feeds: the feeds to deploy.
        migrations: of each feed, by its name.
        shared: make the tables that all feeds share, unless they are there.
    """
    sql.apply(shared, [])
    recorded = {
        (row["feed"], row["migration"])
        for row in sql.query(f"SELECT feed, migration FROM {MIGRATIONS_TABLE}")  # noqa: S608
    }
    apply: list[Migration] = []
    record: list[Migration] = []
    for feed in feeds:
        new = [of for of in migrations[feed.name] if (of.feed, of.name) not in recorded]
        if new:
            (apply if _has_tables(sql, feed) else record).extend(new)
    return PendingMigrations(tuple(apply), tuple(record))


def apply_migration(sql: Sql, migration: Migration) -> None:
    """Apply a migration.

    Raises:
        StatementFailed: a statement failed; nothing of the transaction was kept, and the migration
            is not recorded.
        CommitUnknown: the connection was lost; the next deployment sees whether it is recorded.
    """
    try:
        for statement in migration.alone:
            sql.run_alone(statement)
        sql.run_once(SqlScript(migration.path, list(migration.together)))
    except StatementFailed as failure:
        raise StatementFailed(
            f"migration {migration.name} of feed {migration.feed} was not applied",
            reason=f"{failure.what}: {failure.reason}" if failure.reason else failure.what,
            fix=f"correct {migration.path} and deploy again. If its changes were made by hand, run "
            f"its INSERT INTO {MIGRATIONS_TABLE} by hand too",
        ) from failure


def _has_tables(sql: Sql, feed: FeedSpec) -> bool:
    schema, _, name = feed.warehouse.fact.rpartition(".")
    rows = sql.query(
        "SELECT c.relname FROM pg_class AS c "  # noqa: S608 -- quoted
        "INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid "
        f"WHERE n.nspname = {literal(schema)} AND c.relname = {literal(name)}"
    )
    return bool(rows)
