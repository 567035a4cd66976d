"""Days of products from landing to export, through the real services of the sandbox.

What must come out is computed here from the raw files, by Python's csv module and the feed's
columns, and held against the rows in Redshift and in the exported files, value by value.
"""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import dagster as dg
import pyarrow.parquet
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from tests.support.pipeline import CHAIN, Pipeline, Run
from tests.support.sandbox import RunningSandbox
from tests.support.truth import expected_rows, fields_of
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.feed.loader import load_feeds
from xacct_assets.feed.reconciliation.collection import reconcile
from xacct_assets.feed.sql_files.writing import write_files
from xacct_assets.operations.deployment.deploy import Deployment
from xacct_assets.settings import Settings
from xacct_assets.sources import sources_root
from xacct_sandbox.sample_data import ProductFile, Record, Reject

# -- one day, which most tests use ---------------------------------------------------------------

DAY = "2026-01-05"
HEADER = "updated_at,description,stock,currency,price,brand,category,name,id"
# What generated files leave out: another order of the columns, CRLF at the end of lines, an escape
# that is none, blanks alone, quotes alone, families of emoji, marks that combine.
CURIOUS = "\r\n".join(
    [
        HEADER,
        '2026-01-05 00:00:00,"one\r\ntwo\r\n",1,EUR,0.01,,c,n,1',
        '2026-01-05 23:59:59,"",,EUR,9999999999.99,"",c,n,2',
        '2026-01-05 12:00:00,,0,EUR,5,"   ",c,"C:\\",3',
        '2026-01-05 12:00:00,"""",-1,EUR,-0.50,"""""",c,",",4',
        "2026-01-05 12:00:00,👩‍👩‍👧‍👦 e\u0301 \u202eabc,2147483647,EUR,1.10,null,c,\\N?,5",
        "2026-01-05 12:00:00,\"\n\",-2147483648,EUR,1.1,NULL,c,'quoted',9223372036854775807",
        '2026-01-05 12:00:00,"a ""b"", ""c""",7,EUR,1,"x\ny",c,a|b;c\td,7',
        "",
    ]
).encode()


@dataclass(frozen=True)
class LandedDay:
    """A day's files and the run that took them through all five assets."""

    generated: list[ProductFile]
    bodies: list[bytes]
    run: Run

    @property
    def rejected(self) -> Counter[Reject]:
        """Rows to be rejected, as the generator of the files says."""
        return sum((Counter(file.rejected) for file in self.generated), Counter())


@pytest.fixture(scope="module")
def landed_day(pipeline: Pipeline) -> LandedDay:
    generated = [pipeline.land(DAY, rows=160, number=number) for number in (0, 3)]
    pipeline.put(DAY, CURIOUS, "products-9.csv")
    pipeline.put(DAY, b"", "_SUCCESS")
    bodies = [*(content(file) for file in generated), CURIOUS]
    return LandedDay(generated, bodies, pipeline.run(DAY))


def content(file: ProductFile) -> bytes:
    """The file's bytes."""
    return b"".join(file.chunks())


def exported_rows(pipeline: Pipeline, day: str) -> list[dict[str, Any]]:
    """The rows in a day's Parquet files, by id."""
    rows: list[dict[str, Any]] = []
    for name, body in pipeline.exported(day).items():
        if name != "manifest":
            rows += pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
    return sorted(rows, key=lambda row: row["id"])


def with_day(rows: Sequence[dict[str, Any]], day: str) -> list[dict[str, Any]]:
    return [{**row, "partition_date": date.fromisoformat(day)} for row in rows]


def test_an_asset_of_a_day_that_never_landed_says_so(pipeline: Pipeline) -> None:
    run = pipeline.run("2026-01-02")
    assert not run.success
    assert "nothing has landed under s3://" in run.failures["raw_partition"]
    assert "products/2026/01/02/" in run.failures["raw_partition"]
    assert run.materialized_days("s3_export") == []


def test_an_asset_before_its_upstream_says_which_one_to_materialize(pipeline: Pipeline) -> None:
    run = pipeline.run("2026-01-02", assets=["staging_table"])
    assert "products/catalog_table was never materialized" in run.failures["staging_table"]


