"""docs/feeds.md: its commands, one after the other, in a copy of the checkout."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import dagster as dg
import pytest

from tests.support.checkout import copy_checkout, run_shell, shell_blocks
from tests.support.pipeline import Pipeline
from tests.support.project import ROOT
from tests.support.samples import shopify
from tests.support.samples.csv_text import csv_text
from tests.support.sandbox import RunningSandbox
from xacct_assets.feed.loader import load_feed

#: What a person does: answers yes.
ANSWERED = """
xacct() { if [ "$1" = deploy ]; then command xacct deploy --yes; else command xacct "$@"; fi; }
"""
MINUTES = 5

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Walk:
    """What the commands said, how long they took, and the checkout in which they ran."""

    said: str
    seconds: float
    checkout: Path


@pytest.fixture(scope="module")
def walk(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    checkout = copy_checkout(tmp_path_factory.mktemp("checkout"))
    for shop in shopify.SHOPS:
        (checkout / f"{shop}.csv").write_bytes(shopify.export(shop))
    (checkout / "deliveries.csv").write_text(
        csv_text([["Order No", "Day"], *([f"D{n}", f"0{n}/02/2026"] for n in range(1, 9))])
    )
    sandbox.folders.append(checkout)
    started = time.monotonic()
    script = ANSWERED + "\n".join(shell_blocks(ROOT / "docs" / "feeds.md", "## A new feed"))
    done = run_shell(script, checkout, sandbox.environment)
    seconds = time.monotonic() - started
    sandbox.outputs.append(("docs/feeds.md", done.stdout + done.stderr))
    assert done.returncode == 0, (done.stdout + done.stderr)[-20_000:]
    yield Walk(done.stdout, seconds, checkout)
    for feed in shopify.SHOPS:
        command = ("xacct_assets.operations.cli", "--no-env-file", "feed", "retire", feed, "--yes")
        sandbox.run(*command, check=False)


def printed_commands(said: str, feed: str) -> list[str]:
    """The next commands that `xacct feed new` or `dg scaffold` has printed for a feed."""
    for block in said.split("Next, on the laptop:\n")[1:]:
        lines = [line.strip() for line in takewhile(lambda one: one[:2] == "  ", block.split("\n"))]
        if any(f" --feed {feed} " in line for line in lines):
            return lines
    raise AssertionError(f"no commands for {feed} in {said}")


def test_a_suppliers_file_is_a_reconciled_day_in_minutes(walk: Walk) -> None:
    rows = len(list(csv.reader(io.StringIO(shopify.export("apparel").decode(), newline="")))) - 1
    found = re.search(r"\napparel +[\d-]+ +(.+)\n", walk.said.partition("\nfeed ")[2])
    assert found is not None
    # files, rows, staged, rejected, in the fact table, exported
    assert found[1].split() == ["1", f"{rows}", "0", "0", f"{rows}", f"{rows}", "whole", "ok"]
    assert "1 day is right." in walk.said
    assert walk.seconds < MINUTES * 60


def test_the_day_is_in_the_list_of_feeds(walk: Walk) -> None:
    listed = walk.said.partition("\nfeed ")[2].partition("\nfeed ")[2]
    assert "\napparel " in listed
    assert " 1 " in next(line for line in listed.splitlines() if line.startswith("apparel "))


def test_every_field_of_the_file_is_in_the_fact_table(walk: Walk, sandbox: RunningSandbox) -> None:
    feed = load_feed("apparel", walk.checkout / "xacct_assets" / "defs")
    rows = Pipeline(sandbox, feed=(feed, dg.Definitions())).query(
        "SELECT handle, body_html, variant_sku, variant_price FROM public.apparel_f"
    )
    text = shopify.export("apparel").decode()
    expected = [
        (row["Handle"], row["Body (HTML)"], row["Variant SKU"], row["Variant Price"])
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]
    found = [tuple("" if value is None else str(value) for value in row.values()) for row in rows]
    assert sorted(found) == sorted(expected)


def test_the_commands_that_are_printed_take_the_other_shops_to_a_right_day(
    walk: Walk, sandbox: RunningSandbox
) -> None:
    """One feed was made by Dagster's own command on the page; the other one is made here."""
    new = "xacct feed new home_and_garden --from home_and_garden.csv --yes"
    made = run_shell(new, walk.checkout, sandbox.environment).stdout
    deploy, *rest = printed_commands(made, "home_and_garden")
    assert deploy == "xacct deploy"
    jewelry = printed_commands(walk.said, "jewelry")
    done = run_shell(
        ANSWERED + "\n".join([deploy, *rest, *jewelry[1:]]), walk.checkout, sandbox.environment
    )
    sandbox.outputs.append(("printed commands", done.stdout + done.stderr))
    assert done.returncode == 0, (done.stdout + done.stderr)[-20_000:]
    assert done.stdout.count("1 day is right.") == 2


def test_dagsters_own_command_and_the_flags_make_feeds_too(walk: Walk) -> None:
    defs = walk.checkout / "xacct_assets" / "defs"
    assert len(load_feed("jewelry", defs).columns) == len(shopify.COLUMNS)
    assert load_feed("deliveries", defs).columns[1].format == "DD/MM/YYYY"


@pytest.fixture(scope="module")
def changed(walk: Walk, sandbox: RunningSandbox) -> str:
    """What the commands about SQL and about changed columns said, after those of the walk."""
    header, _, rows = shopify.export("apparel", day=1).decode().partition("\n")
    given = list(csv.reader(io.StringIO(rows, newline="")))
    names = [*next(csv.reader([header.replace("Vendor", "Brand")])), "Washing (°C)"]
    text = csv_text([names, *([*row, "40"] for row in given)])
    (walk.checkout / "apparel-2.csv").write_text(text, encoding="utf-8")
    headings = ("## The SQL of a feed", "## When the columns change")
    blocks = [
        block for name in headings for block in shell_blocks(ROOT / "docs" / "feeds.md", name)
    ]
    done = run_shell(ANSWERED + "\n".join(blocks), walk.checkout, sandbox.environment)
    sandbox.outputs.append(("docs/feeds.md", done.stdout + done.stderr))
    assert done.returncode == 0, (done.stdout + done.stderr)[-20_000:]
    return done.stdout


def test_a_file_with_other_columns_changes_feed_and_tables(changed: str, walk: Walk) -> None:
    assert "is that of feed apparel." in changed
    assert "renamed: vendor has the header 'Brand'" in changed
    assert "new: washing_c integer" in changed
    assert "  renamed: vendor -> brand\n" in changed
    assert "of feed apparel: applied" in changed
    feed = load_feed("apparel", walk.checkout / "xacct_assets" / "defs")
    assert feed.columns[-1].header == "Washing (°C)"
    assert feed.columns[-1].optional
