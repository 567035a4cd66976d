"""The SQL and the options that go to Glue's Redshift connector."""

from __future__ import annotations

import traceback
from dataclasses import replace
from datetime import date

import pytest

from tests.support.fakes.modelled_client import ModelledClient
from tests.support.fakes.s3 import FakeBucket
from xacct_assets.contract.load_request import LoadRequest
from xacct_assets.contract.logins import is_login_refused
from xacct_load import rejects, s3, staging
from xacct_load.counts import DayCounts, LoadCounts
from xacct_load.errors import LoadError
from xacct_load.failures import (
    describe_spark_failure,
    naming_refused_login,
    naming_refused_value,
)


def counts() -> LoadCounts:
    return LoadCounts(
        {
            date(2026, 1, 1): DayCounts(files=2, loaded=5, reasons={"id: missing": 1}),
            date(2026, 1, 2): DayCounts(files=1),
        }
    )


def test_the_days_leave_staging_and_load_audit_before_copy(load_request: LoadRequest) -> None:
    assert staging.preactions(load_request) == (
        "DELETE FROM public.products WHERE partition_date IN ('2026-01-01', '2026-01-02'); "
        "DELETE FROM public.xacct_load_audit WHERE feed = 'products' "
        "AND partition_date IN ('2026-01-01', '2026-01-02')"
    )


def test_every_day_gets_a_load_audit_row_also_without_rows(load_request: LoadRequest) -> None:
    assert staging.postactions(load_request, counts()) == (
        "INSERT INTO public.xacct_load_audit "
        "(feed, partition_date, load_id, rows_loaded, loaded_at) VALUES "
        "('products', '2026-01-01', 'w-1', 5, GETDATE()), "
        "('products', '2026-01-02', 'w-1', 0, GETDATE())"
    )


def test_the_actions_have_no_newline_and_no_percent_sign(load_request: LoadRequest) -> None:
    options = staging.connection_options(load_request, counts())
    for name in ("preactions", "postactions"):
        assert "\n" not in options[name]
        assert "%" not in options[name]


def test_null_is_marked_by_a_text_that_no_value_can_be(load_request: LoadRequest) -> None:
    assert "w-1" in load_request.null_marker
    options = staging.connection_options(load_request, counts())
    assert options["csvnullstring"] == load_request.null_marker
    assert options["aws_iam_role"] == "arn:aws:iam::222222222222:role/RoleB"


def test_the_report_adds_up_for_every_day(load_request: LoadRequest) -> None:
    sample = [{"source_file": "f", "reason": "id: missing", "raw_record": ",a"}]
    report = counts().report("w-1", {date(2026, 1, 1): sample, date(2026, 1, 2): []}).to_json()
    assert report["load_id"] == "w-1"
    assert report["days"]["2026-01-01"] == {
        "files": 2,
        "rows_read": 6,
        "rows_loaded": 5,
        "rows_rejected": 1,
        "reasons": {"id: missing": 1},
        "sample": sample,
    }
    assert report["days"]["2026-01-02"]["rows_read"] == 0


def test_the_manifest_is_written_for_a_clean_day_and_older_rejects_go(
    load_request: LoadRequest,
) -> None:
    folder = "rejects/products/2026/01/0"
    new, old = f"{folder}1/w-1/part-0.json.gz", f"{folder}1/w-0/part-0.json.gz"
    bucket = FakeBucket(dict.fromkeys([new, old, f"{folder}2/w-0/x"], b""))
    files = {date(2026, 1, 1): [(new, 1)]}
    rejects.publish_rejects(bucket.client, load_request, counts(), {date(2026, 1, 2): [], **files})
    assert sorted(bucket.objects) == [
        f"{folder}1/manifest.json",
        new,
        f"{folder}2/manifest.json",
    ]
    assert b'"rejected_rows": 0' in bucket.objects[f"{folder}2/manifest.json"]


def test_an_object_that_cannot_be_deleted_is_named() -> None:
    denied = {"Key": "a/b", "Code": "AccessDenied", "Message": "not authorized"}
    bucket = FakeBucket({"a/b": b""})
    bucket.delete_errors = [denied]
    with pytest.raises(LoadError, match=r"s3://bucket/a/b: AccessDenied: not authorized"):
        s3.delete_objects(bucket.client, "bucket", "a/")


