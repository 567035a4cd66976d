"""Feeds of YAML and SQL in an extra folder run beside products.

``orders`` has a compound key and folders like ``year=2026/month=02/day=02``. ``customers`` has gzip
CSV files with semicolons and is exported in the same format.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pyarrow.parquet
import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.pipeline import Pipeline
from tests.support.project import EXTRA_FEEDS_DIR
from tests.support.sandbox import RunningSandbox
from xacct_assets.feed.loader import load_feed

DAY = "2026-02-02"
NAMES = ("customers", "orders", "products")
ORDERS = (
    b"order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"
    b'1,1,A-1,2,19.98,true,"wrap, please",2026-02-02 08:00:00\n'
    b"1,2,B-7,1,5.00,false,,2026-02-02 08:00:00\n"
    b'2,1,A-1,1,9.99,,"said ""thanks""",2026-02-02 09:30:00\n'
    b"1,2,C-3,1,1.00,false,second of its key,2026-02-02 09:31:00\n"
    b"2,2,,1,1.00,false,no sku,2026-02-02 09:32:00\n"
)
# A second file of the day, with the columns in another order.
MORE_ORDERS = (
    b"ordered_at,note,gift,amount,quantity,sku,line_no,order_id\n"
    b"2026-02-02 10:00:00,,false,3.00,3,A-1,1,3\n"
    b"2026-02-02 10:00:01,once more,false,3.00,3,A-1,1,2\n"
)
CUSTOMERS = '''customer_no;name;city;born;discount;active
C1;"Müller; Söhne";Köln;1980-02-29;0.125;true
C2;Ann, of Oslo;;;;false
C1;second of its key;;;;false
C3;"said ""so""";"two
lines";2001-01-01;-2.5;true
C4;no such day;;2001-02-29;;true
'''.encode()


@pytest.fixture(scope="module")
def pipelines(feeds_sandbox: RunningSandbox, tmp_path_factory) -> Mapping[str, Pipeline]:
    """The three feeds after a day of each was run, by three processes at the same time."""
    # The processes load the project's definitions, so none are needed here.
    pipelines = {
        name: Pipeline(
            feeds_sandbox, feed=(load_feed(name, extra_feeds_dir=EXTRA_FEEDS_DIR), dg.Definitions())
        )
        for name in NAMES
    }
    pipelines["orders"].put(DAY, ORDERS, "part-1.csv")
    pipelines["orders"].put(DAY, MORE_ORDERS, "part-2.csv")
    pipelines["customers"].put(DAY, gzip.compress(CUSTOMERS), "all.csv.gz")
    pipelines["products"].land(DAY, rows=100)
    dagster = DagsterProcesses(feeds_sandbox, tmp_path_factory.mktemp("feeds"))
    runs = {name: dagster.execute(name, DAY) for name in NAMES}
    for name, run in runs.items():
        output, _ = run.communicate(timeout=280)
        assert run.returncode == 0, f"{name}: {output}"
    return pipelines


def test_reconcile_shows_each_feed_and_each_adds_up(
    feeds_sandbox: RunningSandbox, pipelines: Mapping[str, Pipeline]
) -> None:
    command = ("xacct_assets.operations.cli", "--no-env-file", "reconcile", "--partition", DAY)
    rows = {row["feed"]: row for row in json.loads(feeds_sandbox.run(*command, "--json").stdout)}
    assert tuple(rows) == NAMES
    assert [row["problems"] for row in rows.values()] == [[], [], []]
    counted = ("raw_files", "raw_rows", "rejected_rows", "fact_rows", "exported_rows", "manifest")
    assert [rows["orders"][name] for name in counted] == [2, 7, 3, 4, 4, "whole"]
    assert [rows["customers"][name] for name in counted] == [1, 5, 2, 3, 3, "whole"]
    assert "3 days are right" in feeds_sandbox.run(*command).stdout


def test_of_two_rows_with_one_compound_key_the_first_is_kept(
    pipelines: Mapping[str, Pipeline],
) -> None:
    assert pipelines["orders"].fact_rows(DAY) == ORDER_ROWS


def test_orders_are_exported_to_key_value_folders(
    pipelines: Mapping[str, Pipeline],
) -> None:
    orders = pipelines["orders"]
    assert orders.export_prefix(DAY) == "shop/orders/year=2026/month=02/day=02/"
    rows: list[dict[str, Any]] = []
    for name, body in orders.exported(DAY).items():
        if name != "manifest":
            rows += pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
    rows.sort(key=lambda row: (row["order_id"], row["line_no"]))
    assert rows == [{**row, "partition_date": date(2026, 2, 2)} for row in ORDER_ROWS]


