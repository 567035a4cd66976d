"""A supplier's file becomes a feed, as a new user sees it: a terminal, and the UI beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.checkout import copy_checkout, run_shell
from tests.support.samples import shopify
from tests.support.sandbox import RunningSandbox
from tests.ui.dagster_ui import DagsterUi

CHAIN = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")
#: Seconds until the UI shows what a command did.
SHOWN_WITHIN = 60

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Terminal:
    """A shell in a checkout, whose feeds are those of the UI."""

    sandbox: RunningSandbox
    checkout: Path
    feeds: Path

    def run(self, command: str) -> str:
        """What a command prints."""
        environment = {**self.sandbox.environment, "XACCT_EXTRA_FEEDS_DIR": str(self.feeds)}
        done = run_shell(command, self.checkout, environment)
        self.sandbox.outputs.append((command, done.stdout + done.stderr))
        assert done.returncode == 0, (command, done.stdout + done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def terminal(
    sandbox: RunningSandbox, feeds_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Terminal:
    checkout = copy_checkout(tmp_path_factory.mktemp("checkout"))
    (checkout / "apparel.csv").write_bytes(shopify.export("apparel"))
    return Terminal(sandbox, checkout, feeds_folder)


def test_a_new_feed_is_in_the_ui_with_its_group_its_columns_and_a_green_day(
    ui: DagsterUi, terminal: Terminal
) -> None:
    said = terminal.run("xacct feed new apparel --from apparel.csv --yes")
    printed = said.partition("Next, on the laptop:\n")[2].splitlines()
    commands = [line.strip() for line in printed if line.startswith("  ")]
    assert [command.split()[0] for command in commands] == ["xacct", "xacct-sandbox", "dg", "xacct"]
    assert "reload" in said.lower()

    ui.reload_definitions()
    ui.open_group("apparel")
    for asset in CHAIN:
        expect(ui.node(asset)).to_be_visible()
    ui.keep("new-feed-1-group")

    for command in commands:
        terminal.run(command.replace("xacct deploy", "xacct deploy --yes"))
    day = str(datetime.now(UTC).date() - timedelta(days=1))
    for asset in CHAIN:
        ui.wait_for_day(f"apparel/{asset}", day, "green", SHOWN_WITHIN)
    ui.open_group("apparel")
    expect(ui.node("s3_export")).to_be_visible()
    ui.keep("new-feed-2-green")

    ui.open_asset("apparel/fact_table", "Overview")
    expect(ui.page.get_by_text("variant_sku", exact=True).first).to_be_visible()
    ui.keep("new-feed-3-columns")
    ui.open_asset("apparel/staging_table", "Partitions")
    ui.select_partitions(day)
    ui.partition(day).first.click()
    expect(ui.page.get_by_role("row", name=re.compile("^rows_read|rows read"))).to_be_visible()
    ui.keep("new-feed-4-day")
    ui.page.goto("/assets")
    ui.keep("new-feed-5-catalog")
