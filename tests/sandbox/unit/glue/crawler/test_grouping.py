"""Folders become tables and partitions as the Glue developer guide says."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.glue.crawler.grouping import Leaf, find_tables, table_name, with_hash
from xacct_sandbox.glue.crawler.infer.schema import Layout, Schema

CSV = Layout("csv", "none", ",", header=True)


def schema(*columns: str, layout: Layout = CSV) -> Schema:
    return Schema(layout=layout, columns=dict.fromkeys(columns, "string"))


def leaf(path: str, *columns: str, layout: Layout = CSV) -> Leaf:
    return Leaf(tuple(path.split("/")) if path else (), schema(*(columns or "abc"), layout=layout))


def test_day_folders_become_one_table_with_numbered_partition_keys():
    (table,) = find_tables([leaf("2026/01/01"), leaf("2026/01/02"), leaf("2026/02/01")])
    assert table.root == ()
    assert table.keys == ("partition_0", "partition_1", "partition_2")
    assert [table.values_of(entry) for entry in table.leaves] == [
        ("2026", "01", "01"),
        ("2026", "01", "02"),
        ("2026", "02", "01"),
    ]


def test_key_value_folders_name_their_keys():
    (table,) = find_tables([leaf("Year=2019/month=Jan/day=1"), leaf("Year=2019/month=Feb/day=2")])
    assert table.keys == ("year", "month", "day")
    assert table.values_of(table.leaves[1]) == ("2019", "Jan", "1")


def test_a_level_that_mixes_both_is_numbered_and_keeps_the_folders_whole_name():
    (table,) = find_tables([leaf("year=2019"), leaf("2020")])
    assert table.keys == ("partition_0",)
    assert table.values_of(table.leaves[1]) == ("year=2019",)


def test_one_folder_alone_is_still_a_partition():
    (table,) = find_tables([leaf("2026/01/01")])
    assert table.root == ()
    assert table.keys == ("partition_0", "partition_1", "partition_2")


def test_the_guides_similar_tables_become_one_with_the_folder_as_first_key():
    paths = ["table1/p1", "table1/p2", "table1/p3", "table2/p4", "table2/p5"]
    (table,) = find_tables([leaf(path) for path in paths])
    assert table.values_of(table.leaves[3]) == ("table2", "p4")


def test_schemas_too_different_become_tables_of_their_own():
    # The guide's example: {A, B} and {C, D} are two tables, or one if compatible ones are combined.
    leaves = [leaf("year=2017", "a", "b"), leaf("year=2018", "c", "d")]
    assert [table.root for table in find_tables(leaves)] == [("year=2017",), ("year=2018",)]
    (combined,) = find_tables(leaves, ignore_similarity=True)
    assert list(combined.schema.columns) == ["a", "b", "c", "d"]
    assert combined.keys == ("year",)


def test_a_folder_that_differs_does_not_split_the_majority():
    days = [leaf(f"2026/01/{day:02}") for day in range(1, 6)]
    odd = leaf("2026/01/06", layout=Layout("csv", "gzip", ",", header=True))
    tables = find_tables([*days, odd])
    assert [(table.root, len(table.leaves)) for table in tables] == [
        ((), 5),
        (("2026", "01", "06"), 1),
    ]


def test_combining_schemas_never_combines_formats():
    leaves = [leaf("a", "x"), leaf("b", "x", layout=Layout("json"))]
    assert len(find_tables(leaves, ignore_similarity=True)) == 2


def test_a_missing_column_keeps_a_day_in_its_table():
    nine = "abcdefghi"
    (table,) = find_tables([leaf("1", *nine), leaf("2", *nine), leaf("3", *nine[:-1])])
    assert list(table.schema.columns) == list(nine)


def test_folders_of_different_depth_are_not_one_table():
    assert len(find_tables([leaf("2026/01/01"), leaf("2026/01")])) == 2


def test_files_in_the_include_path_itself_are_a_table_without_partitions():
    (table,) = find_tables([leaf("")])
    assert (table.root, table.keys) == ((), ())


def test_a_partition_key_never_hides_a_column():
    (table,) = find_tables([leaf("id=1", "id", "b"), leaf("id=2", "id", "b")])
    assert table.keys == ("partition_0",)


def test_a_table_is_named_after_its_folder():
    assert table_name((), ("bucket", "Sales-Data"), "") == "sales_data"
    assert table_name(("year=2017",), ("bucket",), "Raw_") == "raw_year_2017"
    assert table_name((), ("my.bucket",), "") == "my_bucket"
    assert len(with_hash("n" * 128, "s3://x/")) == 128


@given(
    start=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    days=st.integers(1, 60),
    shuffle=st.randoms(),
)
def test_any_run_of_days_in_any_order_is_one_table_with_one_partition_a_day(start, days, shuffle):
    leaves = [leaf(f"{start + timedelta(day):%Y/%m/%d}") for day in range(days)]
    shuffle.shuffle(leaves)
    (table,) = find_tables(leaves)
    assert table.root == ()
    assert len({table.values_of(entry) for entry in table.leaves}) == days