def test_customers_are_exported_as_gzip_csv_with_semicolons(
    pipelines: Mapping[str, Pipeline],
) -> None:
    files = pipelines["customers"].exported(DAY)
    del files["manifest"]
    ((name, body),) = files.items()
    assert name.endswith(".gz")
    text = gzip.decompress(body).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    assert header == [*pipelines["customers"].feed.column_names(), "partition_date"]
    assert rows == [
        ["C1", "Müller; Söhne", "Köln", "1980-02-29", "0.125", "t", DAY],
        ["C2", "Ann, of Oslo", "", "", "", "f", DAY],
        ["C3", 'said "so"', "two\nlines", "2001-01-01", "-2.5", "t", DAY],
    ]


def test_each_feed_has_a_stack_of_its_own(
    feeds_sandbox: RunningSandbox, pipelines: Mapping[str, Pipeline]
) -> None:
    glue = feeds_sandbox.client("account-b-admin", "glue")
    assert {f"xacct-local-{name}" for name in NAMES} <= set(glue.list_crawlers()["CrawlerNames"])
    assert {f"xacct-local-{name}" for name in NAMES} <= set(glue.list_jobs()["JobNames"])


# -- a feed before it is deployed, and after it left the settings -------------------------------


@dataclass(frozen=True)
class Life:
    """What the commands said and what was there in the life of feed `passing`."""

    doctor_before: list[dict[str, Any]]
    reconcile_before: subprocess.CompletedProcess[str]
    refused: subprocess.CompletedProcess[str]
    doctor_after: list[dict[str, Any]]
    deploy_after: str
    unanswered: subprocess.CompletedProcess[str]
    retired: str
    doctor_at_last: list[dict[str, Any]]


