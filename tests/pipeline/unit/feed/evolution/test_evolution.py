"""A feed is changed for files with other columns, and older files stay loadable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.feed.evolution import compare, evolve_text
from xacct_assets.feed.evolution.writing import EvolvedFeed
from xacct_assets.feed.loader import load_feeds
from xacct_assets.feed.proposal import Sample, SampleProblem
from xacct_assets.feed.raw_files import file_columns
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.differences import sql_differences
from xacct_assets.feed.sql_files.generator import generate
from xacct_assets.feed.sql_files.migrations import read_migrations
from xacct_assets.feed.sql_files.writing import compare_files, write_files

TEXT = """\
type: xacct_assets.feed.CrossAccountFeed

attributes:
  name: goods
  description: What the shop sells.
  start_date: "2026-01-01"
  source:
    prefix: goods
    csv: {delimiter: ";"}
  columns:
    # Given by the shop.
    - {name: id, type: integer, nullable: false}
    - {name: title, header: "Title (HTML)", type: varchar(10), nullable: false}
    - {name: brand, type: varchar(20)}  # unknown for own brands
    - {name: price, type: "decimal(6,2)"}
    - {name: stock, type: smallint, null_values: ["-"]}
    - {name: sold, type: date}
  key: [id]
  catalog: {database: goods_db, table: goods}
  warehouse: {staging: public.goods, fact: public.goods_f, procedure: public.sp_goods}
  export: {prefix: goods}