REFUSED = (
    "An error occurred while calling o93.pyWriteDynamicFrame.\n: java.sql.SQLException: "
    '[Amazon](500310) Invalid operation: password authentication failed for user "etl";\n\tat x'
)


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"SECRET_ID": "xacct/redshift-local"}, "secret xacct/redshift-local and the database"),
        ({"USERNAME": "etl"}, "secret of connection xacct-redshift (it names none)"),
    ],
)
def test_a_login_that_stays_refused_names_connection_user_and_secret(
    load_request: LoadRequest, properties, named
) -> None:
    load_request = replace(load_request, connection="xacct-redshift")
    connection = {"Name": "xacct-redshift", "ConnectionProperties": properties}
    glue = ModelledClient("glue", get_connection=lambda **_: {"Connection": connection})
    with pytest.raises(LoadError) as caught, naming_refused_login(glue, load_request):
        raise RuntimeError(REFUSED)
    for part in ("connection xacct-redshift", 'user "etl"', named, "ALTER USER"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert is_login_refused(str(caught.value))


REFUSED_VALUE = """An error occurred while calling o93.pyWriteDynamicFrame.
: java.sql.SQLException:\x20
Error (code {code}) while loading data into Redshift: "{reason}"
Table name: "public"."products"
Column name: {column}
Column type: varchar(3)
Raw line: 1,"first line
second line of 4111",{value}
Raw field value: {value}
\x20\x20
\tat io.github.spark_redshift_community.spark.redshift.RedshiftWriter.doRedshiftLoad
Caused by: com.amazon.redshift.util.RedshiftException: ERROR: Load into table 'products' failed.
"""


@pytest.mark.parametrize(
    ("column", "sensitive", "reason", "told"),
    [
        (
            "name",
            "",
            "String length exceeds DDL length",
            "DDL length (code 1204); the value: '4111'",
        ),
        (
            "name",
            "price",
            "String length exceeds DDL length",
            "DDL length (code 1204); the value: '4111'",
        ),
        (
            "price",
            "price",
            "String length exceeds DDL length",
            "DDL length (code 1204); the value: ***",
        ),
        (
            "price",
            "price",
            "Invalid digit, Value '4111', Pos 0, Type: Decimal",
            "Invalid digit, Value ***, Pos 0, Type: Decimal (code 1204); the value: ***",
        ),
    ],
)
def test_a_value_that_copy_refuses_is_named_without_what_is_sensitive(
    load_request: LoadRequest, column: str, sensitive: str, reason: str, told: str
) -> None:
    columns = tuple(replace(c, sensitive=c.name == sensitive) for c in load_request.columns)
    request = replace(load_request, columns=columns)
    text = REFUSED_VALUE.format(code=1204, reason=reason, column=column, value="4111")
    with pytest.raises(LoadError) as caught, naming_refused_value(request):
        raise RuntimeError(text)
    message = str(caught.value)
    assert f"value of column {column} (varchar(3)) of public.products: " in message
    assert told in message
    assert "second line" not in message
    shown = "".join(traceback.format_exception(caught.value))
    assert ("second line" in shown) == (not sensitive)
    assert ("4111" in message) == (column != sensitive)


def test_other_failures_of_the_write_are_left_as_they_are(load_request: LoadRequest) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        naming_refused_login(ModelledClient("glue"), load_request),
    ):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), naming_refused_value(load_request):
        raise ZeroDivisionError


def test_a_spark_failure_says_which_file_and_why() -> None:
    text = (
        "An error occurred while calling o9.collect.\n: org.apache.spark.SparkException: Job\n"
        "\tat x\nCaused by: Encountered error while reading file s3://raw/p/a.csv.gz. Details: \n"
        "\tat y\nCaused by: java.io.EOFException: Unexpected end of input stream\n\tat z"
    )
    assert describe_spark_failure(text) == (
        "s3://raw/p/a.csv.gz: java.io.EOFException: Unexpected end of input stream"
    )


IAM_URL = "jdbc:redshift:iam://wg.example:5439/dev?IsServerless=true&ServerlessWorkGroup=wg"


def test_with_a_login_by_iam_the_connector_gets_an_address_and_no_login(
    load_request: LoadRequest,
) -> None:
    by_iam = replace(load_request, warehouse_url=IAM_URL)
    options = staging.connection_options(by_iam, counts())
    usual = staging.connection_options(load_request, counts())
    assert options["url"] == IAM_URL
    assert not {"connectionName", "useConnectionProperties", "user", "password"} & set(options)
    shared = set(usual) - {"connectionName", "useConnectionProperties"}
    assert {name: options[name] for name in shared} == {name: usual[name] for name in shared}


def test_a_login_by_iam_that_stays_refused_names_the_role_and_no_secret(
    load_request: LoadRequest,
) -> None:
    by_iam = replace(load_request, warehouse_url=IAM_URL)
    refused = REFUSED.replace('"etl"', '"IAMR:xacct-glue-dev1"')
    with pytest.raises(LoadError) as caught, naming_refused_login(ModelledClient("glue"), by_iam):
        raise RuntimeError(refused)
    for part in ("the job's role, by IAM", 'user "IAMR:xacct-glue-dev1"', "temporary"):
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:redshift://wg.example:5439/dev",
        "jdbc:redshift:iam://user:pw@wg.example:5439/dev",
        "jdbc:redshift:iam://wg.example/dev",
    ],
)
def test_an_address_that_may_hold_a_login_is_refused(load_request: LoadRequest, url: str) -> None:
    with pytest.raises(ValueError, match="warehouse_url"):
        replace(load_request, warehouse_url=url)


def test_the_address_travels_with_the_request_only_if_there_is_one(
    load_request: LoadRequest,
) -> None:
    by_iam = replace(load_request, warehouse_url=IAM_URL)
    assert LoadRequest.from_json(by_iam.to_json()) == by_iam
    assert "warehouse_url" not in load_request.to_json()