@pytest.fixture(scope="module")
def life(feeds_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A feed like customers: not deployed, deployed, gone from the settings, retired."""
    folder = tmp_path_factory.mktemp("feeds") / "feeds"
    shutil.copytree(EXTRA_FEEDS_DIR, folder)
    shutil.copytree(folder / "customers", folder / "passing")
    for path in (folder / "passing").iterdir():
        path.write_text(path.read_text().replace("customers", "passing"))
    settings = {**feeds_sandbox.extra_settings, "XACCT_EXTRA_FEEDS_DIR": str(folder)}
    sandbox = replace(feeds_sandbox, extra_settings=settings)

    def xacct(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ("xacct_assets.operations.cli", "--no-env-file", *arguments)
        return sandbox.run(*command, check=check)

    def doctor() -> list[dict[str, Any]]:
        return json.loads(xacct("doctor", "--json", check=False).stdout)

    doctor_before = doctor()
    reconcile_before = xacct(
        *("reconcile", "--json", "--feed", "passing", "--feed", "orders", "--partition", DAY),
        check=False,
    )
    xacct("deploy", "--yes")
    sandbox.client("account-a-admin", "s3").put_object(
        Bucket=sandbox.config.input_bucket, Key="passing/a.csv", Body=b""
    )
    refused = xacct("feed", "retire", "passing", "--yes", check=False)
    shutil.rmtree(folder / "passing")
    return Life(
        doctor_before=doctor_before,
        reconcile_before=reconcile_before,
        refused=refused,
        doctor_after=doctor(),
        deploy_after=xacct("deploy", "--yes").stdout,
        unanswered=xacct("feed", "retire", "passing", check=False),
        retired=xacct("feed", "retire", "passing", "--yes").stdout,
        doctor_at_last=doctor(),
    )


def of_outcome(findings: list[dict[str, Any]], outcome: str) -> dict[str, str]:
    return {one["check"]: one["detail"] for one in findings if one["outcome"] == outcome}


def test_a_feed_that_is_not_deployed_is_one_line_in_doctor(life: Life) -> None:
    line = "feed passing is not deployed: xacct deploy"
    assert of_outcome(life.doctor_before, "FAIL") == {"passing: deployment": line}
    skipped = {
        *("tables and procedure", "rights of the database user"),
        *("crawler", "Glue job", "log groups of the job", "catalog database"),
    }
    assert set(of_outcome(life.doctor_before, "skipped")) == {f"passing: {n}" for n in skipped}


def test_reconcile_names_it_and_shows_the_other_feed(life: Life) -> None:
    assert life.reconcile_before.returncode == 1
    assert "feed passing is not deployed: xacct deploy\n" in life.reconcile_before.stderr
    assert [row["feed"] for row in json.loads(life.reconcile_before.stdout)] == ["orders"]


def test_a_feed_in_the_settings_is_not_retired(life: Life) -> None:
    assert life.refused.returncode == 2
    assert "feed passing is in the settings; nothing was deleted" in life.refused.stderr


def test_doctor_and_deploy_name_a_feed_that_left_the_settings(life: Life) -> None:
    named = "feed passing left the settings, and its stack xacct-feed-passing-local is still there"
    assert of_outcome(life.doctor_after, "FAIL") == {}
    assert named in of_outcome(life.doctor_after, "warn")["retired feeds"]
    assert named in life.deploy_after
    assert "xacct feed retire passing" in life.deploy_after


def test_retiring_it_says_what_goes_and_what_stays_and_asks(life: Life) -> None:
    assert life.unanswered.returncode == 2
    for shown in (life.unanswered.stdout, life.retired):
        goes, _, stays = shown.partition("This stays:")
        assert "crawler xacct-local-passing" in goes
        assert "Glue job xacct-local-passing" in goes
        assert "catalog database" in goes
        assert "s3://sample-inp-bucket-etl-local/passing/" in stays
        assert "public.passing, public.passing_f, public.sp_passing()" in stays


def test_retiring_it_removes_its_stack_alone(life: Life, feeds_sandbox: RunningSandbox) -> None:
    glue = feeds_sandbox.client("account-b-admin", "glue")
    stacks = feeds_sandbox.client("account-b-admin", "cloudformation").list_stacks(
        StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"]
    )["StackSummaries"]
    names = {stack["StackName"] for stack in stacks}
    assert "xacct-feed-passing-local" not in names
    assert {f"xacct-feed-{name}-local" for name in NAMES} <= names
    assert "xacct-local-passing" not in glue.list_crawlers()["CrawlerNames"]
    assert "xacct-local-passing" not in glue.list_jobs()["JobNames"]
    databases = {database["Name"] for database in glue.get_databases()["DatabaseList"]}
    assert not any("passing" in name for name in databases)
    assert of_outcome(life.doctor_at_last, "FAIL") == {}
    # Another module of the session may have left a feed of its own in the shared sandbox.
    (detail,) = (one["detail"] for one in life.doctor_at_last if one["check"] == "retired feeds")
    assert "passing" not in detail


def test_retiring_it_leaves_its_files_and_its_tables(
    life: Life, feeds_sandbox: RunningSandbox
) -> None:
    s3 = feeds_sandbox.client("account-a-admin", "s3")
    s3.head_object(Bucket=feeds_sandbox.config.input_bucket, Key="passing/a.csv")
    counted = Pipeline(feeds_sandbox).query("SELECT COUNT(*) AS rows FROM public.passing_f")
    assert counted == [{"rows": 0}]


def test_a_key_that_differs_in_trailing_blanks_only_is_found_and_repaired(
    feeds_sandbox: RunningSandbox, pipelines: Mapping[str, Pipeline], tmp_path_factory
) -> None:
    """Redshift takes the two for one key. The number of rows stays as it was."""
    customers = pipelines["customers"]
    customers.execute("DELETE FROM public.customers_f WHERE customer_no = 'C3'")
    customers.execute(
        "INSERT INTO public.customers_f SELECT customer_no || '  ', name, city, born, discount,"
        " active, partition_date, loaded_at FROM public.customers_f WHERE customer_no = 'C1'"
    )
    command = ("xacct_assets.operations.cli", "--no-env-file", "reconcile", "--partition", DAY)
    wrong = feeds_sandbox.run(*command, "--feed", "customers", check=False)
    assert wrong.returncode == 1
    assert "fact has 3 rows but 2 distinct keys (doubled: customer_no='C1" in wrong.stdout
    assert "materialize the day from raw_partition on" in wrong.stdout
    dagster = DagsterProcesses(feeds_sandbox, tmp_path_factory.mktemp("repair"))
    repair = dagster.execute("customers", DAY)
    output, _ = repair.communicate(timeout=280)
    assert repair.returncode == 0, output
    assert feeds_sandbox.run(*command, "--feed", "customers").returncode == 0


def order(*values: Any) -> dict[str, Any]:
    names = ("order_id", "line_no", "sku", "quantity", "amount", "gift", "note", "ordered_at")
    return dict(zip(names, values, strict=True))


ORDER_ROWS = [
    order(1, 1, "A-1", 2, Decimal("19.98"), True, "wrap, please", datetime(2026, 2, 2, 8)),
    order(1, 2, "B-7", 1, Decimal("5.00"), False, None, datetime(2026, 2, 2, 8)),
    order(2, 1, "A-1", 1, Decimal("9.99"), None, 'said "thanks"', datetime(2026, 2, 2, 9, 30)),
    order(3, 1, "A-1", 3, Decimal("3.00"), False, None, datetime(2026, 2, 2, 10)),
]
