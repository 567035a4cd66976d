"""Where the committed SQL is not what defs.yaml says, the column is named, with the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.project import EXTRA_FEEDS_DIR
from xacct_assets.feed.loader import FeedFileError, load_feed, load_feeds
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.differences import refuse_differences, sql_differences
from xacct_assets.feed.sql_files.writing import write_files

FEED = load_feed("products")
OWN_PROCEDURE = """
-- Keeps the history of prices, by MERGE.
CREATE OR REPLACE PROCEDURE public.sp_products(first_day IN DATE, last_day IN DATE)
AS $$
BEGIN
    MERGE INTO products_f USING changes ON products_f.id = changes.id
    WHEN MATCHED THEN UPDATE SET price = changes.price
    WHEN NOT MATCHED THEN INSERT VALUES (changes.id);
    UPDATE public.xacct_load_audit SET transformed_at = GETDATE() WHERE feed = 'products';
END;
$$ LANGUAGE plpgsql;
"""


@pytest.fixture
def differences(tmp_path: Path) -> Callable[..., list[str]]:
    """What is said after a replacement in one file of the generated SQL."""
    write_files(FEED, tmp_path)

    def of(file: str, before: str, after: str, feed: FeedSpec = FEED) -> list[str]:
        path = tmp_path / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
        return [f"{problem}: {fix}" for problem, fix in sql_differences(feed, tmp_path)]

    return of


def test_the_committed_feeds_do_not_differ() -> None:
    refuse_differences(load_feeds(extra_feeds_dir=EXTRA_FEEDS_DIR), EXTRA_FEEDS_DIR)


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        (
            "staging.sql",
            "DECIMAL(12, 2)",
            "DECIMAL(10, 2)",
            "column price of public.products is decimal(10,2), in defs.yaml decimal(12,2)",
        ),
        ("fact.sql", "stock          INTEGER,\n    ", "", "public.products_f has no column stock"),
        (
            "staging.sql",
            "brand          VARCHAR(128)",
            "brand VARCHAR(128) NOT NULL",
            "column brand of public.products is NOT NULL, in defs.yaml nullable",
        ),
        (
            "staging.sql",
            "partition_date DATE",
            "maker INT NOT NULL,\n    partition_date DATE",
            "public.products requires maker, which defs.yaml does not have",
        ),
        (
            "fact.sql",
            "loaded_at      TIMESTAMP",
            "loaded_at      DATE",
            "column loaded_at of public.products_f is date, in defs.yaml timestamp",
        ),
        (
            "procedure.sql",
            "currency, stock, description",
            "currency, description",
            "public.sp_products does not write column stock",
        ),
        (
            "procedure.sql",
            "id, name, category",
            "id, title, name, category",
            "public.sp_products writes title, which defs.yaml does not have",
        ),
        (
            "procedure.sql",
            "SET transformed_at",
            "SET loaded_at",
            "public.sp_products does not set transformed_at of public.xacct_load_audit",
        ),
        (
            "procedure.sql",
            "(from_day IN DATE, to_day IN DATE)",
            "(from_day IN DATE)",
            "public.sp_products must take two parameters, the first and the last day",
        ),
    ],
)
def test_a_difference_names_the_column_and_the_command(
    differences: Callable[..., list[str]],
    tmp_path: Path,
    file: str,
    before: str,
    after: str,
    said: str,
) -> None:
    (difference,) = differences(file, before, after)
    assert difference.startswith(f"{tmp_path / file}: {said}")
    assert difference.endswith(": xacct feed sql products")


def test_a_wider_or_looser_staging_table_is_no_difference_if_the_feed_says_less(
    differences: Callable[..., list[str]],
) -> None:
    assert differences("staging.sql", "INTEGER", "INTEGER,\n    remark VARCHAR(9)") == []
    assert (
        differences("staging.sql", "category       VARCHAR(64)    NOT NULL", "category VARCHAR(64)")
        == []
    )


def test_a_procedure_of_its_own_is_only_held_to_the_contract(tmp_path: Path) -> None:
    write_files(FEED, tmp_path)
    procedure = tmp_path / "procedure.sql"
    procedure.write_text(OWN_PROCEDURE)
    fact = tmp_path / "fact.sql"
    fact.write_text(fact.read_text().partition("\n")[2].replace("DECIMAL(12, 2)", "FLOAT"))
    assert sql_differences(FEED, tmp_path) == []
    procedure.write_text(OWN_PROCEDURE.replace("xacct_load_audit", "journal"))
    ((problem, fix),) = sql_differences(FEED, tmp_path)
    assert "public.sp_products does not use public.xacct_load_audit, which" in problem
    assert fix == "correct procedure.sql or defs.yaml"


def test_an_unreadable_file_is_named_and_a_folder_without_tables_is_not_compared(
    tmp_path: Path,
) -> None:
    assert sql_differences(FEED, tmp_path) == []
    (tmp_path / "fact.sql").write_text("CREATE TABLE public.products_f (name VARCHAR(10) 'open")
    ((problem, _),) = sql_differences(FEED, tmp_path)
    assert "is not readable as SQL: the string that starts on line 1" in problem


def test_the_location_refuses_a_difference_with_every_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "products").mkdir()
    write_files(FEED, tmp_path / "products")
    wider = FEED.columns[1].model_copy(update={"type": "varchar(512)"})
    feed = FEED.model_copy(update={"columns": [FEED.columns[0], wider, *FEED.columns[2:]]})
    with pytest.raises(FeedFileError) as raised:
        refuse_differences([feed], tmp_path)
    lines = str(raised.value).splitlines()
    assert lines[0] == "SQL and defs.yaml differ:"
    assert len(lines) == 3
    assert "column name of public.products is varchar(256), in defs.yaml varchar(512)" in lines[2]