def test_a_day_goes_through_all_five_assets_and_passes_every_check(landed_day: LandedDay) -> None:
    run = landed_day.run
    assert run.success, run.why
    assert [run.materialized_days(asset) for asset in CHAIN] == [[DAY]] * 5
    for check in (
        "every_partition_materialized",
        "files_have_rows",
        "rejected_share_within_limit",
        "row_counts_reconcile",
    ):
        assert run.check_results(check) == {DAY: True}, run.check_descriptions(check)


def test_a_column_with_a_value_of_another_type_is_warned_of_and_stops_nothing(
    landed_day: LandedDay,
) -> None:
    assert Reject.BAD_NUMBER in landed_day.rejected
    assert landed_day.run.check_descriptions("schema_matches_feed") == {
        DAY: "price: decimal(12,2) in the feed, string in the files"
    }


def test_the_rows_of_a_day_add_up(pipeline: Pipeline, landed_day: LandedDay) -> None:
    answer = pipeline.reconcile(DAY)
    rejected = landed_day.rejected.total()
    assert rejected == 6
    assert answer.exit_code == 0
    assert answer.rows[DAY] == {
        "feed": "products",
        "partition": DAY,
        "raw_files": 3,
        "raw_rows": 327,
        "staged_rows": 0,
        "rejected_rows": rejected,
        "fact_rows": 327 - rejected,
        "exported_rows": 327 - rejected,
        "manifest": "whole",
        "ok": True,
        "problems": [],
        "raw_state": "there",
        "warnings": [],
        "notes": [],
    }


KINDS = {
    Reject.BAD_NUMBER: r": not an? ",
    Reject.MISSING_REQUIRED: r"(name|currency): missing",
    Reject.TOO_LONG: r"name: longer than 256 bytes",
    Reject.DUPLICATE_KEY: r"id: duplicate key",
    Reject.TOO_MANY_FIELDS: r"wrong number of fields",
}


def test_the_rejected_rows_are_those_that_were_spoiled_each_with_its_reason(
    pipeline: Pipeline, landed_day: LandedDay
) -> None:
    invalid: dict[tuple[str, tuple[str | None, ...]], Record] = {}
    for file in landed_day.generated:
        for record in file.records():
            if record.reject:
                invalid[f"products-{file.number}.csv", record.values] = record
    s3 = pipeline.sandbox.client("account-b-admin", "s3")
    bucket = pipeline.aws.settings.processing_bucket
    folder = "rejects/products/2026/01/05/"
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=f"{folder}manifest.json")["Body"].read())
    assert manifest["rejected_rows"] == len(invalid)
    found = []
    for file in manifest["files"]:
        body = s3.get_object(Bucket=bucket, Key=file["key"])["Body"].read()
        found += [json.loads(line) for line in gzip.decompress(body).splitlines()]
    reasons = {}
    for row in found:
        (values,) = fields_of(row["raw_record"].encode())
        reasons[row["source_file"].rpartition("/")[2], tuple(values)] = row["reason"]
    assert set(reasons) == set(invalid)
    for key, record in invalid.items():
        assert record.reject is not None
        assert re.search(KINDS[record.reject], reasons[key], re.IGNORECASE), (record, reasons[key])
    assert set(landed_day.rejected) == set(Reject), "the day must hold every kind"
    assert landed_day.run.metadata("staging_table", DAY)["reasons"] == manifest["reasons"]


def test_the_fact_table_holds_what_the_files_say(pipeline: Pipeline, landed_day: LandedDay) -> None:
    assert pipeline.fact_rows(DAY) == expected_rows(pipeline.feed, landed_day.bodies)


def page_of(url: str) -> str:
    """The page that a link opens in a browser, whose script sends what is behind "#"."""
    start, _, fragment = url.partition("#")
    address = f"{start}&{urlencode({'page': fragment})}" if fragment else url
    with urllib.request.urlopen(address, timeout=30) as answer:
        return html.unescape(answer.read().decode())


def test_links_in_metadata_open_pages_that_the_sandbox_serves(landed_day: LandedDay) -> None:
    staged = landed_day.run.metadata("staging_table", DAY)
    run = page_of(staged["job run"])
    assert staged["xacct/job_run_id"] in run
    assert "SUCCEEDED" in run
    assert "--load_id" in run
    assert "PutObject" in run  # the job wrote rejects
    assert "COPY public.products" in page_of(staged["error log"])
    rejects = page_of(staged["rejects in S3"])
    assert all(f"<th>{name}</th>" in rejects for name in ("reason", "source_file", "raw_record"))
    assert all(reason in rejects for reason in staged["reasons"])
    cataloged = landed_day.run.metadata("catalog_table", DAY)
    assert cataloged["crawl"] in page_of(cataloged["crawler"])


