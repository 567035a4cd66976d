"""The Dagster UI as a person meets it: pages, the launch dialog, what is green."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

LOCATION = "__repository__@xacct_assets"

# Milliseconds: a run starts a process and a Glue job; the machine may be busy.
RUN_WITHIN = 300_000


@dataclass(frozen=True)
class DagsterUi:
    """One tab. Every method returns when what it did is to be seen."""

    page: Page
    pictures: Path

    def keep(self, name: str, height: int | None = None) -> None:
        """A picture of the tab as it is, or of its upper part, among the build output."""
        size = self.page.viewport_size
        assert size is not None
        self.page.screenshot(
            path=self.pictures / f"{name}.png",
            animations="disabled",
            clip={"x": 0, "y": 0, "width": size["width"], "height": height or size["height"]},
        )

    # -- pages -------------------------------------------------------------------------------

    def open_group(self, group: str) -> None:
        """The asset graph of a group, drawn."""
        self.page.goto(f"/locations/{LOCATION}/asset-groups/{group}/lineage")
        expect(self.button("zoom_in")).to_be_visible()

    def reload_definitions(self) -> None:
        """Load the code location again, as after `xacct feed new`."""
        self.page.goto("/locations")
        reload = self.page.get_by_role("button").filter(has_text=re.compile("^Reload$"))
        reload.click()
        expect(reload).to_be_disabled()
        expect(reload).to_be_enabled(timeout=RUN_WITHIN)

    def open_asset(self, asset: str, tab: str) -> None:
        """A tab of an asset's page, by way of its name in the catalog."""
        self.page.goto("/assets")
        group, name = asset.split("/")
        self.page.get_by_role("link", name=f"{group} / {name}").first.click()
        self.page.get_by_role("tab", name=tab, exact=True).click()

    # -- the asset graph -----------------------------------------------------------------------

    def node(self, asset: str) -> Locator:
        """An asset of the graph, by its name."""
        return self.graph.get_by_text(asset, exact=True)

    @property
    def graph(self) -> Locator:
        """The drawing; the page has many small ones besides."""
        return self.page.locator("svg", has=self.page.locator("foreignObject"))

    @property
    def arrows(self) -> Locator:
        """From asset to asset."""
        return self.graph.locator("path[marker-end]")

    def make_room(self) -> None:
        """Fold the navigation away: with room enough, the graph shows details of each asset."""
        self.button("Hide navigation").click()
        self.page.reload()

    # -- launching ---------------------------------------------------------------------------

    def launch(self, partitions: str, button: str) -> None:
        """Materialize a day, or a range such as ``[2026-01-01...2026-01-05]``, by the dialog.

        Ends on the page of the run or backfill that was launched.
        """
        self.button(re.compile("Materialize")).first.click()
        dialog = self.page.get_by_role("dialog")
        selection = dialog.get_by_role("textbox")
        selection.fill(partitions)
        selection.press("Enter")
        self.keep("dialog-backfill" if "..." in partitions else "dialog-run")
        dialog.get_by_role("button", name=button).click()
        self.view_what_was_launched()

    def view_what_was_launched(self) -> None:
        """Follow the note of a launch to the page of its run or backfill."""
        self.notifications.get_by_role("link", name="View").or_(
            self.notifications.get_by_role("button", name="View")
        ).click()

    @property
    def notifications(self) -> Locator:
        """What the UI reports in its corner."""
        return self.page.get_by_role("region", name=re.compile("Notifications"))

    def wait_for_run(self) -> None:
        """Until the page of a run says that it succeeded."""
        expect(self.page.get_by_text("Success", exact=True)).to_be_visible(timeout=RUN_WITHIN)
        # Without the note of its launch, with its duration.
        self.page.reload()
        expect(self.page.get_by_text("Success", exact=True)).to_be_visible()

    def wait_for_backfill(self, assets: int) -> None:
        """Until the page of a backfill says that all days of all assets are there."""
        completed = self.page.get_by_text("100% completed", exact=True)
        expect(completed).to_have_count(assets, timeout=RUN_WITHIN)
        self.page.reload()
        expect(completed).to_have_count(assets)

    def keep_timeline(self, name: str, longest: str) -> None:
        """A picture of a run's steps over time; ``longest`` is the step that shows its name."""
        self.button("expand_arrows").first.click()
        expect(self.page.get_by_text(longest, exact=True).first).to_be_visible()
        self.keep(name, height=520)
        self.button("collapse_arrows").click()

    def filter_events(self, query: str, event: str) -> None:
        """Leave only some events in a run's log."""
        self.page.get_by_role("textbox", name="Filter…").fill(query)
        expect(self.page.get_by_text(event, exact=True).first).to_be_visible()

    # -- partitions --------------------------------------------------------------------------

    def select_partitions(self, partitions: str) -> None:
        """Show these days only in an asset's list of partitions."""
        selection = self.page.get_by_role("textbox", name=re.compile(r"^ex: "))
        selection.fill(partitions)
        selection.press("Enter")

    def partition(self, day: str) -> Locator:
        """A day in the list of an asset's partitions."""
        return self.page.get_by_title(day, exact=True)

    def expect_green(self, day: str) -> None:
        """The dot beside the day is the colour of success; nothing but its style says so."""
        dot = self.page.locator(f'[data-tooltip="{day}"] + div')
        expect(dot).to_have_attribute("style", re.compile("accent-green"))

    def wait_for_day(self, asset: str, day: str, colour: str, seconds: float) -> None:
        """Look at an asset's list of partitions until the day's dot has a colour."""
        dot = self.page.locator(f'[data-tooltip="{day}"] + div')
        until = time.monotonic() + seconds
        while True:
            self.open_asset(asset, "Partitions")
            self.select_partitions(day)
            expect(dot).to_be_visible()
            if f"accent-{colour}" in (dot.get_attribute("style") or ""):
                return
            assert time.monotonic() < until, f"{asset} of {day} is not {colour}"
            self.page.wait_for_timeout(2000)

    def follow(self, row: Locator) -> Page:
        """The page that the link in a row opens, in a tab of its own."""
        with self.page.context.expect_page() as opened:
            row.get_by_role("link").first.click()
        opened.value.wait_for_load_state()
        return opened.value

    def expect_count(self, state: str, number: int) -> None:
        """How many of the shown partitions are in a state, as the list's filter counts them."""
        expect(self.page.get_by_text(f"{state} ({number})", exact=True)).to_be_visible()

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)
