"""A feed with 30 days of history whose supplier adds, drops, renames and lengthens columns."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.pipeline import Pipeline, Run
from tests.support.sandbox import RunningSandbox
from xacct_assets.feed.component import feed_definitions
from xacct_assets.feed.loader import load_feed_file
from xacct_assets.feed.sql_files.writing import write_files

# Four runs of the Glue job, two of them of 30 days.
pytestmark = pytest.mark.timeout(900)

FEED = """\
type: xacct_assets.feed.CrossAccountFeed

attributes:
  name: evolving
  description: Articles of a supplier that changes its mind.
  start_date: "2026-03-01"
  source: {prefix: evolving}
  columns:
    - {name: id, type: bigint, nullable: false}
    - {name: name, type: varchar(10), nullable: false}  # short, so far
    - {name: brand, type: varchar(20)}
    - {name: price, type: "decimal(8,2)"}
    - {name: stock, type: integer, nullable: false}
  key: [id]
  catalog: {database: evolving_db, table: evolving}
  warehouse:
    staging: public.evolving
    fact: public.evolving_f
    procedure: public.sp_evolving
    latest: public.evolving_latest
  export: {prefix: evolving, format: csv, compression: none, parallel: false}
"""
FIRST = date(2026, 3, 1)
DAYS = [str(FIRST + timedelta(days=number)) for number in range(30)]
NEW_DAY = "2026-03-31"
LONG = "A name that is too long"


def old_file(number: int) -> bytes:
    return f"id,name,brand,price,stock\n1,Cup,x,{number}.50,{number}\n2,Pot,,2.00,0\n".encode()


NEW_FILE = f"id,name,Maker,price,Colour (HTML)\n1,Cup,x,1.75,red\n3,{LONG},y,9.00,\n".encode()


@dataclass(frozen=True)
class Evolution:
    """What the commands said, and the feed's runs.

    Attributes:
        stopped: the run of the first new day before the feed knew its columns.
        new, replayed: runs afterwards, of the new day and of all old days.
        pipeline: of the changed feed.
    """

    history: Run
    stopped: Run
    shown: subprocess.CompletedProcess[str]
    evolved: str
    unanswered: subprocess.CompletedProcess[str]
    deployed: str
    again: str
    doctor: list[dict[str, Any]]
    reconciled: str
    new: Run
    replayed: Run
    pipeline: Pipeline
    text: str


@pytest.fixture(scope="module")
def evolution(
    sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Evolution]:
    feeds = tmp_path_factory.mktemp("evolution")
    folder = feeds / "evolving"
    folder.mkdir()
    (folder / "defs.yaml").write_text(FEED, encoding="utf-8")
    settings = {**sandbox.extra_settings, "XACCT_EXTRA_FEEDS_DIR": str(feeds)}
    extended = replace(sandbox, extra_settings=settings)

    def xacct(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ("xacct_assets.operations.cli", "--no-env-file", *arguments)
        return extended.run(*command, check=check)

    def pipeline() -> Pipeline:
        _, feed = load_feed_file("evolving", extra_feeds_dir=feeds)
        variables = {"XACCT_EXTRA_FEEDS_DIR": str(feeds)}
        return Pipeline(sandbox, variables, feed=(feed, feed_definitions(feed)))

    write_files(pipeline().feed, folder)
    xacct("deploy", "--yes")
    before = pipeline()
    for number, day in enumerate(DAYS):
        before.put(day, old_file(number), "all.csv")
    history = before.run(DAYS[0], DAYS[-1])
    key = before.put(NEW_DAY, NEW_FILE, "all.csv")
    stopped = before.run(NEW_DAY)
    evolve = (
        *("feed", "evolve", "evolving", "--from", f"s3://{sandbox.config.input_bucket}/{key}"),
        *("--rename", "brand=Maker", "--drop", "stock"),
    )
    shown = xacct(*evolve, check=False)
    evolved = xacct(*evolve, "--yes").stdout
    unanswered = xacct("deploy", check=False)
    deployed = xacct("deploy", "--yes").stdout
    after = pipeline()
    new = after.run(NEW_DAY)
    replayed = after.run(DAYS[0], DAYS[-1])
    yield Evolution(
        history=history,
        stopped=stopped,
        shown=shown,
        evolved=evolved,
        unanswered=unanswered,
        deployed=deployed,
        again=xacct("deploy").stdout,
        doctor=json.loads(xacct("doctor", "--json", check=False).stdout),
        reconciled=xacct("reconcile", "--feed", "evolving", check=False).stdout,
        new=new,
        replayed=replayed,
        pipeline=after,
        text=(folder / "defs.yaml").read_text(encoding="utf-8"),
    )
    (folder / "defs.yaml").unlink()
    xacct("feed", "retire", "evolving", "--yes")


def test_columns_that_the_feed_does_not_have_stop_the_day_with_the_command(
    evolution: Evolution, sandbox: RunningSandbox
) -> None:
    assert evolution.history.success, evolution.history.why
    assert not evolution.stopped.success
    uri = f"s3://{sandbox.config.input_bucket}/evolving/2026/03/31/all.csv"
    assert f"xacct feed evolve evolving --from {uri}" in evolution.stopped.why


def test_the_command_shows_the_differences_and_writes_nothing_unasked(
    evolution: Evolution,
) -> None:
    assert evolution.shown.returncode == 2
    assert "renamed: brand has the header 'Maker'" in evolution.shown.stdout
    assert "new: colour_html varchar(16) ('Colour (HTML)') 'red'" in evolution.shown.stdout
    assert "gone: stock, removed with the values of old days" in evolution.shown.stdout
    assert f"type: name varchar(10) -> varchar(32), for '{LONG}'" in evolution.shown.stdout
    assert "# short, so far" in evolution.text
    assert "0001-renamed-brand-maker-and-3-more.sql: written" in evolution.evolved


def test_deploy_asks_before_it_changes_tables_and_changes_them_once(evolution: Evolution) -> None:
    lines = [
        "feed evolving: migration 0001-renamed-brand-maker-and-3-more",
        "  renamed: brand -> maker",
        "  gone: stock integer",
        "  new: colour_html varchar(16)",
        "  widened: name varchar(10) -> varchar(32)",
    ]
    assert evolution.unanswered.returncode == 2
    for line in lines:
        assert line in evolution.unanswered.stdout
    assert "migration 0001-renamed-brand-maker-and-3-more of feed evolving: applied" in (
        evolution.deployed
    )
    assert "migration 0001" not in evolution.again
    failed = [one for one in evolution.doctor if one["outcome"] == "FAIL"]
    assert [one for one in failed if one["check"].startswith("evolving")] == []


def test_new_days_load(evolution: Evolution) -> None:
    assert evolution.new.success, evolution.new.why
    with evolution.pipeline.environment():
        rows = evolution.pipeline.admin.query(
            "SELECT id, name, maker, price, colour_html FROM public.evolving_latest ORDER BY id"
        )
    assert [tuple(row.values()) for row in rows] == [
        (1, "Cup", "x", Decimal("1.75"), "red"),
        (3, LONG, "y", Decimal("9.00"), None),
    ]


def test_each_old_day_can_be_loaded_again_under_the_new_columns(evolution: Evolution) -> None:
    assert evolution.replayed.success, evolution.replayed.why
    rows = evolution.pipeline.query(
        "SELECT partition_date, id, name, maker, price, colour_html FROM public.evolving_f "
        "WHERE partition_date <= '2026-03-30' ORDER BY partition_date, id"
    )
    assert [tuple(row.values()) for row in rows] == [
        row
        for number, day in enumerate(map(date.fromisoformat, DAYS))
        for row in (
            (day, 1, "Cup", "x", Decimal(f"{number}.50"), None),
            (day, 2, "Pot", None, Decimal("2.00"), None),
        )
    ]
    assert "31 days are right" in evolution.reconciled


def test_readers_of_the_export_are_told(evolution: Evolution, sandbox: RunningSandbox) -> None:
    s3 = sandbox.client("account-a-admin", "s3")
    found = s3.get_object(
        Bucket=evolution.pipeline.export_bucket, Key="evolving/_schema_changes/000"
    )
    (change,) = csv.DictReader(io.StringIO(found["Body"].read().decode()))
    assert change["migration"] == "0001-renamed-brand-maker-and-3-more"
    assert change["description"] == (
        "renamed: brand -> maker; gone: stock integer; new: colour_html varchar(16); "
        "widened: name varchar(10) -> varchar(32)"
    )
    manifest = json.loads(evolution.pipeline.exported(DAYS[0])["manifest"])
    names = [column["name"] for column in manifest["schema"]["elements"]]
    assert names == ["id", "name", "maker", "price", "colour_html", "partition_date"]