def test_the_export_holds_what_the_files_say(pipeline: Pipeline, landed_day: LandedDay) -> None:
    rows = expected_rows(pipeline.feed, landed_day.bodies)
    descriptions = [row["description"] or "" for row in rows]
    assert {row["brand"] for row in rows} >= {None, "", "   ", "NULL", "日本製"}
    for part in ("\n", "\r\n", '"', ",", "🎁", "👩‍👩‍👧‍👦", "@NULL@", "\\", "\t"):
        assert any(part in text for text in descriptions), f"the day must hold {part!r}"
    assert exported_rows(pipeline, DAY) == with_day(rows, DAY)


def test_the_manifest_names_every_file_with_its_rows_and_bytes(
    pipeline: Pipeline, landed_day: LandedDay
) -> None:
    files = pipeline.exported(DAY)
    manifest = json.loads(files.pop("manifest"))
    root = f"s3://{pipeline.export_bucket}/{pipeline.export_prefix(DAY)}"
    assert {
        entry["url"]: (entry["meta"]["content_length"], entry["meta"]["record_count"])
        for entry in manifest["entries"]
    } == {
        root + name: (len(body), pyarrow.parquet.read_metadata(io.BytesIO(body)).num_rows)
        for name, body in files.items()
    }
    assert manifest["meta"]["record_count"] == 321


# -- again, in part, together ---------------------------------------------------------------------


@pytest.mark.timeout(900)  # Nine job runs; a busy machine takes half a minute for each.
def test_a_day_materialized_ten_times_has_the_rows_of_once(
    pipeline: Pipeline, landed_day: LandedDay
) -> None:
    for again in range(9):
        run = pipeline.run(DAY)
        assert run.success, f"time {again + 2}: {run.why}"
    rows = expected_rows(pipeline.feed, landed_day.bodies)
    assert pipeline.fact_rows(DAY) == rows
    assert exported_rows(pipeline, DAY) == with_day(rows, DAY)
    assert pipeline.reconcile(DAY).exit_code == 0


def test_the_fact_table_alone_after_clean_up_changes_nothing(
    pipeline: Pipeline, landed_day: LandedDay
) -> None:
    before = pipeline.fact_rows(DAY)
    run = pipeline.run(DAY, assets=["fact_table"])
    assert run.success, run.why
    metadata = run.metadata("fact_table", DAY)
    assert metadata["rows before"] == metadata["dagster/partition_row_count"] == len(before) == 321
    assert metadata["staging rows deleted"] == 0
    assert pipeline.fact_rows(DAY) == before
    assert pipeline.reconcile(DAY).exit_code == 0


@pytest.mark.parametrize(
    "assets", [("raw_partition", "catalog_table"), ("fact_table", "s3_export")], ids="-".join
)
def test_a_few_assets_can_be_materialized_without_the_others(
    pipeline: Pipeline, landed_day: LandedDay, assets: tuple[str, ...]
) -> None:
    run = pipeline.run(DAY, assets=assets)
    assert run.success, run.why
    assert [asset for asset in CHAIN if run.materialized_days(asset)] == list(assets)
    assert pipeline.reconcile(DAY).exit_code == 0


def test_each_asset_can_be_materialized_alone_and_what_is_still_missing_is_told(
    pipeline: Pipeline,
) -> None:
    day = "2026-01-10"
    body = content(pipeline.land(day))
    missing = {
        "raw_partition": "never loaded: the load audit has no entry; materialize the day from raw",
        "catalog_table": "never loaded: the load audit has no entry; materialize the day from raw",
        "staging_table": "not yet in the fact table; materialize the day from fact_table on",
        "fact_table": "there is no export manifest; materialize s3_export",
    }
    for asset in CHAIN:
        run = pipeline.run(day, assets=[asset])
        assert run.success, run.why
        answer = pipeline.reconcile(day)
        assert answer.exit_code == (1 if asset in missing else 0)
        assert missing.get(asset, "") in answer.problems(day)
    assert exported_rows(pipeline, day) == with_day(expected_rows(pipeline.feed, [body]), day)


