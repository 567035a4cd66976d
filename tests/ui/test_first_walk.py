"""The README's first walk: `make run`, a file, a broken one, the right one again, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.project import ROOT
from tests.ui.conftest import open_tab
from tests.ui.dagster_ui import DagsterUi
from tests.ui.first_walk import FirstWalk, first_walk

CHAIN = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")
# Seconds from the file to the green day, on a busy machine. On an idle one it takes about 20.
TURNS_WITHIN = 180

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def walk(pictures: Path) -> Iterator[FirstWalk]:
    with first_walk(pictures / "make-run.log", "--days", "1", "--rows", "400") as begun:
        yield begun


@pytest.fixture
def ui(browser: Browser, walk: FirstWalk, pictures: Path) -> Iterator[DagsterUi]:
    with open_tab(browser, walk.url, pictures, width=1680, height=900) as opened:
        yield opened


@pytest.fixture
def day(walk: FirstWalk) -> str:
    found = re.search(r"--date (\S+)", walk.printed)
    assert found is not None
    return found[1]


def test_make_run_ends_with_the_commands_of_the_readmes_walk(walk: FirstWalk, day: str) -> None:
    land = f"xacct-sandbox land --date {day}"
    assert walk.next_commands == [land, f"{land} --broken delimiter", land, "xacct reconcile"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("$day", day)
    places = [readme.index(command) for command in walk.next_commands[:2]]
    assert places == sorted(places)
    assert readme.count(land) == 3


def test_a_file_that_lands_turns_its_day_green_by_itself(
    walk: FirstWalk, ui: DagsterUi, day: str
) -> None:
    walk.run(walk.next_commands[0])
    for asset in CHAIN:
        ui.wait_for_day(f"products/{asset}", day, "green", TURNS_WITHIN)
    ui.keep("walk-1-green")


def test_a_broken_file_turns_its_day_red_and_the_page_says_why(
    walk: FirstWalk, ui: DagsterUi, day: str
) -> None:
    walk.run(walk.next_commands[1])
    ui.wait_for_day("products/raw_partition", day, "red", TURNS_WITHIN)
    ui.select_partitions(f"[{date.fromisoformat(day) - timedelta(days=3)}...{day}]")
    ui.partition(day).first.click()
    reason = re.compile("its fields seem to be separated by")
    expect(ui.page.get_by_text(reason).first).to_be_visible()
    ui.keep("walk-2-red", height=700)


def test_the_right_file_turns_its_day_green_again(walk: FirstWalk, ui: DagsterUi, day: str) -> None:
    walk.run(walk.next_commands[2])
    for asset in CHAIN:
        ui.wait_for_day(f"products/{asset}", day, "green", TURNS_WITHIN)
    assert "2 days are right" in walk.run(walk.next_commands[3])


def test_links_of_a_materialization_open_pages_of_the_sandbox(
    walk: FirstWalk, ui: DagsterUi, day: str
) -> None:
    ui.open_asset("products/staging_table", "Partitions")
    ui.select_partitions(day)
    ui.partition(day).first.click()
    for name, shown in (
        ("job run", "SUCCEEDED"),
        ("error log", "COPY public.products"),
        ("rejects in S3", "raw_record"),
    ):
        page = ui.follow(ui.page.get_by_role("row", name=re.compile(f"^{name} ")))
        assert page.url.startswith(walk.config.console_url)
        expect(page.get_by_text(re.compile(shown)).first).to_be_visible()
        DagsterUi(page, ui.pictures).keep(f"console-{name.replace(' ', '-')}")
        page.close()


def test_make_run_and_the_ui_that_it_serves_print_no_warning(walk: FirstWalk) -> None:
    own_log = (walk.config.log_dir / "dagster.log").read_text(encoding="utf-8").splitlines()
    # What a run logs of its data is no warning about the set-up.
    lines = [*walk.printed.splitlines(), *(line for line in own_log if "_day - " not in line)]
    assert [line for line in lines if re.search("warn|superseded|deprecat", line, re.I)] == []
    assert "Traceback" not in walk.printed
