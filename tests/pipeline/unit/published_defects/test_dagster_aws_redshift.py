"""Defects of dagster-aws's RedshiftClientResource."""

from __future__ import annotations

from importlib import metadata
from typing import Any
from unittest.mock import MagicMock

import pytest
import redshift_connector

from xacct_assets.aws.errors import StatementFailed
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.secretsmanager import WarehouseCredentials

LOGIN = WarehouseCredentials("h.example", 5439, "dev", "etl", "s3cr3t")


class Database:
    """A connection that remembers what was asked of it, and refuses what it is told to."""

    description = ((b"n", 1),)
    rowcount = 1

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.executed: list[tuple[str, tuple[Any, ...]]] = []
        self.ended: list[str] = []
        self._usock = MagicMock()

    def __call__(self, **_: Any) -> Database:
        return self

    def cursor(self) -> Database:
        return self

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, sql: str, params: tuple[Any, ...] = ()) -> None:
        self.executed.append((sql, tuple(params)))
        if self.refuse and self.refuse in sql:
            raise redshift_connector.ProgrammingError({"C": "42P01", "M": "no such table"})

    def fetchall(self) -> list[list[int]]:
        return [[1]]

    def commit(self) -> None:
        self.ended.append("commit")

    def rollback(self) -> None:
        self.ended.append("rollback")

    def close(self) -> None:
        return None


def test_the_driver_is_the_one_that_aws_makes_for_redshift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RedshiftClientResource needs psycopg2, a driver for PostgreSQL with libraries of its own."""
    needed = [line.lower() for line in metadata.requires("xacct_assets") or []]
    assert any(line.startswith("redshift-connector") for line in needed)
    assert not any(line.startswith("psycopg") for line in needed)
    database = Database()
    monkeypatch.setattr(redshift_connector, "connect", database)
    monkeypatch.setattr("xacct_assets.aws.redshift.warehouse.probe", lambda *_: None)
    assert Warehouse(lambda: LOGIN).query("SELECT n FROM t") == [{"n": 1}]
    assert database.executed == [("SELECT n FROM t", ())]


@pytest.mark.parametrize("ask", ["query", "execute"])
def test_values_travel_beside_the_statement_and_never_in_it(ask: str) -> None:
    """RedshiftClientResource takes no parameters: values have to be written into the SQL text."""
    database, hostile = Database(), "x'; DROP TABLE products_f; --"
    warehouse = Warehouse(lambda: LOGIN, connector=database)
    getattr(warehouse, ask)("DELETE FROM t WHERE name = %s AND n = %s", (hostile, 5))
    assert database.executed == [("DELETE FROM t WHERE name = %s AND n = %s", (hostile, 5))]


def test_what_was_done_before_a_failure_is_not_committed() -> None:
    """RedshiftClientResource commits in a ``finally``: half a transaction is kept."""
    database = Database(refuse="missing")

    def work(connection: Any) -> None:
        connection.cursor().execute("DELETE FROM products")
        connection.cursor().execute("INSERT INTO missing SELECT 1")

    with pytest.raises(StatementFailed, match="no such table"):
        Warehouse(lambda: LOGIN, connector=database).transaction(work)
    assert [sql for sql, _ in database.executed] == [
        "DELETE FROM products",
        "INSERT INTO missing SELECT 1",
    ]
    assert database.ended == ["rollback"]
