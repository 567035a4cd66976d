"""A supplier's files as a feed describes them: each value in Redshift, and each reject by its name.

Every setting of a column and of the files is used: header texts, formats, texts for NULL, defaults,
columns that are missing or that the feed does not have, a preamble, other encodings, no header row.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pyarrow import parquet

from tests.support.load_job import LoadJob
from tests.support.samples.written_tables import WrittenTable, varied_tables
from tests.support.sandbox import RunningSandbox
from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.load_job import load_request
from xacct_assets.feed.metadata import RawFiles
from xacct_assets.feed.proposal.defs_yaml import FeedFrame, render
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.generator import generate
from xacct_assets.settings import Settings

DAY, SEMICOLONS, BY_POSITION = "2031-07-01", "2031-07-02", "2031-07-03"
REFUSED = "2031-07-04"
COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "bigint", "nullable": False, "header": "Variant ID"},
    {"name": "body", "type": "varchar(100)", "nullable": True, "header": "Body (HTML)"},
    {
        "name": "price",
        "type": "decimal(10,2)",
        "nullable": True,
        "header": "Preis, brutto",
        "format": "1.234,56 €",
        "null_values": ["N/A", "auf Anfrage"],
    },
    {"name": "rate", "type": "double precision", "nullable": True, "format": "1234,56 %"},
    {
        "name": "since",
        "type": "date",
        "nullable": False,
        "format": "DD/MM/YYYY",
        "default": "2026-01-31",
    },
    {"name": "at", "type": "timestamp", "nullable": True, "format": "MM/DD/YYYY HH:MI AM"},
    {"name": "tz", "type": "timestamptz", "nullable": True},
    {"name": "opens", "type": "time", "nullable": True},
    {"name": "doc", "type": "super", "nullable": True},
    {"name": "code", "type": "char(3)", "nullable": True},
    {
        "name": "note",
        "type": "varchar(10)",
        "nullable": False,
        "trim": True,
        "default": "none",
        "optional": True,
    },
    {"name": "tax", "type": "bigint", "nullable": True, "sensitive": True, "optional": True},
]
NAMES = [column["name"] for column in COLUMNS]
HEADERS = [column.get("header", column["name"]) for column in COLUMNS]
FIRST = (
    *(1, "<p>a, b</p>\nc", Decimal("1234.50"), 12.5, date(2026, 12, 31)),
    *(datetime(2026, 12, 31, 13, 5), datetime(2026, 1, 31, 9, tzinfo=UTC), time(8, 30)),
    *({"a": [1, None, "x"]}, "ab ", "x y", 7),
)
NULLS = (2, None, None, None, date(2026, 1, 31), *(None,) * 5, "none", None)

MOMENTS = "12/31/2026 1:05 PM,2026-01-31T10:00:00+01:00,08:30"
FULL = f"""{",".join(f'"{name}"' for name in HEADERS)}
1,"<p>a, b</p>
c","1.234,5 €","12,5 %",31/12/2026,{MOMENTS},"{{""a"": [1, null, ""x""]}}",ab,"  x y\u00a0",7
2,,N/A,,,,,,,,,
,,,,,,,,,,,
3,,auf Anfrage,,,,,,,,  ,
4,,"1,5",,,,,,,,,
5,,,,12/31/2026,,,,,,,
6,,,,,,,,{{'a': 1}},,,
7,,,,,,,,,é,,
8,,,,,,,,,,,secret
9,\\N,,,,,,,,,,
1,again,,,,,,,,,,
1\u00a0000,nbsp,,,,,,,,,,
"1.000,5",comma,,,,,,,,,,
10,order,,,,,31.12.2026 10:00,,,,,
{",".join(f'"{name}"' for name in HEADERS)}
TRAILER;12
\x1a
"""
#: Without the optional columns, with two that the feed does not have, in another order and case.
OTHER = (
    'new,VARIANT ID, body (html) ,"preis, brutto",rate,since,at,tz,opens,doc,code,\n'
    'x,20,b,"0,99€","100 %",1/2/2026,,,,,,y\n'
    "x,21,too few\n"
)


@pytest.fixture(scope="module")
def job(sandbox: RunningSandbox) -> Iterator[LoadJob]:
    columns = [(column["name"], column["type"], column["nullable"]) for column in COLUMNS]
    made = LoadJob(sandbox, "load_formats", columns)
    with made.tables([DAY, SEMICOLONS, BY_POSITION, REFUSED]):
        yield made


def load(
    job: LoadJob,
    day: str,
    source: dict[str, Any],
    columns: list[dict[str, Any]] | None = None,
    **more: Any,
) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """What the job reports of the day, and its rows in Redshift."""
    default = {"delimiter": ",", "quote": '"', "escape": '"', "encoding": "utf-8"}
    request = {"columns": columns or COLUMNS, "source": {**default, "pattern": ["*.csv"], **source}}
    run, report = job.run([day], request={**request, **more})
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    rows = job.query(
        f"SELECT {', '.join(NAMES)} FROM public.{job.feed} "
        f"WHERE partition_date = '{day}' ORDER BY id"
    )
    number = NAMES.index("doc")
    read = [
        (
            *row[:number],
            None if row[number] is None else json.loads(row[number]),
            *row[number + 1 :],
        )
        for row in rows
    ]
    return report[day], read


def test_each_value_is_loaded_as_the_feed_says_and_all_else_is_named(job: LoadJob) -> None:
    job.put(DAY, "full.csv", FULL)
    job.put(DAY, "other.csv", OTHER)
    report, rows = load(job, DAY, {"relaxed_header": True, "ignores_other_columns": True})
    other = (20, "b", Decimal("0.99"), 100.0, date(2026, 2, 1), *(None,) * 5, "none", None)
    assert rows == [FIRST, NULLS, (3, *NULLS[1:]), other]
    assert report["reasons"] == {
        "id: duplicate key": 1,
        "id: not a bigint": 2,
        "tz: not a timestamptz": 1,
        "a row of delimiters only": 1,
        "price: not a decimal(10,2) as '1.234,56 €'": 1,
        "since: not a date as DD/MM/YYYY": 1,
        "doc: not JSON": 1,
        "code: holds a character that is not ASCII, which a char cannot": 1,
        "tax: not a bigint": 1,
        "\\N, which is MySQL's NULL: add it to the feed's null_values": 1,
        "the header row again": 1,
        "a trailer line, which is no row": 1,
        "Ctrl-Z (U+001A), DOS's mark of a file's end": 1,
        "wrong number of fields": 1,
    }


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (
            "nbsp",
            "id: not a bigint: 1\u00a0000 (it has a no-break space, U+00A0 or U+202F: set the "
            "column's trim or format)",
        ),
        (
            "comma",
            "id: not a bigint: 1.000,5 (a decimal comma: set the column's format, e.g. '1.234,56')",
        ),
        (
            "order",
            "tz: not a timestamptz: 31.12.2026 10:00 (another order: set the column's format, e.g. "
            "DD/MM/YYYY or MM/DD/YYYY)",
        ),
    ],
)
def test_a_value_that_is_written_otherwise_is_rejected_with_the_fix(
    job: LoadJob, mark: str, reason: str
) -> None:
    _, records = job.rejects(DAY)
    assert [record["reason"] for record in records if mark in record["raw_record"]] == [reason]


def test_a_sensitive_value_is_shown_nowhere_and_kept_for_the_repair(job: LoadJob) -> None:
    job.put(DAY, "full.csv", FULL)
    report, _ = load(job, DAY, {"relaxed_header": True, "ignores_other_columns": True})
    assert "secret" not in json.dumps(report)
    _, records = job.rejects(DAY)
    (kept,) = [record for record in records if "secret" in record["raw_record"]]
    assert kept["reason"] == "tax: not a bigint: ***"


def test_a_sensitive_value_that_copy_refuses_is_in_no_message_and_no_log(job: LoadJob) -> None:
    """The table's column is shorter than the feed says."""
    columns = [
        {**column, "type": "varchar(9)", "sensitive": True} if column["name"] == "code" else column
        for column in COLUMNS
    ]
    job.put(REFUSED, "a.csv", f"{','.join(NAMES)}\n30,open,,,,,,,,geheim,,\n")
    columns = [{**column, "header": column["name"]} for column in columns]
    run, _ = job.run([REFUSED], request={"columns": columns})
    assert run["JobRunState"] == "FAILED"
    message = run["ErrorMessage"]
    assert "Redshift refused a value of column code (char(3)) of public.load_formats" in message
    assert "the value: ***" in message
    assert "geheim" not in message
    log = job.client("logs").get_log_events(
        logGroupName=f"{run['LogGroupName']}/error", logStreamName=run["Id"], startFromHead=True
    )["events"]
    assert any("Redshift refused a value" in event["message"] for event in log)
    assert "geheim" not in json.dumps(log)


