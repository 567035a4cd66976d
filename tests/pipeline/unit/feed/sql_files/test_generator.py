"""The SQL of a feed is written from its defs.yaml, and the committed files are that SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.project import EXTRA_FEEDS_DIR, ROOT
from xacct_assets.aws.redshift.sql import split_statements
from xacct_assets.feed.loader import load_feed, load_feeds
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.folder import sql_folder
from xacct_assets.feed.sql_files.generator import GENERATED, generate
from xacct_assets.feed.sql_files.writing import compare_files, write_files


def changed(**fields: Any) -> FeedSpec:
    """The feed products with other fields."""
    values = load_feed("products").model_dump(exclude_unset=True)
    return FeedSpec.model_validate({**values, **fields})


@pytest.mark.parametrize("name", ["products", "orders", "customers"])
def test_the_committed_sql_is_what_the_generator_writes(name: str) -> None:
    feed = load_feed(name, extra_feeds_dir=EXTRA_FEEDS_DIR)
    folder = sql_folder(name, ROOT, EXTRA_FEEDS_DIR)
    committed = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.sql")}
    assert committed == generate(feed)


def test_the_sql_of_every_feed_splits_into_one_statement_a_file() -> None:
    for feed in load_feeds(extra_feeds_dir=EXTRA_FEEDS_DIR):
        for text in generate(feed).values():
            assert len(split_statements(text)) == 1
            assert text.startswith(GENERATED)


def test_a_reserved_word_is_quoted_wherever_it_is_a_column() -> None:
    feed = changed(
        columns=[
            {"name": "order", "type": "bigint", "nullable": False},
            {"name": "tag", "type": "varchar(8)"},
            {"name": "title", "type": "varchar(8)"},
        ],
        key=["order"],
    )
    files = generate(feed)
    assert '"order"        BIGINT    NOT NULL' in files["fact.sql"]
    assert 'DISTKEY ("order")' in files["fact.sql"]
    assert 'PRIMARY KEY (partition_date, "order")' in files["fact.sql"]
    assert 's."order", s."tag", s.title,' in files["procedure.sql"]
    assert '"tag"          VARCHAR(8)' in files["staging.sql"]


def test_a_key_of_several_columns_distributes_by_its_first() -> None:
    fact = generate(load_feed("orders", extra_feeds_dir=EXTRA_FEEDS_DIR))["fact.sql"]
    assert "DISTKEY (order_id)\nCOMPOUND SORTKEY (partition_date, order_id);" in fact
    assert "one row per order_id, line_no and day" in fact


def test_the_lines_of_a_wide_feed_stay_within_a_hundred_characters() -> None:
    columns: list[dict[str, object]] = [{"name": "id", "type": "bigint", "nullable": False}]
    columns += [{"name": f"google_shopping_custom_label_{n}", "type": "date"} for n in range(46)]
    procedure = generate(changed(columns=columns))["procedure.sql"]
    lists = [line for line in procedure.splitlines() if "custom_label" in line]
    assert len(lists) > 20
    assert max(map(len, lists)) <= 100
    assert "s.google_shopping_custom_label_45," in procedure


def test_files_of_the_feed_s_own_are_kept_and_others_are_written(tmp_path: Path) -> None:
    feed = load_feed("products")
    (tmp_path / "procedure.sql").write_text("-- Keeps history.\nSELECT 1;\n")
    (tmp_path / "staging.sql").write_text(f"{GENERATED} products` long ago.\n")
    lines = write_files(feed, tmp_path)
    assert [line.partition(": ")[2].partition(",")[0] for line in lines] == [
        "written anew",
        "written",
        "kept",
    ]
    assert (tmp_path / "procedure.sql").read_text() == "-- Keeps history.\nSELECT 1;\n"
    assert (tmp_path / "fact.sql").read_text() == generate(feed)["fact.sql"]
    assert compare_files(feed, tmp_path) == []
    assert write_files(feed, tmp_path)[1].endswith("up to date")


def test_what_is_not_written_or_not_up_to_date_is_named_with_the_command(tmp_path: Path) -> None:
    feed = load_feed("products")
    write_files(feed, tmp_path)
    (tmp_path / "fact.sql").unlink()
    staging = tmp_path / "staging.sql"
    staging.write_text(staging.read_text().replace("brand", "maker"))
    problems = compare_files(feed, tmp_path)
    assert problems == [
        f"{staging} is not what defs.yaml says: xacct feed sql products writes it",
        f"{tmp_path / 'fact.sql'} does not exist: xacct feed sql products",
    ]
