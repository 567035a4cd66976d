"""A migration changes both tables as Redshift allows it, and is recorded where it happens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.column_changes import column_changes
from xacct_assets.feed.sql_files.migration_sql import migration_sql
from xacct_assets.feed.sql_files.migrations import Migration, next_name, read_migrations

BEFORE = load_feed("products")


def with_columns(
    *, latest: str | None = None, key: Sequence[str] = ("id",), **changes: Any
) -> FeedSpec:
    """The feed products with other fields of its columns; None removes one, a new name adds one."""
    values = BEFORE.model_dump(exclude_unset=True)
    columns = {column["name"]: column for column in values["columns"]}
    for name, fields in changes.items():
        if fields is None:
            del columns[name]
        else:
            columns[name] = {**columns.get(name, {"name": name}), **fields}
    warehouse = {**values["warehouse"], **({"latest": latest} if latest else {})}
    return FeedSpec.model_validate(
        {**values, "columns": list(columns.values()), "warehouse": warehouse, "key": list(key)}
    )


def migration(tmp_path: Path, after: FeedSpec, renamed: dict[str, str] | None = None) -> Migration:
    """The migration to a changed feed, written to a file and read again."""
    changes = column_changes(BEFORE, after, renamed)
    path = tmp_path / "0001-change.sql"
    path.write_text(migration_sql(BEFORE, after, changes, path.stem))
    return Migration.read("products", path)


def test_a_new_column_is_added_to_both_tables_and_may_be_null(tmp_path: Path) -> None:
    after = with_columns(order={"type": "varchar(9)", "nullable": False, "default": "x"})
    found = migration(tmp_path, after)
    assert found.alone == ()
    assert found.together[:-1] == (
        'ALTER TABLE public.products ADD COLUMN "order" VARCHAR(9)',
        'ALTER TABLE public.products_f ADD COLUMN "order" VARCHAR(9)',
    )
    assert found.together[-1].startswith("INSERT INTO public.xacct_migrations")
    assert "'products', '0001-change', 'new: order varchar(9)'" in found.together[-1]
    assert found.changes == ("new: order varchar(9)",)


def test_a_longer_text_is_widened_outside_of_the_transaction_before_it_is_renamed(
    tmp_path: Path,
) -> None:
    after = with_columns(brand=None, maker={"type": "varchar(300)"})
    found = migration(tmp_path, after, {"maker": "brand"})
    assert found.alone == (
        "ALTER TABLE public.products ALTER COLUMN brand TYPE VARCHAR(300)",
        "ALTER TABLE public.products_f ALTER COLUMN brand TYPE VARCHAR(300)",
    )
    assert found.together[:-1] == (
        "ALTER TABLE public.products RENAME COLUMN brand TO maker",
        "ALTER TABLE public.products_f RENAME COLUMN brand TO maker",
    )
    assert found.changes == (
        "renamed: brand -> maker",
        "widened: maker varchar(128) -> varchar(300)",
    )


@pytest.mark.parametrize(
    ("column", "fields", "value", "said"),
    [
        ("stock", {"type": "bigint"}, "CAST(stock AS BIGINT)", "retyped: stock integer -> bigint"),
        (
            "price",
            {"type": "decimal(14,4)"},
            "CAST(price AS DECIMAL(14, 4))",
            "retyped: price decimal(12,2) -> decimal(14,4)",
        ),
        ("category", {"nullable": True}, "category", "nullable: category may be NULL"),
        (
            "brand",
            {"type": "varchar(20)"},
            "CAST(brand AS VARCHAR(20))",
            "retyped: brand varchar(128) -> varchar(20)",
        ),
    ],
)
def test_any_other_change_of_a_column_is_a_copy_in_the_transaction(
    tmp_path: Path, column: str, fields: dict[str, object], value: str, said: str
) -> None:
    found = migration(tmp_path, with_columns(**{column: fields}))
    assert found.alone == ()
    assert found.changes == (said,)
    new = f"{column}_evolved"
    assert [sql.partition("products_f ")[2] for sql in found.together[4:8]] == [
        f"ADD COLUMN {new} {found.together[4].rpartition(new)[2].strip()}",
        f"SET {new} = {value}",
        f"DROP COLUMN {column}",
        f"RENAME COLUMN {new} TO {column}",
    ]


def test_a_changed_key_column_makes_the_fact_table_anew_with_its_rows(tmp_path: Path) -> None:
    after = with_columns(
        id=None, number={"type": "varchar(20)", "nullable": False}, key=["number"], stock=None
    )
    found = migration(tmp_path, after, {"number": "id"})
    rename, create, insert, drop = found.together[-5:-1]
    assert rename == "ALTER TABLE public.products_f RENAME TO products_f_evolved"
    assert create.startswith("CREATE TABLE IF NOT EXISTS public.products_f (")
    assert "DISTKEY (number)" in create
    assert "category, brand" in insert
    assert "stock" not in insert
    assert "CAST(id AS VARCHAR(20))" in insert
    assert insert.endswith("partition_date, loaded_at FROM public.products_f_evolved")
    assert drop == "DROP TABLE public.products_f_evolved"
    assert "grants to others" in found.path.read_text()


def test_the_view_of_the_newest_day_is_made_anew_around_the_changes(tmp_path: Path) -> None:
    after = with_columns(latest="public.products_latest", name={"type": "varchar(300)"}, stock=None)
    found = migration(tmp_path, after)
    drop = "DROP VIEW IF EXISTS public.products_latest"
    assert found.alone[0] == found.together[0] == drop
    assert found.together[-2].startswith("CREATE OR REPLACE VIEW public.products_latest AS")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ALTER TABLE t ADD COLUMN a INT;", "it needs one BEGIN"),
        ("BEGIN; ALTER TABLE t ADD COLUMN a INT;", "it needs one BEGIN"),
        ("BEGIN; ALTER TABLE t ADD COLUMN a INT; COMMIT;", "does not record itself"),
        ("BEGIN; SELECT 'open; COMMIT;", "cannot be read as SQL"),
    ],
)
def test_a_file_that_is_no_migration_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001-x.sql").write_text(text)
    with pytest.raises(DeployFailed, match=said):
        read_migrations("products", tmp_path)


def test_names_are_numbered_and_unique(tmp_path: Path) -> None:
    assert next_name(tmp_path, "new colour, brand → maker") == "0001-new-colour-brand-maker"
    folder = tmp_path / "migrations"
    folder.mkdir()
    record = "INSERT INTO public.xacct_migrations VALUES ('products', '{}', 'd', GETDATE())"
    for name in ("0007-a", "0007-b"):
        (folder / f"{name}.sql").write_text(f"BEGIN; {record.format(name)}; COMMIT;")
    assert next_name(tmp_path, "!") == "0008-change"
    with pytest.raises(DeployFailed, match="has the number of 0007-a"):
        read_migrations("products", tmp_path)
    (folder / "0007-b.sql").rename(folder / "eight.sql")
    with pytest.raises(DeployFailed, match="no name of a migration"):
        read_migrations("products", tmp_path)