def test_a_preamble_is_skipped_and_utf_16_is_decoded(job: LoadJob) -> None:
    text = "sep=;\n\n" + FULL.partition("\n9,")[0]
    swapped = text.replace(";", "\0").replace(",", ";").replace("\0", ",")
    # The formats and texts have commas of their own.
    swapped = swapped.replace("sep=,", "sep=;").replace("Preis; brutto", "Preis, brutto")
    swapped = swapped.replace("1.234;5", "1.234,5").replace("12;5", "12,5").replace("1;5", "1,5")
    swapped = swapped.replace("a; b", "a, b").replace("[1; null; ", "[1, null, ")
    job.put(SEMICOLONS, "a.csv", swapped.replace("\n", "\r\n").encode("utf-16"))
    source = {"delimiter": ";", "encoding": "utf-16", "preamble_lines": 1}
    report, rows = load(job, SEMICOLONS, source)
    assert rows == [(*FIRST[:1], "<p>a, b</p>\r\nc", *FIRST[2:]), NULLS, (3, *NULLS[1:])]
    assert report["rows_read"] == report["rows_counted"] == 9


def test_a_file_without_header_row_is_read_by_position_in_its_encoding(job: LoadJob) -> None:
    columns = [
        {name: value for name, value in column.items() if name not in ("header", "optional")}
        for column in COLUMNS
    ]
    lines = FULL.partition("\n")[2].partition("\n9,")[0] + "\n"
    job.put(BY_POSITION, "a.csv", lines.replace("a, b", "Zoë").encode("windows-1252"))
    source = {"header_row": False, "encoding": "windows-1252"}
    report, rows = load(job, BY_POSITION, source, columns)
    assert rows == [(1, "<p>Zoë</p>\nc", *FIRST[2:]), NULLS, (3, *NULLS[1:])]
    assert report["rows_read"] == report["rows_counted"] == 9
    job.put(BY_POSITION, "b.csv", "3,,auf Anfrage,,,,,,,,,\n")
    report, rows = load(job, BY_POSITION, source, columns, key=[])
    assert rows[2:] == [(3, *NULLS[1:])] * 2  # without a key, no row is a duplicate
    job.put(BY_POSITION, "a.csv", lines.encode("windows-1252").replace(b"ab", b"\x81"))
    run, report = job.run(
        [BY_POSITION],
        request={
            "columns": columns,
            "source": {
                "delimiter": ",",
                "quote": '"',
                "escape": '"',
                "pattern": ["*.csv"],
                **source,
            },
        },
    )
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    assert "is 0x81" in report[BY_POSITION]["problem"]


