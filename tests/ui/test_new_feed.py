"""A supplier's file becomes a feed, as a new user sees it: a terminal, and the UI beside it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.samples import shopify
from tests.support.sandbox import RunningSandbox
from tests.ui.dagster_ui import DagsterUi

CHAIN = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")
DAY = str(datetime.now(UTC).date())

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def terminal(sandbox: RunningSandbox, feeds_folder: Path) -> RunningSandbox:
    """The sandbox with the folder of further feeds that the UI loads."""
    settings = {**sandbox.extra_settings, "XACCT_EXTRA_FEEDS_DIR": str(feeds_folder)}
    return replace(sandbox, extra_settings=settings)


@pytest.fixture(scope="module")
def rows(terminal: RunningSandbox) -> int:
    """The feed is made and deployed, and its file landed; the number of its rows."""
    path = terminal.folder / "apparel.csv"
    path.write_bytes(shopify.export("apparel"))
    made = terminal.run(*_xacct("feed", "new", "apparel", "--from", str(path), "--yes")).stdout
    terminal.run(*_xacct("deploy", "--yes"))
    land = ("land", "--feed", "apparel", "--date", DAY, "--file", str(path))
    terminal.run("xacct_sandbox.cli", *land)
    found = re.match(r"(\d+) rows, 46 columns", made)
    assert found is not None, made
    return int(found[1])


def _xacct(*arguments: str) -> tuple[str, ...]:
    return ("xacct_assets.operations.cli", "--no-env-file", *arguments)


def test_a_ui_that_is_running_shows_the_feed_after_a_reload(ui: DagsterUi, rows: int) -> None:
    ui.reload_definitions()

    ui.open_group("apparel")

    for asset in CHAIN:
        expect(ui.node(asset)).to_be_visible()
    expect(ui.arrows).to_have_count(len(CHAIN) - 1)
    ui.keep("new-feed-1-group")


def test_its_columns_are_shown_with_their_names_in_the_file(ui: DagsterUi, rows: int) -> None:
    ui.open_asset("apparel/fact_table", "Overview")

    expect(ui.page.get_by_text("apparel: Rows of apparel.csv.", exact=True)).to_be_visible()
    for header, name in (("Body (HTML)", "body_html"), ("Variant SKU", "variant_sku")):
        row = ui.page.get_by_role("row", name=re.compile(name))
        expect(row.get_by_text(header, exact=True)).to_be_visible()
    ui.keep("new-feed-2-columns")


def test_a_day_materialized_from_the_dialog_is_green_and_counted(
    ui: DagsterUi, terminal: RunningSandbox, rows: int
) -> None:
    ui.open_group("apparel")

    ui.launch(DAY, button="Launch 1 run")

    ui.wait_for_run()
    ui.filter_events("type:ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION")
    ui.keep("new-feed-3-run")
    ui.open_asset("apparel/staging_table", "Partitions")
    ui.select_partitions(DAY)
    ui.expect_green(DAY)
    ui.partition(DAY).first.click()
    read = ui.page.get_by_role("row", name=re.compile("rows_read"))
    expect(read.get_by_text(str(rows), exact=True)).to_be_visible()
    ui.keep("new-feed-4-day")
    ui.open_asset("apparel/s3_export", "Checks")
    ui.page.get_by_text("row_counts_reconcile").first.click()
    expect(ui.page.get_by_text(re.compile(f"^{rows} raw = {rows} fact"))).to_be_visible()
    ui.keep("new-feed-5-check")
    reconciled = terminal.run(*_xacct("reconcile", "--feed", "apparel", "--partition", DAY)).stdout
    assert "1 day is right." in reconciled