def test_two_days_materialized_at_the_same_moment_have_their_own_rows(pipeline: Pipeline) -> None:
    days = ("2026-01-12", "2026-01-13")
    bodies = [content(pipeline.land(day, seed=7)) for day in days]
    first, other = pipeline.run_together(days)
    assert first.success, first.why
    assert other.success, other.why
    (began, ended), (other_began, other_ended) = first.seconds, other.seconds
    assert max(began, other_began) < min(ended, other_ended)
    assert pipeline.reconcile(*days).exit_code == 0
    for day, body in zip(days, bodies, strict=True):
        rows = expected_rows(pipeline.feed, [body])
        assert pipeline.fact_rows(day) == rows
        assert exported_rows(pipeline, day) == with_day(rows, day)


def test_a_range_is_one_job_run_and_tells_of_each_day(
    pipeline: Pipeline, landed_day: LandedDay
) -> None:
    days = ["2026-01-15", "2026-01-16", "2026-01-17"]
    plain, other = (pipeline.land(day, rows=100 + n) for n, day in enumerate(days[:2]))
    # Compressed files are loaded like others, also beside them.
    packed = ProductFile(1, date.fromisoformat(days[2]), 110, number=1)
    beside = ProductFile(1, date.fromisoformat(days[1]), 120, number=1)
    pipeline.put(days[1], gzip.compress(content(beside)), "products-1.csv.gz")
    pipeline.put(days[2], gzip.compress(content(packed)), "products-1.csv.gz")
    files = [[plain], [other, beside], [packed]]
    run = pipeline.run(days[0], days[-1])
    assert run.success, run.why
    assert [run.materialized_days(asset) for asset in CHAIN] == [days] * 5
    staged = [run.metadata("staging_table", day) for day in days]
    assert len({metadata["xacct/job_run_id"] for metadata in staged}) == 1
    assert [metadata["files"] for metadata in staged] == [1, 2, 1]
    assert [metadata["xacct/rows_read"] for metadata in staged] == [100, 221, 110]
    assert [metadata["xacct/rows_rejected"] for metadata in staged] == [
        sum(file.rejected_rows for file in of_day) for of_day in files
    ]
    for asset in ("staging_table", "fact_table", "s3_export"):
        rows = [run.metadata(asset, day)["dagster/partition_row_count"] for day in days]
        assert rows == [sum(file.good_rows for file in of_day) for of_day in files]
    assert run.check_results() == dict.fromkeys(days, True)
    assert pipeline.reconcile(f"{days[0]}...{days[-1]}").exit_code == 0
    for day, of_day in zip(days, files, strict=True):
        bodies = [content(file) for file in of_day]
        assert pipeline.fact_rows(day) == expected_rows(pipeline.feed, bodies)


# -- logging in -----------------------------------------------------------------------------------

URI_SECRET = "airflow/connections/xacct_redshift"


def deployed_secret(pipeline: Pipeline) -> dict[str, Any]:
    """What the deployed secret holds now."""
    secrets = pipeline.sandbox.client("account-b-admin", "secretsmanager")
    name = pipeline.aws.settings.redshift_secret
    login: dict[str, Any] = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    return login


@pytest.fixture(scope="module")
def login(pipeline: Pipeline) -> dict[str, Any]:
    """The secret as it was deployed."""
    return deployed_secret(pipeline)


@pytest.fixture(scope="module")
def uri_secret(pipeline: Pipeline, login: dict[str, Any]) -> Iterator[str]:
    """The login as Airflow keeps it, in a secret that the orchestrator may read."""
    secrets = pipeline.sandbox.client("account-b-admin", "secretsmanager")
    user, password = (quote(login[part], safe="") for part in ("username", "password"))
    address = f"{login['host']}:{login['port']}/{login['dbname']}"
    arn = secrets.create_secret(
        Name=URI_SECRET,
        SecretString=f"redshift://{user}:{password}@{address}?region=us-east-1&timeout=20",
    )["ARN"]
    # Not a policy of the role: a deployment would take it away again, as drift.
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": pipeline.sandbox.config.orchestrator_role_arn},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=policy)
    yield URI_SECRET
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def test_a_uri_alone_is_not_enough_for_the_data_api_and_the_setting_to_add_is_named(
    pipeline: Pipeline, landed_day: LandedDay, uri_secret: str
) -> None:
    other = Pipeline(
        pipeline.sandbox, {"XACCT_REDSHIFT_SECRET": uri_secret}, instance=pipeline.instance
    )
    run = other.run(DAY, assets=["fact_table"])
    assert "XACCT_DATA_API_SECRET" in run.failures["fact_table"]
    assert uri_secret in run.failures["fact_table"]