@pytest.mark.parametrize("file_format", ["PARQUET", "CSV HEADER"])
def test_the_new_types_are_exported(job: LoadJob, file_format: str) -> None:
    config, target = job.sandbox.config, f"load-formats/{file_format.partition(' ')[0].lower()}/"
    role_b, role_a = (
        f"arn:aws:iam::{account}:role/xacct-{role}-{config.suffix}"
        for account, role in ((config.account_b, "RoleB"), (config.account_a, "RoleA"))
    )
    query = (
        f"SELECT {', '.join(NAMES)} FROM public.{job.feed} WHERE id = 1 AND body LIKE ''%b</p>%''"
    )
    job.query(
        f"UNLOAD ('{query}') TO 's3://{config.export_bucket}/{target}' "
        f"IAM_ROLE '{role_b},{role_a}' FORMAT {file_format} PARALLEL OFF ALLOWOVERWRITE"
    )
    s3 = job.sandbox.client("account-a-admin", "s3")
    (item,) = s3.list_objects_v2(Bucket=config.export_bucket, Prefix=target)["Contents"]
    body = s3.get_object(Bucket=config.export_bucket, Key=item["Key"])["Body"].read()
    if file_format == "PARQUET":
        (row,) = parquet.read_table(io.BytesIO(body)).to_pylist()[:1]
        assert (row["tz"], row["opens"]) == (datetime(2026, 1, 31, 9), time(8, 30))
    else:
        row = next(csv.DictReader(io.StringIO(body.decode())))
        assert (row["tz"], row["opens"]) == ("2026-01-31 09:00:00+00", "08:30:00")
    assert row["code"].rstrip() == "ab"
    assert json.loads(row["doc"]) == {"a": [1, None, "x"]}


