"""A short chaos seed: a few days of two feeds, killed runs, faults, and the checks of the outcome.

`make chaos` runs long ones. The oracle is tested too: it must find what is broken on purpose.
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
from tools.chaos.accounts import Accounts
from tools.chaos.leaks import leaks
from tools.chaos.leftovers import JobRunSpan, leftovers, twice_at_once
from tools.chaos.oracle import check_days
from tools.chaos.schedule import schedule_of
from tools.chaos.seed import Result, accounts_for, run_seed

SHORT = schedule_of(1, days=3, rounds=1, faults=14)
FAULTS = 8

# About 40 s on an idle machine.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Outcome:
    """The result of the seed, and what the oracle found after data was broken on purpose.

    Attributes:
        found: kind and location of each problem.
    """

    result: Result
    found: set[tuple[str, str]]


@pytest.fixture(scope="module")
def outcome(feeds_sandbox: RunningSandbox) -> Iterator[Outcome]:
    accounts = accounts_for(feeds_sandbox, SHORT)
    since = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="xacct-chaos-") as folder:
        home = Path(folder) / "dagster"
        result = run_seed(feeds_sandbox, SHORT, home, at_least=FAULTS)
        yield Outcome(result, break_and_check(accounts, home, since) if result.ok else set())
    accounts.empty()


def break_and_check(accounts: Accounts, home: Path, since: datetime) -> set[tuple[str, str]]:
    """Break data of each day, leave a transaction open, and run the checks again."""
    other_days = accounts.other_days()
    first, second, third = accounts.days
    facts = "public.products_f"
    accounts.sql(
        f"DELETE FROM {facts} WHERE partition_date = %s AND id IN "
        f"(SELECT MIN(id) FROM {facts} WHERE partition_date = %s)",
        (first, first),
    )
    accounts.sql(
        f"INSERT INTO {facts} SELECT * FROM {facts} WHERE partition_date = %s AND id IN "
        f"(SELECT MIN(id) FROM {facts} WHERE partition_date = %s)",
        (second, second),
    )
    accounts.sql(
        "INSERT INTO public.products SELECT id, name, category, brand, price, currency, stock, "
        f"description, updated_at, partition_date FROM {facts} WHERE partition_date = %s",
        (third,),
    )
    accounts.sql(
        "UPDATE public.orders_f SET quantity = quantity + 1 WHERE partition_date = %s AND "
        "order_id IN (SELECT MIN(order_id) FROM public.orders_f WHERE partition_date = %s)",
        (first, first),
    )
    stray = f"{accounts.export_prefix('orders', second)}0099_part_00.parquet"
    accounts.central.put_object(
        Bucket=accounts.export_bucket, Key=stray, Body=exported(accounts, second)
    )
    swap_two_values(accounts, third)
    another = f"{accounts.feeds['orders'].export.prefix}/year=1999/month=01/day=01/manifest"
    accounts.central.put_object(Bucket=accounts.export_bucket, Key=another, Body=b"{}")
    config = accounts.sandbox.config
    (home / "compute" / "output.log").write_text(secrets_of(config.home)[0].value)
    unfinished = connect(config, "rdsdb", config.token_path.read_text())
    try:
        unfinished.cursor().execute("SELECT 1 FROM public.orders_f")
        with dg.DagsterInstance.from_config(str(home)) as instance:
            return {
                (problem.kind, problem.where)
                for problem in (
                    *check_days(accounts, other_days),
                    *leftovers(accounts, instance, since),
                    *leaks(accounts, home, since),
                )
            }
    finally:
        unfinished.close()
        accounts.central.delete_object(Bucket=accounts.export_bucket, Key=another)


def exported(accounts: Accounts, day) -> bytes:
    """One of the day's exported files of orders."""
    files = accounts.exported("orders", day)
    return next(body for key, body in files.items() if not key.endswith("manifest"))


def swap_two_values(accounts: Accounts, day) -> None:
    """Swap two values in an exported file; its number of rows stays the same."""
    for key, body in accounts.exported("orders", day).items():
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
        accounts.central.put_object(Bucket=accounts.export_bucket, Key=key, Body=file.getvalue())
        return


def test_after_faults_and_kills_every_day_is_right_and_nothing_is_left_over(
    outcome: Outcome,
) -> None:
    timeline = "\n".join(f"{at} {text}" for at, text in outcome.result.timeline)
    assert outcome.result.problems == [], timeline
    assert len(outcome.result.faults) >= FAULTS


def test_each_fault_is_reported_with_how_it_was_handled(outcome: Outcome) -> None:
    assert all(fault["way"] for fault in outcome.result.faults)


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
def test_the_oracle_finds(
    feeds_sandbox: RunningSandbox, outcome: Outcome, kind: str, feed: str, day: int
) -> None:
    where = f"{feed} {accounts_for(feeds_sandbox, SHORT).days[day]}"
    assert (kind, where) in outcome.found


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        pytest.param("stray", "other days", id="an-export-of-a-day-that-never-landed"),
        pytest.param("secret", "dagster/compute/output.log", id="a-secret-in-a-log"),
        pytest.param("orphaned", "Redshift", id="a-transaction-that-nobody-ends"),
    ],
)
def test_the_oracle_finds_what_belongs_to_no_day(outcome: Outcome, kind: str, where: str) -> None:
    assert (kind, where) in outcome.found


def test_the_oracle_finds_nothing_else(feeds_sandbox: RunningSandbox, outcome: Outcome) -> None:
    assert len(outcome.found) == 10, outcome.found


def test_the_oracle_finds_two_job_runs_that_work_on_one_day_at_once() -> None:
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
        "job runs one and too early both worked on ['2026-01-01']"
    ]
