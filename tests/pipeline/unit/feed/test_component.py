"""A feed is added by a file: it loads beside the others, and a wrong one is named by its line."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from xacct_assets.feed import CrossAccountFeed
from xacct_assets.feed.assets.defaults import column_schema
from xacct_assets.feed.loader import DEFS_FOLDER, FeedFileError, load_feeds
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.spec.arrival import Arrival

ORDERS = """
type: xacct_assets.feed.CrossAccountFeed
attributes:
  name: orders
  description: Orders of all shops.
  start_date: 2026-02-01
  source:
    prefix: shop/orders
    layout: year=YYYY/month=MM/day=DD
    patterns: ["*.csv.gz"]
    csv: {delimiter: ";"}
  columns:
    - {name: shop, type: varchar(8), nullable: false}
    - {name: order_no, type: bigint, nullable: false}
    - {name: total, type: "decimal(18,2)"}
  key: [shop, order_no]
  catalog: {database: shop_db, table: orders}
  warehouse: {staging: shop.orders, fact: shop.orders_f, procedure: shop.sp_orders}
  export: {prefix: shop/orders, format: csv, header: false, compression: zstd}
  schedule: {hour: 3, timezone: Europe/Berlin}
"""


@pytest.fixture
def folder() -> Iterator[DefsFolderSandbox]:
    with create_defs_folder_sandbox() as sandbox:
        yield sandbox


def write(folder: DefsFolderSandbox, name: str, text: str) -> Path:
    path = folder.defs_folder_path / name
    path.mkdir()
    (path / "defs.yaml").write_text(text, encoding="utf-8")
    return path


def test_the_ui_shows_of_a_column_what_it_holds_and_its_name_in_the_files() -> None:
    feed = load_feeds()[0]
    named = [
        ({}, None),
        ({"header": "Body (HTML)"}, "Body (HTML)"),
        ({"description": "As sold."}, "As sold."),
        ({"header": "Body (HTML)", "description": "As sold."}, "As sold. (Body (HTML))"),
    ]
    columns = [
        feed.columns[0].model_copy(update={"header": None, "description": "", **settings})
        for settings, _ in named
    ]
    shown = column_schema(feed.model_copy(update={"columns": columns})).schema.columns
    assert [column.description for column in shown] == [text for _, text in named]


def test_a_second_feed_is_a_second_file(folder: DefsFolderSandbox) -> None:
    write(folder, "products", (DEFS_FOLDER / "products" / "defs.yaml").read_text(encoding="utf-8"))
    write(folder, "orders", ORDERS)
    with (
        folder.load_component_and_build_defs(folder.defs_folder_path / "products") as (_, one),
        folder.load_component_and_build_defs(folder.defs_folder_path / "orders") as (_, other),
    ):
        definitions = dg.Definitions.merge(
            one,
            other,
            dg.Definitions(resources={"aws": dg.ResourceDefinition.none_resource()}),
        )
        graph = definitions.resolve_asset_graph()
        assert len(graph.get_all_asset_keys()) == 10
        orders = graph.get(dg.AssetKey(["orders", "staging_table"]))
        assert orders.group_name == "orders"
        assert orders.partitions_def is not None
        assert orders.partitions_def.get_first_partition_key() == "2026-02-01"
        schedule = definitions.resolve_schedule_def("orders_daily")
        assert (schedule.cron_schedule, schedule.execution_timezone) == (
            "0 3 * * *",
            "Europe/Berlin",
        )


def test_an_installation_overrides_the_arrival_of_every_feed(
    folder: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XACCT_ARRIVAL_START_RUNNING", "true")
    monkeypatch.setenv("XACCT_ARRIVAL_INTERVAL_SECONDS", "5")
    write(folder, "orders", ORDERS + "  arrival: {mode: events, min_files: 2}\n")
    with folder.load_component_and_build_defs(folder.defs_folder_path / "orders") as (_, loaded):
        (sensor,), (schedule,) = loaded.sensors or (), loaded.schedules or ()
        assert isinstance(sensor, dg.SensorDefinition)
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        assert sensor.minimum_interval_seconds == 3
        assert sensor.tags["xacct/arrival_mode"] == "events"


def test_without_overrides_a_feeds_own_arrival_holds(
    folder: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XACCT_ARRIVAL_SETTLE_SECONDS", "")
    write(folder, "orders", ORDERS + "  arrival: {interval_seconds: 60}\n")
    with folder.load_component_and_build_defs(folder.defs_folder_path / "orders") as (_, loaded):
        (sensor,) = loaded.sensors or ()
        assert isinstance(sensor, dg.SensorDefinition)
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
        assert sensor.minimum_interval_seconds == 58


def test_an_unusable_override_is_named_when_the_feed_is_loaded(
    folder: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XACCT_ARRIVAL_SETTLE_SECONDS", "soon")
    write(folder, "orders", ORDERS)
    with pytest.raises(Exception, match="Error while") as caught, folder.build_all_defs():
        pass
    assert "XACCT_ARRIVAL_SETTLE_SECONDS: 'soon' is not a number" in str(caught.value.__cause__)


def test_overridden_fields_take_the_place_of_a_feeds_own_and_others_stay() -> None:
    own = Arrival(settle_seconds=60, min_files=2)
    assert own.overridden({"settle_seconds": 0}) == Arrival(settle_seconds=0, min_files=2)
    assert own.overridden({}) == own


def test_a_wrong_field_is_named_with_file_and_line(folder: DefsFolderSandbox) -> None:
    write(folder, "orders", ORDERS.replace("type: bigint", "type: int8"))
    with pytest.raises(Exception, match="Error while loading") as caught, folder.build_all_defs():
        pass
    told = f"{caught.value}\n{caught.value.__cause__}"
    assert "attributes.columns.1.type" in told
    assert "orders/defs.yaml:14" in told
    assert "'int8' is not a supported type: use bigint" in told


def test_the_component_documents_the_feeds_own_fields() -> None:
    properties = CrossAccountFeed.get_model_cls().model_json_schema()["properties"]
    assert set(properties) == set(FeedSpec.model_fields)


def test_values_of_a_feed_may_be_templates(
    folder: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_BUCKET", "shop-raw")
    monkeypatch.setenv("SHOP_FILES", "3")
    text = ORDERS.replace(
        "prefix: shop/orders\n    layout",
        'bucket: "{{ env.SHOP_BUCKET }}"\n    prefix: shop/orders\n    layout',
    )
    text += '  arrival: {min_files: "{{ env.SHOP_FILES }}"}\n'
    write(folder, "orders", text)
    place = folder.defs_folder_path / "orders"
    with folder.load_component_and_build_defs(place) as (component, _):
        assert isinstance(component, CrossAccountFeed)
        assert component.source.bucket == "shop-raw"
        assert component.arrival.min_files == 3
    (feed,) = load_feeds(folder.defs_folder_path)
    assert (feed.source.bucket, feed.arrival.min_files) == ("shop-raw", 3)


def test_a_template_of_an_unset_variable_is_named(
    folder: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_BUCKET", raising=False)
    text = ORDERS.replace("prefix: shop/orders\n    layout", 'prefix: "{{ env.SHOP }}"\n    layout')
    write(folder, "orders", text)
    with pytest.raises(
        FeedFileError, match=r"source\.prefix: \{\{ env\.SHOP \}\} renders to nothing"
    ):
        load_feeds(folder.defs_folder_path)


def test_a_rendered_value_is_validated_like_any_other(
    folder: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PREFIX", "/shop//orders/")
    text = ORDERS.replace(
        "prefix: shop/orders\n    layout", 'prefix: "{{ env.SHOP_PREFIX }}"\n    layout'
    )
    write(folder, "orders", text)
    with pytest.raises(FeedFileError, match=r"source\.prefix"):
        load_feeds(folder.defs_folder_path)