def test_a_login_kept_as_an_airflow_uri_logs_in(
    pipeline: Pipeline, landed_day: LandedDay, uri_secret: str
) -> None:
    settings = pipeline.aws.settings
    other = Pipeline(
        pipeline.sandbox,
        {
            "XACCT_REDSHIFT_SECRET": uri_secret,
            "XACCT_DATA_API_SECRET": settings.redshift_secret,
        },
        instance=pipeline.instance,
    )
    run = other.run(DAY, assets=["fact_table", "s3_export"])
    assert run.success, run.why
    assert other.reconcile(DAY).exit_code == 0


def test_without_a_secret_the_environment_logs_in(
    pipeline: Pipeline,
    landed_day: LandedDay,
    login: dict[str, Any],
) -> None:
    variables = {
        "XACCT_REDSHIFT_SECRET": "xacct/no-such-secret",
        "XACCT_DATA_API_SECRET": pipeline.aws.settings.redshift_secret,
        "XACCT_REDSHIFT_HOST": login["host"],
        "XACCT_REDSHIFT_PORT": str(login["port"]),
        "XACCT_REDSHIFT_USER": login["username"],
        "XACCT_REDSHIFT_PASSWORD": login["password"],
    }
    other = Pipeline(pipeline.sandbox, variables, instance=pipeline.instance)
    run = other.run(DAY, assets=["fact_table", "s3_export"])
    assert run.success, run.why
    assert other.reconcile(DAY).exit_code == 0


# -- a second feed --------------------------------------------------------------------------------

STOCKS = """
type: xacct_assets.feed.CrossAccountFeed
attributes:
  name: stock_levels
  description: Pieces at hand in each shop.
  start_date: "2026-01-01"
  source:
    prefix: shops/stock_levels
    layout: year=YYYY/month=MM/day=DD
    csv: {delimiter: ";"}
  columns:
    - {name: shop, type: varchar(16), nullable: false}
    - {name: id, type: bigint, nullable: false}
    - {name: pieces, type: integer}
    - {name: remark, type: varchar(64)}
    - {name: price, type: "decimal(8,2)"}
  key: [shop, id]
  catalog: {database: shops_db, table: stock_levels}
  warehouse:
    staging: public.stock_levels
    fact: public.stock_levels_f
    procedure: public.sp_stock_levels
  export:
    prefix: shops/stock_levels
    layout: year=YYYY/month=MM/day=DD
    format: csv
    compression: gzip
  reject_threshold: 0.5
"""
STOCKS_DAY = "2026-01-20"
STOCKS_FILE = (
    "shop;id;pieces;remark;price\n"
    'Oslo;1;5;"two; or\nthree";1.50\n'
    'Oslo;2;;"";2.00\n'
    "Köln;1;7;plain, with a comma;\n"
    'Köln;1;8;"second of its key";3.00\n'
    'Köln;2;many;"no number";3.00\n'
    'Köln;3;0;"said ""so""";0.00\n'
)


