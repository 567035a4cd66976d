"""A short chaos: a few days of two feeds, runs that are killed, faults; then the judge.

The long one is `make chaos`. And the judge itself is judged: what is broken on purpose, it finds.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow
import pyarrow.parquet
import pytest

from tests.support.sandbox import RunningSandbox
from tests.support.secret_scan import secrets_of
from tests.support.warehouse import connect
from tools.chaos.leaks import leaks
from tools.chaos.leftovers import JobRunSpan, leftovers, twice_at_once
from tools.chaos.oracle import judge_days
from tools.chaos.schedule import schedule_of
from tools.chaos.seed import Result, run_seed, world_of
from tools.chaos.world import World

SHORT = schedule_of(1, days=3, rounds=1, faults=14)
FAULTS = 8

# Forty seconds if the machine has nothing else to do.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Story:
    """What came of the seed, and what the judge found once things were broken on purpose."""

    result: Result
    found: set[tuple[str, str]]
    """Kinds of problems, and where."""


@pytest.fixture(scope="module")
def story(feeds_sandbox: RunningSandbox) -> Iterator[Story]:
    world = world_of(feeds_sandbox, SHORT)
    since = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="xacct-chaos-") as folder:
        home = Path(folder) / "dagster"
        result = run_seed(feeds_sandbox, SHORT, home, at_least=FAULTS)
        yield Story(result, broken_on_purpose(world, home, since) if result.ok else set())
    world.empty()


def broken_on_purpose(world: World, home: Path, since: datetime) -> set[tuple[str, str]]:
    """Break something of each day, leave something undone, and judge again."""
    beside = world.beside()
    first, second, third = world.days
    facts = "public.products_f"
    world.sql(
        f"DELETE FROM {facts} WHERE partition_date = %s AND id IN "
        f"(SELECT MIN(id) FROM {facts} WHERE partition_date = %s)",
        (first, first),
    )
    world.sql(
        f"INSERT INTO {facts} SELECT * FROM {facts} WHERE partition_date = %s AND id IN "
        f"(SELECT MIN(id) FROM {facts} WHERE partition_date = %s)",
        (second, second),
    )
    world.sql(
        "INSERT INTO public.products SELECT id, name, category, brand, price, currency, stock, "
        f"description, updated_at, partition_date FROM {facts} WHERE partition_date = %s",
        (third,),
    )
    world.sql(
        "UPDATE public.orders_f SET quantity = quantity + 1 WHERE partition_date = %s AND "
        "order_id IN (SELECT MIN(order_id) FROM public.orders_f WHERE partition_date = %s)",
        (first, first),
    )
    stray = f"{world.export_prefix('orders', second)}0099_part_00.parquet"
    world.central.put_object(Bucket=world.export_bucket, Key=stray, Body=exported(world, second))
    swap_two_values(world, third)
    another = f"{world.feeds['orders'].export.prefix}/year=1999/month=01/day=01/manifest"
    world.central.put_object(Bucket=world.export_bucket, Key=another, Body=b"{}")
    config = world.sandbox.config
    (home / "compute" / "said.log").write_text(secrets_of(config.home)[0].value)
    unfinished = connect(config, "rdsdb", config.token_path.read_text())
    try:
        unfinished.cursor().execute("SELECT 1 FROM public.orders_f")
        with dg.DagsterInstance.from_config(str(home)) as instance:
            return {
                (problem.kind, problem.where)
                for problem in (
                    *judge_days(world, beside),
                    *leftovers(world, instance, since),
                    *leaks(world, home, since),
                )
            }
    finally:
        unfinished.close()
        world.central.delete_object(Bucket=world.export_bucket, Key=another)


def exported(world: World, day) -> bytes:
    """One of the day's exported files of orders."""
    files = world.exported("orders", day)
    return next(body for key, body in files.items() if not key.endswith("manifest"))


def swap_two_values(world: World, day) -> None:
    """A file of the export is as long as before and has as many rows, but others."""
    for key, body in world.exported("orders", day).items():
        if key.endswith("manifest"):
            continue
        rows = pyarrow.parquet.read_table(io.BytesIO(body))
        if rows.num_rows < 2:
            continue
        skus = rows.column("sku").to_pylist()
        number = next(n for n in range(1, len(skus)) if skus[n] != skus[0])
        skus[0], skus[number] = skus[number], skus[0]
        index = rows.column_names.index("sku")
        changed = rows.set_column(index, rows.field(index), pyarrow.array(skus))
        file = io.BytesIO()
        pyarrow.parquet.write_table(changed, file)
        world.central.put_object(Bucket=world.export_bucket, Key=key, Body=file.getvalue())
        return


def test_whatever_went_wrong_every_day_is_right_and_nothing_is_left_over(story: Story) -> None:
    told = "\n".join(f"{at} {text}" for at, text in story.result.timeline)
    assert story.result.problems == [], told
    assert len(story.result.faults) >= FAULTS


def test_each_fault_is_told_with_the_way_it_was_absorbed(story: Story) -> None:
    assert all(fault["way"] for fault in story.result.faults)


@pytest.mark.parametrize(
    ("kind", "feed", "day"),
    [
        pytest.param("lost", "products", 0, id="a-row-that-is-lost"),
        pytest.param("doubled", "products", 1, id="a-row-that-is-doubled"),
        pytest.param("staging", "products", 2, id="rows-left-in-staging"),
        pytest.param("changed", "orders", 0, id="a-value-of-the-fact-table-that-is-another"),
        pytest.param("stray", "orders", 1, id="a-file-that-no-manifest-names"),
        pytest.param("doubled", "orders", 1, id="the-rows-of-that-file"),
        pytest.param("changed", "orders", 2, id="values-of-the-export-that-are-swapped"),
    ],
)
def test_the_judge_finds(
    feeds_sandbox: RunningSandbox, story: Story, kind: str, feed: str, day: int
) -> None:
    where = f"{feed} {world_of(feeds_sandbox, SHORT).days[day]}"
    assert (kind, where) in story.found


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        pytest.param("stray", "beside", id="an-export-of-a-day-that-never-landed"),
        pytest.param("secret", "dagster/compute/said.log", id="a-secret-in-a-log"),
        pytest.param("orphaned", "Redshift", id="a-transaction-that-nobody-ends"),
    ],
)
def test_the_judge_finds_beside_the_days(story: Story, kind: str, where: str) -> None:
    assert (kind, where) in story.found


def test_the_judge_finds_nothing_else(feeds_sandbox: RunningSandbox, story: Story) -> None:
    assert len(story.found) == 10, story.found


def test_the_judge_finds_two_job_runs_that_work_on_one_day_at_once() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def span(name: str, day: str, began: int, ended: int) -> JobRunSpan:
        minutes = [noon + timedelta(minutes=number) for number in (began, ended)]
        return JobRunSpan(name, frozenset({day}), *minutes)

    spans = [
        span("one", "2026-01-01", 0, 5),
        span("after it", "2026-01-01", 5, 9),
        span("of another day", "2026-01-02", 1, 9),
        span("too early", "2026-01-01", 4, 5),
    ]
    assert list(twice_at_once(spans)) == [
        "job runs one and too early were both at work on ['2026-01-01']"
    ]
