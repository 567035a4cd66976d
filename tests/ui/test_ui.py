"""What a person does with the pipeline in the Dagster UI, in a real browser."""

from __future__ import annotations

import re
from datetime import date

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import ROWS_A_DAY
from tests.ui.dagster_ui import DagsterUi

CHAIN = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")

# Starting a sandbox and a run on a busy machine takes minutes, not seconds.
pytestmark = pytest.mark.timeout(900)


def test_the_asset_graph_shows_five_assets_in_a_chain(ui: DagsterUi) -> None:
    ui.open_group("products")

    places = []
    for asset in CHAIN:
        expect(ui.node(asset)).to_be_visible()
        box = ui.node(asset).bounding_box()
        assert box is not None
        places.append(box["x"])
    assert places == sorted(places)
    expect(ui.arrows).to_have_count(len(CHAIN) - 1)
    ui.keep("graph-before")


def test_a_day_materialized_from_the_dialog_succeeds_and_is_green(
    ui: DagsterUi, landed_days: list[date]
) -> None:
    day = str(landed_days[0])
    ui.open_group("products")

    ui.launch(day, button="Launch 1 run")

    expect(ui.page.get_by_text(f"partition: {day}")).to_be_visible()
    ui.wait_for_run()
    expect(ui.page.get_by_text("Succeeded (14)")).to_be_visible()
    ui.keep_timeline("run", longest="products__staging_table")
    ui.filter_events("type:ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION")
    ui.keep("run-log")
    ui.open_asset("products/s3_export", "Partitions")
    ui.select_partitions(day)
    ui.expect_count("Materialized", 1)
    ui.expect_green(day)


def test_a_backfill_of_five_days_makes_five_green_partitions(
    ui: DagsterUi, landed_days: list[date]
) -> None:
    days = [str(day) for day in landed_days[1:]]
    ui.open_group("products")

    ui.launch(f"[{days[0]}...{days[-1]}]", button="Launch backfill")

    expect(ui.page.get_by_text(f"{days[0]}...{days[-1]}")).to_be_visible()
    ui.wait_for_backfill(len(CHAIN))
    ui.keep("backfill")
    ui.open_asset("products/s3_export", "Partitions")
    ui.select_partitions(f"[{days[0]}...{days[-1]}]")
    ui.expect_count("Materialized", 5)
    for day in days:
        ui.expect_green(day)
    ui.partition(days[-1]).first.click()
    expect(ui.page.get_by_role("row", name=re.compile("manifest"))).to_be_visible()
    ui.keep("partitions")


def test_the_check_of_the_export_passed_and_can_be_repeated(ui: DagsterUi) -> None:
    ui.open_asset("products/s3_export", "Checks")
    ui.button("Execute all").click()
    ui.view_what_was_launched()
    ui.wait_for_run()
    ui.open_asset("products/s3_export", "Checks")

    ui.page.get_by_text("row_counts_reconcile").first.click()

    expect(ui.page.get_by_text("Passed", exact=True)).to_be_visible()
    expect(ui.page.get_by_text(re.compile(f"^{ROWS_A_DAY} raw = "))).to_be_visible()
    ui.keep("check")


def test_the_asset_graph_tells_of_each_asset_what_became_of_it(wide_ui: DagsterUi) -> None:
    wide_ui.open_group("products")

    wide_ui.make_room()

    expect(wide_ui.graph.get_by_text("Latest event")).to_have_count(len(CHAIN))
    expect(wide_ui.graph.get_by_text(re.compile(r"^\d / \d Passed$"))).to_have_count(len(CHAIN))
    expect(wide_ui.graph.get_by_text("Redshift")).to_have_count(3)
    wide_ui.keep("asset-graph", height=340)