@pytest.fixture(scope="module")
def stocks(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A second feed made of a YAML file and its SQL, deployed beside products."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("infra", "glue"):
        (root / name).symlink_to(sources_root() / name)
    (root / "sql").mkdir()
    for shared in (sources_root() / "sql").glob("*.sql"):
        (root / "sql" / shared.name).symlink_to(shared)
    with create_defs_folder_sandbox() as folder:
        home = folder.defs_folder_path / "stock_levels"
        home.mkdir()
        (home / "defs.yaml").write_text(STOCKS, encoding="utf-8")
        (feed,) = load_feeds(folder.defs_folder_path)
        write_files(feed, root / "sql" / "stock_levels")
        with folder.load_component_and_build_defs(home) as (_, definitions):
            made = Pipeline(sandbox, feed=(feed, definitions))
            with made.environment():
                Deployment(Settings.load(), [feed], root, lambda _: None, lambda _: True).run()
            yield made


def test_a_second_feed_in_another_layout_is_exported_as_csv(stocks: Pipeline) -> None:
    body = STOCKS_FILE.encode()
    stocks.put(STOCKS_DAY, body, "stocks.csv")
    run = stocks.run(STOCKS_DAY)
    assert run.success, run.why
    with stocks.environment():
        (verdict,) = reconcile(stocks.feed, stocks.aws, [date.fromisoformat(STOCKS_DAY)])
    assert verdict.ok, verdict.problems
    assert (verdict.raw_rows, verdict.rejected_rows, verdict.exported_rows) == (6, 2, 4)
    rows = [
        {"shop": "Köln", "id": 1, "pieces": 7, "remark": "plain, with a comma", "price": None},
        {"shop": "Köln", "id": 3, "pieces": 0, "remark": 'said "so"', "price": Decimal("0.00")},
        {
            "shop": "Oslo",
            "id": 1,
            "pieces": 5,
            "remark": "two; or\nthree",
            "price": Decimal("1.50"),
        },
        {"shop": "Oslo", "id": 2, "pieces": None, "remark": "", "price": Decimal("2.00")},
    ]
    assert stocks.fact_rows(STOCKS_DAY) == rows
    assert stocks.export_prefix(STOCKS_DAY) == "shops/stock_levels/year=2026/month=01/day=20/"
    files = stocks.exported(STOCKS_DAY)
    del files["manifest"]
    exported = []
    for exported_body in files.values():
        header, *records = csv.reader(io.StringIO(gzip.decompress(exported_body).decode()))
        assert header == [*stocks.feed.column_names(), "partition_date"]
        exported += records
    # CSV as UNLOAD writes it has no way to tell NULL from the empty string.
    expected = [["" if v is None else str(v) for v in row.values()] + [STOCKS_DAY] for row in rows]
    assert sorted(exported) == sorted(expected)


# -- nothing secret -------------------------------------------------------------------------------


def test_the_password_is_in_no_event_run_config_or_log(
    pipeline: Pipeline, landed_day: LandedDay, login: dict[str, Any]
) -> None:
    runs = pipeline.instance.get_runs()
    assert runs
    texts: dict[str, str] = {}
    for run in runs:
        texts[f"run {run.run_id}"] = dg.serialize_value(run)
        for number, entry in enumerate(pipeline.instance.all_logs(run.run_id)):
            texts[f"event {number} of run {run.run_id}"] = dg.serialize_value(entry)
    logs = pipeline.sandbox.client("account-b-admin", "logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            events = logs.get_log_events(
                logGroupName=name, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
            texts[f"{name} {stream['logStreamName']}"] = "\n".join(e["message"] for e in events)
    for path in pipeline.sandbox.config.log_dir.rglob("*"):
        if path.is_file():
            texts[str(path)] = path.read_text(encoding="utf-8", errors="replace")
    assert any(name.startswith("/aws-glue/jobs/") for name in texts)
    assert any(name.endswith("daemon.log") for name in texts)
    password = login["password"]
    spellings = {password, quote(password, safe=""), json.dumps(password)[1:-1]}
    assert [name for name, text in texts.items() if any(word in text for word in spellings)] == []


# -- logging in ------------------------------------------------------------------------------------


def test_a_statement_may_be_silent_for_longer_than_a_login(pipeline: Pipeline) -> None:
    with pipeline.environment():
        login = pipeline.aws.warehouse.credentials
        warehouse = Warehouse(lambda: login, login_timeout=2)
        with warehouse.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT pg_sleep(2.5)")
            assert len(cursor.fetchall()) == 1


def test_a_warehouse_that_moves_keeps_the_password_that_its_database_knows(
    pipeline: Pipeline, login: dict[str, Any]
) -> None:
    stacks = pipeline.sandbox.client("account-b-admin", "cloudformation")
    name = f"xacct-account-b-{pipeline.sandbox.config.suffix}"

    def move_to(host: str) -> dict[str, Any]:
        (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
        kept = [parameter["ParameterKey"] for parameter in stack["Parameters"]]
        stacks.update_stack(
            StackName=name,
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": host}
                if key == "WarehouseHost"
                else {"ParameterKey": key, "UsePreviousValue": True}
                for key in kept
            ],
        )
        waiter = stacks.get_waiter("stack_update_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        return deployed_secret(pipeline)

    moved = move_to("localhost")
    me = pipeline.query("SELECT current_user AS me")
    back = move_to(login["host"])

    assert moved["host"] == "localhost"
    assert moved["password"] == login["password"]
    assert me == [{"me": login["username"]}]
    assert back == login
