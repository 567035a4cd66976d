"""What a feed's file may not hold; the message names field and fix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.feed import spec
from xacct_assets.feed.loader import DEFS_FOLDER, FeedFileError, load_feed, load_feeds
from xacct_assets.feed.spec import FeedSpec

PRODUCTS = (DEFS_FOLDER / "products" / "defs.yaml").read_text(encoding="utf-8")


def attributes() -> dict[str, Any]:
    return yaml.safe_load(PRODUCTS)["attributes"]


def refused(change: Callable[[dict[str, Any]], Any]) -> str:
    """The message that refuses the changed feed."""
    values = attributes()
    change(values)
    with pytest.raises(ValidationError) as caught:
        FeedSpec.model_validate(values)
    return str(caught.value)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for part in parents:
            values = values[int(part)] if isinstance(values, list) else values[part]
        values[last] = value

    return change


def test_every_field_has_a_description() -> None:
    models = [
        kind
        for kind in vars(spec).values()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not ColumnType
    ]
    assert len(models) > 8
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"


@pytest.mark.parametrize(
    ("retention", "arrival", "reason"),
    [
        (2, {}, "keep raw files for 3 days or more"),
        (8, {"days_ahead": 7}, "keep raw files for 9 days or more"),
        (30, {"sweep_days_back": 90}, "arrival.sweep_days_back: 90 .* give at most 29"),
        (5, {"days_back": 5}, "arrival.days_back: 5 .* give at most 4"),
    ],
)
def test_a_retention_that_the_sensor_reaches_past_is_refused(
    retention: int, arrival: dict[str, Any], reason: str
) -> None:
    values = attributes()
    values["source"]["retention_days"] = retention
    values["arrival"] = arrival
    with pytest.raises(ValidationError, match=reason):
        FeedSpec.model_validate(values)


@pytest.mark.parametrize("megabytes", [-1, 1.5, "90", None])
def test_the_size_until_which_rows_are_counted_is_a_number_of_megabytes(megabytes: Any) -> None:
    assert "source.count_until_mb" in refused(put("source.count_until_mb", megabytes))
    values = attributes()
    assert FeedSpec.model_validate(values).source.count_until_mb == 2000
    values["source"]["count_until_mb"] = 0
    assert FeedSpec.model_validate(values).source.count_until_mb == 0


@pytest.mark.parametrize("retention", [0, -1, 1.5, "90"])
def test_a_retention_is_a_number_of_days(retention: Any) -> None:
    assert "source.retention_days" in refused(put("source.retention_days", retention))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("warehouse.staging", "public.products; DROP TABLE x"),
        ("warehouse.staging", 'public."products"'),
        ("warehouse.fact", "products_f"),
        ("warehouse.procedure", "public.sp_products()"),
        ("warehouse.load_audit", "public.xacct_load_audit--"),
        ("catalog.database", "Products_DB"),
        ("catalog.table", "products/../x"),
        ("catalog.crawler", "name with spaces"),
        ("columns.0.name", "id; --"),
        ("columns.0.name", "naïve"),
        ("columns.0.name", "x" * 128),
        ("key", ["id'"]),
        ("name", "Products"),
        ("name", "a__b"),
        ("name", "x" * 41),
        ("name", "../products"),
        ("source.prefix", "../products"),
        ("source.prefix", "/products"),
        ("source.prefix", "products/"),
        ("source.prefix", "products//raw"),
        ("source.prefix", "pro ducts"),
        ("source.prefix", "products'"),
        ("source.prefix", ""),
        ("export.prefix", "a/./b"),
        ("source.bucket", "Bucket_With_Case"),
        ("source.patterns", []),
        ("source.patterns", ["sub/*.csv"]),
        ("source.patterns", ["**.csv"]),
        ("source.patterns", [""]),
        ("source.layout", "YYYY-MM-DD"),
        ("source.csv.delimiter", ";;"),
        ("source.csv.delimiter", "\n"),
        ("source.csv.delimiter", "§"),
        ("source.csv.quote", "x"),
        ("source.csv.encoding", "latin-1"),
        ("start_date", "2026-02-30"),
        ("start_date", "01/02/2026"),
        ("schedule.timezone", "Europe/Nowhere"),
        ("schedule.hour", 24),
        ("load.number_of_workers", 1),
        ("load.worker_type", "G.3X"),
        ("load.timeout_minutes", "sixty"),
        ("load.trailing_blanks", "trim"),
        ("export.format", "orc"),
        ("export.header", True),
        ("export.compression", "gzip"),
        ("export.max_file_size_mb", 4),
        ("max_days_per_run", 0),
        ("reject_threshold", 1.5),
        ("owners", ["somebody"]),
        ("tags", {"a b": "c"}),
        ("arrival", {"marker": "../_SUCCESS"}),
        ("arrival", {"mode": "push"}),
        ("arrival", {"queue": "arrivals"}),
        ("arrival", {"window_every_seconds": 300}),
        ("arrival", {"mode": "events", "queue": "https://sqs/1/arrivals"}),
        ("arrival", {"mode": "events", "queue": "arrivals.fifo"}),
        ("arrival", {"sweep_days_back": 3}),
        ("arrival", {"interval_seconds": 1}),
        ("unknown_setting", 1),
        ("source.unknown_setting", 1),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(path: str, value: Any) -> None:
    message = refused(put(path, value))
    assert path.split(".")[0] in message


def test_a_key_must_be_among_the_columns() -> None:
    assert "'sku' is not among the columns (id, name," in refused(put("key", ["sku"]))


def test_a_key_column_must_not_be_nullable() -> None:
    assert "'brand' is nullable; set nullable: false" in refused(put("key", ["brand"]))


def test_a_duplicate_column_is_refused() -> None:
    assert "'id' is listed 2 times" in refused(put("columns.1.name", "id"))


@pytest.mark.parametrize("name", ["partition_date", "loaded_at", "partition_0"])
def test_a_column_that_the_pipeline_adds_itself_is_refused(name: str) -> None:
    assert f"{name!r} is added by the pipeline" in refused(put("columns.1.name", name))


@pytest.mark.parametrize("name", ["ctid", "oid", "xmin"])
def test_a_column_that_every_table_of_redshift_has_is_refused(name: str) -> None:
    assert f"{name!r} is a system column" in refused(put("columns.1.name", name))


def test_a_feed_has_as_many_columns_as_its_fact_table_can_hold() -> None:
    values = attributes()
    more = [{"name": f"c{n}", "type": "integer"} for n in range(1598 - len(values["columns"]))]
    values["columns"] += more
    FeedSpec.model_validate(values)
    values["columns"].append({"name": "last", "type": "integer"})
    with pytest.raises(ValidationError, match="1,599 are more than 1,598"):
        FeedSpec.model_validate(values)


def test_year_is_reserved_only_if_it_is_in_the_folder_names() -> None:
    values = attributes()
    values["columns"][1]["name"] = "year"
    FeedSpec.model_validate(values)
    values["source"]["layout"] = "year=YYYY/month=MM/day=DD"
    with pytest.raises(ValidationError, match="'year' is added by the pipeline"):
        FeedSpec.model_validate(values)


def test_staging_and_fact_must_be_two_tables() -> None:
    message = refused(put("warehouse.fact", "public.products"))
    assert "staging, fact and load audit must be three tables" in message


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BIGINT", "bigint"),
        ("decimal(12, 2)", "decimal(12,2)"),
        ("numeric(5,0)", "decimal(5,0)"),
        ("double  precision", "double precision"),
        ("varchar( 256 )", "varchar(256)"),
    ],
)
def test_types_are_read_however_they_are_written(written: str, meant: str) -> None:
    assert str(ColumnType.parse(written)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "varchar",
        "varchar(0)",
        "varchar(65536)",
        "decimal(39,2)",
        "decimal(5,6)",
        "geometry",
        "text",
    ],
)
def test_types_that_the_pipeline_cannot_load_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.replace("(", r"\(").replace(")", r"\)")):
        ColumnType.parse(text)


def test_names_follow_from_the_suffix_unless_given() -> None:
    feed = load_feed("products")
    assert feed.crawler_name("dev") == feed.job_name("dev") == "xacct-dev-products"
    named = feed.model_copy(update={"name": "raw_orders"})
    assert named.stack_name("dev") == "xacct-feed-raw-orders-dev"  # stacks know no underscore


def test_a_file_that_is_refused_is_named_with_field_and_reason(
    feed_yaml: Callable[..., Path],
) -> None:
    folder = feed_yaml(PRODUCTS.replace("key: [id]", "key: [sku]"))
    with pytest.raises(FeedFileError, match=r"feed/defs\.yaml is not a valid feed:\s+key: 'sku'"):
        load_feeds(folder)


def test_a_duplicate_yaml_key_is_refused(feed_yaml: Callable[..., Path]) -> None:
    folder = feed_yaml(PRODUCTS + "\n  max_days_per_run: 5\n")
    with pytest.raises(FeedFileError, match="'max_days_per_run' is given twice"):
        load_feeds(folder)


def test_a_yaml_bomb_is_refused(feed_yaml: Callable[..., Path]) -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\n"
    with pytest.raises(FeedFileError, match="aliases are not allowed"):
        load_feeds(feed_yaml(bomb))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ([], "name 'products'"),
        ([("name: products", "name: other")], "warehouse.staging"),
        (
            [("name: products", "name: other"), ("staging: public.products", "staging: public.o")],
            "warehouse.fact",
        ),
        (
            [
                ("name: products", "name: other"),
                ("staging: public.products", "staging: public.o"),
                ("fact: public.products_f", "fact: public.o_f"),
                ("    prefix: products", "    prefix: products/inner"),
            ],
            "source.prefix",
        ),
    ],
)
def test_two_feeds_that_would_overwrite_each_other_are_refused(
    feed_yaml: Callable[..., Path], changes: list[tuple[str, str]], field: str
) -> None:
    other = PRODUCTS
    for old, new in changes:
        assert old in other
        other = other.replace(old, new, 1)
    feed_yaml(PRODUCTS, "one")
    folder = feed_yaml(other, "two")
    with pytest.raises(FeedFileError, match=field):
        load_feeds(folder)


def test_the_message_about_an_unknown_feed_lists_the_feeds() -> None:
    with pytest.raises(FeedFileError, match=r"no feed 'orders'.*there are: products"):
        load_feed("orders")


def column(**settings: Any) -> dict[str, Any]:
    return {"name": "extra", "type": "varchar(10)", **settings}


def with_column(csv: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """The products feed with a further column."""
    values = attributes()
    values["columns"].append(column(**settings))
    values["source"]["csv"] |= csv or {}
    return values


def accepted(values: dict[str, Any]) -> FeedSpec:
    return FeedSpec.model_validate(values)


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        FeedSpec.model_validate(values)
    return str(caught.value)


def test_settings_that_are_not_used_change_no_code_version() -> None:
    feed = accepted(attributes())
    assert feed.columns[0].model_dump(mode="json") == {
        "name": "id",
        "type": "bigint",
        "nullable": False,
        "description": "Identifies the product.",
    }
    assert feed.source.model_dump(mode="json")["csv"] == {
        "delimiter": ",",
        "quote": '"',
        "encoding": "utf-8",
    }


def test_settings_that_are_used_are_kept() -> None:
    feed = accepted(
        with_column(
            {"preamble_lines": 1, "extra_columns": "ignore", "null_values": ["N/A"]},
            header="Body (HTML)",
            trim=True,
            null_values=["-"],
            default="none",
            optional=True,
            sensitive=True,
        )
    )
    assert FeedSpec.model_validate(feed.model_dump()) == feed
    assert feed.columns[-1].header_name == "Body (HTML)"
    assert feed.columns[0].header_name == "id"


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("decimal(10,2)", "1.234,56"),
        ("decimal(10,2)", "1234,56"),
        ("decimal(10,2)", "1 234,56 €"),
        ("decimal(10,2)", "$1,234.56"),
        ("decimal(10,2)", "1'234.56 CHF"),
        ("double precision", "1234,56 %"),
        ("real", "1\u202f234,56"),
        ("integer", "1.234"),
        ("integer", "1,234.56"),
        ("date", "DD/MM/YYYY"),
        ("date", "YYYYMMDD"),
        ("date", "DD-MON-YY"),
        ("date", "DD.MM.YYYY 00:00:00"),
        ("timestamp", "YYYY-MM-DD HH:MI:SS TZ"),
        ("timestamp", "MM/DD/YYYY HH:MI AM"),
        ("timestamptz", "YYYY-MM-DDTHH:MI:SS.FFTZ"),
        ("time", "HH:MI AM"),
    ],
)
def test_a_format_says_how_values_are_written(type_: str, text: str) -> None:
    assert accepted(with_column(type=type_, format=text)).columns[-1].format == text


@pytest.mark.parametrize(
    ("type_", "text", "reason"),
    [
        ("decimal(10,2)", "0,00", "is no number's: write the number 1234.56"),
        ("decimal(10,2)", "1.234.56", "thousands and decimals follow the same character"),
        ("decimal(10,2)", "1.234", "has no decimals"),
        ("decimal(10,2)", "1234;56", "decimals follow '.' or ','"),
        ("decimal(10,2)", "1x234.56", "'x' separates no thousands"),
        ("decimal(10,2)", "-1234.56", "write a positive number"),
        ("varchar(10)", "DD/MM/YYYY", "format is for numbers, dates and times"),
        ("boolean", "J/N", "format is for numbers, dates and times"),
        ("date", "dd/mm/yyyy", "'d' is no token"),
        ("date", "%d/%m/%Y", "'%' is no token"),
        ("date", "DD/MM", "needs one year"),
        ("date", "DD/MM/YYYY HH:MI", "belongs to a timestamp"),
        ("date", "DD/MM/YYYY DD", "a token is there twice"),
        ("timestamp", "YYYY-MM-DD SS", "SS needs MI"),
        ("timestamp", "YYYY-MM-DD AM", "AM needs HH"),
        ("time", "DD HH:MI", "holds a date or a time zone"),
        ("time", "HH", "needs HH and MI"),
        ("date", 20260131, "put it in quotes"),
    ],
)
def test_a_format_that_cannot_be_used_is_refused(type_: str, text: Any, reason: str) -> None:
    assert reason in refusal(with_column(type=type_, format=text))


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        ("bigint", "-9223372036854775808"),
        ("smallint", "0"),
        ("decimal(5,2)", "999.99"),
        ("decimal(2,2)", "0.99"),
        ("real", "1.5e10"),
        ("boolean", "false"),
        ("date", "2026-02-28"),
        ("timestamp", "2026-01-31 12:00:00"),
        ("timestamptz", "2026-01-31T12:00"),
        ("time", "23:59:59.5"),
        ("varchar(3)", "é-"),
        ("char(3)", "abc"),
        ("super", '{"a": [1, null]}'),
        ("varchar(3)", ""),
    ],
)
def test_a_default_is_a_value_of_its_type(type_: str, default: str) -> None:
    assert accepted(with_column(type=type_, default=default)).columns[-1].default == default


@pytest.mark.parametrize(
    ("type_", "default", "reason"),
    [
        ("smallint", "32768", "is not a smallint"),
        ("bigint", "1.0", "is not a bigint"),
        ("decimal(5,2)", "1000", "is not a decimal(5,2)"),
        ("decimal(5,2)", "1.234", "is not a decimal(5,2)"),
        ("decimal(5,2)", "1,5", "is not a decimal(5,2)"),
        ("decimal(2,2)", "1.00", "is not a decimal(2,2)"),
        ("real", "inf", "is not a real"),
        ("boolean", "yes", "write 'true' or 'false'"),
        ("date", "31/12/2026", "write it as 2026-01-31"),
        ("date", "2026-02-30", "write it as 2026-01-31"),
        ("timestamp", "2026-01-31", "in UTC"),
        ("timestamp", "2026-01-31 12:00:00+01:00", "in UTC"),
        ("time", "24:00:00", "write it as 12:00:00"),
        ("varchar(2)", "éa", "is longer than 2 bytes"),
        ("char(2)", "é", "ASCII only"),
        ("super", "{a: 1}", "is not a JSON text"),
        ("super", "NaN", "is not a JSON text"),
        ("integer", 0, "put it in quotes"),
        ("boolean", False, "put it in quotes"),
    ],
)
def test_a_default_of_another_type_is_refused(type_: str, default: Any, reason: str) -> None:
    assert reason in refusal(with_column(type=type_, default=default))


@pytest.mark.parametrize(
    ("csv", "settings", "reason"),
    [
        ({}, {"header": "id"}, "'id' and 'extra' have the same header 'id'"),
        ({"header_match": "relaxed"}, {"header": " ID"}, "relaxed ignores case"),
        ({"header_row": False}, {"header": "x"}, "has header, and the files have no header row"),
        ({"header_row": False}, {"optional": True}, "has optional, and the files have no header"),
        ({}, {"optional": True, "nullable": False}, "give a default, or set nullable: true"),
        ({"null_values": [None]}, {}, "put it in quotes"),
        ({}, {"null_values": [0]}, "put it in quotes"),
        ({}, {"header": ""}, "header"),
        ({}, {"header": True}, "put it in quotes"),
        ({"header_row": False, "header_match": "relaxed"}, {}, "needs the names of a header row"),
        ({"header_row": False, "extra_columns": "ignore"}, {}, "needs the names of a header row"),
        ({"encoding": "latin-9"}, {}, "encoding"),
        ({"preamble_lines": -1}, {}, "preamble_lines"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(
    csv: dict[str, Any], settings: dict[str, Any], reason: str
) -> None:
    assert reason in refusal(with_column(csv, **settings))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"default": "0", "type": "bigint"}, "optional or has a default"),
        ({"optional": True, "default": "0", "type": "bigint"}, "optional or has a default"),
        ({"type": "super"}, "does not compare super"),
    ],
)
def test_a_key_needs_a_value_of_its_own_in_each_row(settings: dict[str, Any], reason: str) -> None:
    values = with_column(nullable=False, **settings)
    values["key"] = ["extra"]
    assert reason in refusal(values)


def test_a_feed_may_have_no_key() -> None:
    values = attributes()
    values["key"] = []
    assert accepted(values).key == []


@pytest.mark.parametrize("type_", ["char(4)", "timestamptz", "time", "super"])
def test_types_of_redshift(type_: str) -> None:
    assert accepted(with_column(type=type_)).columns[-1].type == type_
    assert ColumnType.parse(type_).hive == "string"


@pytest.mark.parametrize("type_", ["char(0)", "char(4097)", "char", "timetz"])
def test_types_that_redshift_or_the_job_does_not_have(type_: str) -> None:
    assert "columns" in refusal(with_column(type=type_))


@pytest.mark.parametrize(
    ("settings", "csv", "reason"),
    [
        ({"former_headers": ["id"]}, {}, "which is the header of 'id'"),
        ({"former_headers": ["Old", "Old"]}, {}, "which is the header of 'extra'"),
        ({"former_headers": ["ID"]}, {"header_match": "relaxed"}, "which is the header of 'id'"),
        ({}, {"former_columns": ["brand"]}, "is a header of column 'brand'"),
        ({}, {"former_columns": ["Old"], "header_row": False}, "former_columns needs the names"),
    ],
)
def test_a_former_name_belongs_to_one_column(
    settings: dict[str, Any], csv: dict[str, Any], reason: str
) -> None:
    values = with_column(**settings)
    values["source"]["csv"] = csv
    assert reason in refusal(values)


def test_latest_of_an_append_feed_needs_a_key() -> None:
    values = with_column()
    values["warehouse"]["latest"] = "public.products_latest"
    assert FeedSpec.model_validate({**values, "mode": "append"}).mode == "append"
    assert "has no key" in refusal({**values, "mode": "append", "key": []})
    assert FeedSpec.model_validate({**values, "key": []}).mode == "snapshot"
    values["warehouse"]["latest"] = "public.products_f"
    assert "is a table of the feed" in refusal(values)