# -- any table in any dialect ----------------------------------------------------------------------

#: Each is a job run; every run of the tests has the same.
TABLES = int(os.environ.get("LOADED_TABLES", "2"))


@pytest.fixture(scope="module")
def dialects(sandbox: RunningSandbox) -> Iterator[LoadJob]:
    made = LoadJob(sandbox, "load_dialects", [("any", "integer", True)], key=())
    with made.tables([DAY]):
        yield made


def feed_of(table: WrittenTable, name: str) -> FeedSpec:
    """The feed that `xacct feed new` writes for a table."""
    frame = FeedFrame(name, "Any table.", date(2031, 7, 1), name, DayLayout.PLAIN, ["table.csv"])
    return FeedSpec.model_validate(yaml.safe_load(render(table.proposed(), frame))["attributes"])


def requested(feed: FeedSpec, job: LoadJob) -> dict[str, Any]:
    """What the load request says of the feed."""
    settings = Settings.load(
        {
            "XACCT_ACCOUNT_A": job.sandbox.config.account_a,
            "XACCT_ACCOUNT_B": job.sandbox.config.account_b,
            "XACCT_SUFFIX": "local",
            "AWS_REGION": "us-east-1",
        }
    )
    aws: Any = SimpleNamespace(
        settings=settings, input_bucket=lambda _: "raw", job_warehouse_url=lambda: ""
    )
    raw = RawFiles(1, None, datetime(2031, 7, 1, tzinfo=UTC))
    request = load_request(feed, aws, "w-1", {feed.start: raw}).to_json()
    return {name: request[name] for name in ("source", "columns", "key", "trailing_blanks")}


def comparable(row: Sequence[Any], kinds: Sequence[str]) -> tuple[Any, ...]:
    """A row whose numbers are numbers: digits of an identifier are proposed as text."""
    return tuple(
        Decimal(value) if kind in ("integer", "decimal") and value is not None else value
        for value, kind in zip(row, kinds, strict=True)
    )


def test_a_table_in_any_dialect_is_proposed_and_loaded_value_by_value(dialects: LoadJob) -> None:
    for table in varied_tables(TABLES, widths=(6, 14)):
        assert_loaded(dialects, table)


def assert_loaded(dialects: LoadJob, table: WrittenTable) -> None:
    feed = feed_of(table, dialects.feed)
    dialects.query(f"DROP TABLE public.{dialects.feed}")
    dialects.query(generate(feed)["staging.sql"])
    dialects.put(DAY, "table.csv", table.data)
    run, report = dialects.run([DAY], request=requested(feed, dialects))
    assert run["JobRunState"] == "SUCCEEDED", (run.get("ErrorMessage"), table)
    rows = dialects.query(f"SELECT {', '.join(feed.column_names())} FROM public.{dialects.feed}")
    # Rows of delimiters only are no rows.
    expected = [row for row in table.rows if any(value is not None for value in row)]
    told = (table, feed.columns, dialects.rejects(DAY)[1])
    assert Counter(comparable(row, table.kinds) for row in rows) == Counter(
        comparable(row, table.kinds) for row in expected
    ), told
    assert report[DAY]["rows_rejected"] == len(table.rows) - len(expected), told
