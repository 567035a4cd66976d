"""Migrations are applied once, in order, to tables that are there; new tables have them already."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.unit.operations.deployment.conftest import Installation
from xacct_assets.aws.errors import DeployFailed, StatementFailed
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.migration_sql import record_sql
from xacct_assets.feed.sql_files.migrations import Migration
from xacct_assets.feed.sql_files.writing import write_files
from xacct_assets.operations.deployment.migrations import apply_migration, find_pending
from xacct_assets.operations.deployment.warehouse_setup import WarehouseSetup
from xacct_assets.operations.deployment.warehouse_sql import DataApiSql, SqlScript

FEED = load_feed("products")


class FakeSql:
    """A login to Redshift that records its statements; one of them may fail.

    Attributes:
        tables: names of the tables that are there.
        recorded: names of recorded migrations.
    """

    route = "wire"

    def __init__(self, tables: Sequence[str] = (), recorded: Sequence[str] = ()) -> None:
        self.tables = tables
        self.recorded = recorded
        self.fails = ""
        self.done: list[str] = []

    def query(self, sql: str) -> list[dict[str, Any]]:
        if "pg_class" in sql:
            return [{"relname": name} for name in self.tables if f"'{name}'" in sql]
        return [{"feed": "products", "migration": name} for name in self.recorded]

    def run_alone(self, statement: str) -> None:
        self._run(statement)

    def run_once(self, script: SqlScript) -> None:
        self._run(" + ".join(script.statements))

    def apply(self, scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec]) -> None:
        self.done.append("shared")

    def _run(self, text: str) -> None:
        if self.fails and self.fails in text:
            raise StatementFailed("statement 1 failed", reason="no such column")
        self.done.append(text)


def migration(number: int) -> Migration:
    name = f"000{number}-x"
    return Migration(
        "products", name, Path(f"{name}.sql"), (f"alone {number}",), ("a", "b"), ("new: a int",)
    )


def pending(sql: FakeSql) -> Any:
    return find_pending(sql, [FEED], {"products": [migration(1), migration(2)]}, [])


def test_those_that_are_not_recorded_are_applied_in_order() -> None:
    sql = FakeSql(tables=["products_f"], recorded=["0001-x"])
    found = pending(sql)
    assert [one.name for one in found.apply] == ["0002-x"]
    assert found.record == ()
    assert list(found.describe()) == ["feed products: migration 0002-x", "  new: a int"]
    apply_migration(sql, found.apply[0])
    assert sql.done == ["shared", "alone 2", "a + b"]


def test_tables_that_are_not_there_are_made_with_all_of_them() -> None:
    found = pending(FakeSql())
    assert found.apply == ()
    statements = found.records().statements
    assert len(statements) == 2
    assert (
        "VALUES ('products', '0002-x', 'the tables were made with it', GETDATE())"
        in (statements[1])
    )


def test_nothing_is_pending_once_all_are_recorded() -> None:
    found = pending(FakeSql(tables=["products_f"], recorded=["0001-x", "0002-x"]))
    assert (found.apply, found.record) == ((), ())


def test_a_failure_names_the_migration_and_what_to_do() -> None:
    sql = FakeSql()
    sql.fails = "a + b"
    with pytest.raises(StatementFailed) as raised:
        apply_migration(sql, migration(1))
    assert "migration 0001-x of feed products was not applied" in str(raised.value)
    assert "no such column" in (raised.value.reason or "")
    assert "run its INSERT INTO public.xacct_migrations by hand too" in (raised.value.fix or "")
    assert sql.done == ["alone 1"]


def test_a_transaction_that_the_data_api_cannot_run_as_one_is_refused_before_it_begins() -> None:
    sql = DataApiSql(api=None)  # type: ignore[arg-type]
    with pytest.raises(DeployFailed, match="41 statements in its transaction"):
        sql.run_once(SqlScript(Path("0001-x.sql"), ["SELECT 1"] * 41))


@pytest.fixture
def evolved(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSql:
    """An installation whose feed products has a migration; its login to Redshift."""
    folder = tmp_path / "products"
    (folder / "migrations").mkdir(parents=True)
    write_files(FEED, folder)
    (folder / "migrations" / "0001-x.sql").write_text(
        f"-- new: a int\nALTER TABLE t ALTER COLUMN b TYPE VARCHAR(9);\nBEGIN;\n"
        f"{record_sql('products', '0001-x', 'new: a int')}\nCOMMIT;\n"
    )
    installation.settings = dataclasses.replace(installation.settings, extra_feeds_dir=tmp_path)
    sql = FakeSql(tables=["products_f"])
    monkeypatch.setattr(WarehouseSetup, "_table_owner", sql)
    return sql


def test_a_migration_is_shown_and_asked_for_before_anything_of_it_runs(
    installation: Installation, evolved: FakeSql
) -> None:
    installation.deploy()
    evolved.done.clear()
    installation.answer = False
    assert installation.deploy() == "declined"
    assert installation.questions == ["Apply these migrations to the tables?"]
    assert installation.has("feed products: migration 0001-x")
    assert installation.has("  new: a int")
    assert evolved.done == ["shared"]


def test_a_migration_that_is_agreed_to_is_a_change_and_is_not_asked_for_again(
    installation: Installation, evolved: FakeSql
) -> None:
    assert installation.deploy() == "deployed"
    alone, together = evolved.done[1:]
    assert alone == "ALTER TABLE t ALTER COLUMN b TYPE VARCHAR(9)"
    assert together.startswith("INSERT INTO public.xacct_migrations")
    assert installation.has("migration 0001-x of feed products: applied")
    evolved.recorded = ["0001-x"]
    installation.deploy()
    assert "Apply these migrations to the tables?" not in installation.questions
    assert not installation.has("migration")