"""
FEED = FeedSpec.model_validate(yaml.safe_load(TEXT)["attributes"])
OLD_HEADER = ["id", "Title (HTML)", "brand", "price", "stock", "sold"]
OLD_ROWS = "1;Cup;x;1.50;5;2026-01-01\n2;Pot;;2.00;-;\n"


def sample(header: list[str] | str, rows: str) -> Sample:
    names = header if isinstance(header, str) else ";".join(header)
    return Sample("new.csv", f"{names}\n{rows}".encode())


def evolved(
    given: Sample,
    renamed: Mapping[str, str] | None = None,
    *,
    dropped: tuple[str, ...] = (),
    nullable: tuple[str, ...] = (),
) -> EvolvedFeed:
    found = compare(FEED, [given], renamed or {}, {})
    text, after, renames = evolve_text(TEXT, FEED, found, dropped=dropped, nullable=nullable)
    return EvolvedFeed(FEED, after, text, renames)


def problem(feed: FeedSpec, header: list[str]) -> str | None:
    """What raw_partition says about a file with this header."""
    return file_columns(feed).problem(header, CsvDialect(";"))


def test_files_as_the_feed_says_change_nothing() -> None:
    assert compare(FEED, [sample(OLD_HEADER, OLD_ROWS)], {}, {}).is_empty
    other_order = sample("sold;stock;price;brand;Title (HTML);id", ";;;;Cup;1\n")
    assert compare(FEED, [other_order], {}, {}).is_empty


def test_a_new_column_is_proposed_and_optional_so_that_older_files_load() -> None:
    rows = "1;Cup;x;1.50;5;2026-01-01;1,25;red\n2;Pot;;2.00;-;;2,5;blue\n"
    change = evolved(sample([*OLD_HEADER, "Weight (kg)", "colour"], rows))
    assert [item.describe() for item in change.changes] == [
        "new: weight_kg decimal(12,2)",
        "new: colour varchar(16)",
    ]
    new = {column.name: column for column in change.after.columns}
    assert new["weight_kg"].header == "Weight (kg)"
    assert new["weight_kg"].format == "1234,56"
    assert new["weight_kg"].optional
    assert problem(change.after, OLD_HEADER) is None
    assert problem(change.after, [*OLD_HEADER, "Weight (kg)", "colour"]) is None
    assert problem(FEED, [*OLD_HEADER, "colour"]) is not None
    assert "    # Given by the shop.\n" in change.text
    assert "# unknown for own brands" in change.text


def test_a_column_that_is_gone_becomes_optional_and_keeps_its_old_days() -> None:
    header = [name for name in OLD_HEADER if name not in ("brand", "Title (HTML)")]
    change = evolved(sample(header, "1;1.50;5;2026-01-01\n"))
    # A column that was required may be NULL from now on.
    assert [item.describe() for item in change.changes] == ["nullable: title may be NULL"]
    assert problem(change.after, OLD_HEADER) is None
    assert problem(change.after, header) is None


def test_a_dropped_column_leaves_the_feed_and_older_files_still_load() -> None:
    header = [name for name in OLD_HEADER if name != "Title (HTML)"]
    change = evolved(sample(header, "1;x;1.50;5;2026-01-01\n"), dropped=("title",))
    assert [item.describe() for item in change.changes] == ["gone: title varchar(10)"]
    assert change.after.source.csv.former_columns == ["Title (HTML)"]
    assert problem(change.after, OLD_HEADER) is None
    assert problem(change.after, header) is None
    assert "surprise" in str(problem(change.after, [*header, "surprise"]))


def test_a_renamed_column_is_known_by_both_headers() -> None:
    header = ["id", "Title (HTML)", "Maker", "price", "stock", "sold"]
    change = evolved(sample(header, OLD_ROWS), {"Maker": "brand"})
    assert [item.describe() for item in change.changes] == ["renamed: brand -> maker"]
    assert change.renames == {"maker": "brand"}
    columns = file_columns(change.after)
    assert problem(change.after, OLD_HEADER) is None
    assert columns.positions(OLD_HEADER) == columns.positions(header) == [0, 1, 2, 3, 4, 5]
    assert "repeated" in str(problem(change.after, [*header, "brand"]))


def test_a_header_that_is_written_otherwise_renames_no_column_of_the_tables() -> None:
    header = ["id", "Title", "brand", "price", "stock", "sold"]
    change = evolved(sample(header, OLD_ROWS), {"Title": "title"})
    assert change.changes == []
    assert change.after.columns[1].header_name == "Title"
    assert change.after.columns[1].former_headers == ["Title (HTML)"]
    assert problem(change.after, OLD_HEADER) is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1;Cup with a lid;x;1.50;5;", "widened: title varchar(10) -> varchar(16)"),
        ("1;Cup;x;1.50;40000;", "retyped: stock smallint -> bigint"),
        ("1;Cup;x;12345.50;5;", "retyped: price decimal(6,2) -> decimal(7,2)"),
        ("1;Cup;x;1.125;5;", "retyped: price decimal(6,2) -> decimal(7,3)"),
        ("1;Cup;x;1.50;2.5;", "retyped: stock smallint -> decimal(11,1)"),
        ("1;Cup;x;1.50;many;", "retyped: stock smallint -> varchar(16)"),
        ("1;Cup;x;1.50;5;2026-01-01 10:00:00", "retyped: sold date -> timestamp"),
        ("9999999999;Cup;x;1.50;5;", "retyped: id integer -> bigint"),
    ],
)
def test_a_type_grows_to_what_the_values_need(row: str, said: str) -> None:
    change = evolved(sample(OLD_HEADER, f"{OLD_ROWS}{row}\n"))
    assert [item.describe() for item in change.changes] == [said]


@pytest.mark.parametrize(
    "row",
    ["1;Cup;x;1.500;5;", "1;Ca\u0301fé;x;-9999.99;-32768;2026-12-31", "1;Cup;;;;", "+7;Cup;;;-;"],
)
def test_values_that_fit_change_no_type(row: str) -> None:
    assert not compare(FEED, [sample(OLD_HEADER, f"{row}\n")], {}, {}).widened


def test_rows_without_a_required_value_are_told_and_admitted_on_request() -> None:
    given = sample(OLD_HEADER, "1;;x;1.50;5;\n")
    assert [column.name for column in compare(FEED, [given], {}, {}).empty] == ["title"]
    change = evolved(given, nullable=("title",))
    assert [item.describe() for item in change.changes] == ["nullable: title may be NULL"]


def test_what_cannot_be_decided_alone_is_a_question() -> None:
    rows = "1;Cup;x;1.50;5;;03/04/2026\n2;Pot;x;1.50;5;;05/06/2026\n"
    given = sample([*OLD_HEADER, "listed"], rows)
    found = compare(FEED, [given], {}, {})
    assert [question.about for question in found.questions] == ["date-order"]
    found = compare(FEED, [given], {}, {"date-order": "mdy"})
    assert found.questions == []
    assert found.new[0].settings["format"] == "MM/DD/YYYY"


@pytest.mark.parametrize(
    ("given", "renamed", "said"),
    [
        (sample(OLD_HEADER[1:], "Cup;x;1.50;5;\n"), {}, "--rename id=HEADER"),
        (sample(OLD_HEADER, OLD_ROWS), {"Maker": "brand"}, "no new column 'Maker'"),
        (sample([*OLD_HEADER, "Maker"], "1;C;;;;;x\n"), {"Maker": "label"}, "'label' is no column"),
        (sample("id,title", "1,2\n"), {}, "has no ';'"),
        (sample(OLD_HEADER, ""), {}, "has no rows"),
        (Sample("x.zip", b"PK\x03\x04" + b"\0" * 60), {}, "zip"),
    ],
)
def test_samples_that_are_no_files_of_the_feed_are_refused_with_the_fix(
    given: Sample, renamed: dict[str, str], said: str
) -> None:
    with pytest.raises(SampleProblem, match=said):
        evolved(given, renamed)


def test_a_file_with_templates_is_left_to_a_person() -> None:
    found = compare(FEED, [sample([*OLD_HEADER, "colour"], "1;C;;;;;red\n")], {}, {})
    with pytest.raises(SampleProblem, match="has templates"):
        evolve_text(TEXT.replace("What the shop sells.", "'{{ env.WHAT }}'"), FEED, found)


def test_everything_is_written_and_agrees(tmp_path: Path) -> None:
    folder = tmp_path / "goods"
    folder.mkdir()
    (folder / "defs.yaml").write_text(TEXT)
    write_files(FEED, folder)
    header = ["id", "Title (HTML)", "Maker", "price", "stock", "colour"]
    change = evolved(
        sample(header, "1;A longer title;x;1.50;5;red\n"), {"Maker": "brand"}, dropped=("sold",)
    )
    change.check(folder)
    lines = change.write(folder / "defs.yaml", folder)
    assert [Path(line.partition(": ")[0]).name for line in lines] == [
        "defs.yaml",
        "staging.sql",
        "fact.sql",
        "procedure.sql",
        "0001-renamed-brand-maker-and-3-more.sql",
    ]
    (feed,) = load_feeds(tmp_path)
    assert feed == change.after
    assert compare_files(feed, folder) == []
    assert sql_differences(feed, folder) == []
    assert "maker" in generate(feed)["fact.sql"]
    (migration,) = read_migrations("goods", folder)
    assert migration.changes == (
        "renamed: brand -> maker",
        "gone: sold date",
        "new: colour varchar(16)",
        "widened: title varchar(10) -> varchar(16)",
    )
    again = compare(feed, [sample(header, "1;A longer title;x;1.50;5;red\n")], {}, {})
    assert again.is_empty


def test_a_fact_table_of_the_feeds_own_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "fact.sql").write_text("CREATE TABLE public.goods_f (id INTEGER);")
    change = evolved(sample(OLD_HEADER, f"{OLD_ROWS}9999999999;Cup;x;1.50;5;\n"))
    with pytest.raises(SampleProblem, match="write the migration by hand"):
        change.check(tmp_path)
