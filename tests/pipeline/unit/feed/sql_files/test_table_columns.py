"""The columns of a table are read from its CREATE TABLE, however a person wrote it."""

from __future__ import annotations

import pytest

from tests.support.project import ROOT
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.sql_files.table_columns import TableColumn, canonical_type, read_tables


def test_the_tables_of_a_feed_are_read_with_types_as_in_its_file() -> None:
    feed = load_feed("products")
    (columns,) = read_tables((ROOT / "sql" / "products" / "staging.sql").read_text()).values()
    assert [(column.name, column.type, column.nullable) for column in columns[:-1]] == [
        (column.name, column.type, column.nullable) for column in feed.columns
    ]
    assert columns[-1] == TableColumn("partition_date", "date", False)


def test_comments_quotes_defaults_and_constraints_are_understood() -> None:
    script = """
    /* of, a ( shop */ create table "Shop"."Lines" ( -- the key, below
        Order_ID int8 ENCODE az64 distkey,
        "note" character varying (20) default 'a, (b' not null, "order" text NULL,
        amount numeric ( 14 , 2 ) not /* never */ null,
        at timestamp without time zone sortkey,
        constraint pk primary key (order_id, "order")
    ) diststyle key;
    CREATE TABLE other (primary_colour CHAR, unique_id VARCHAR(MAX) PRIMARY KEY);
    """
    tables = read_tables(script)
    assert tables == {
        "shop.lines": [
            TableColumn("order_id", "bigint", False),
            TableColumn("note", "varchar(20)", False),
            TableColumn("order", "varchar(256)", False),
            TableColumn("amount", "decimal(14,2)", False),
            TableColumn("at", "timestamp", True),
        ],
        "public.other": [
            TableColumn("primary_colour", "char(1)", True),
            TableColumn("unique_id", "varchar(65535)", False),
        ],
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("INT", "integer"),
        ("float", "double precision"),
        ("DOUBLE  PRECISION", "double precision"),
        ("float4", "real"),
        ("Bool", "boolean"),
        ("decimal", "decimal(18,0)"),
        ("DECIMAL(8)", "decimal(8,0)"),
        ("nvarchar(5)", "varchar(5)"),
        ("varchar", "varchar(256)"),
        ("bpchar", "char(256)"),
        ("character(3)", "char(3)"),
        ("timestamp with time zone", "timestamptz"),
        ("TIMESTAMPTZ", "timestamptz"),
        ("time without time zone", "time"),
        ("super", "super"),
        ("geometry", "geometry"),
    ],
)
def test_a_type_is_spelled_as_in_a_feed_s_file(written: str, expected: str) -> None:
    assert canonical_type(written) == expected


def test_tables_made_by_other_statements_are_not_read() -> None:
    assert read_tables("CREATE TABLE a AS SELECT 1 AS x; CREATE VIEW b AS SELECT 1;") == {}
