"""The SQL and the options that go to Glue's Redshift connector."""

from __future__ import annotations

from datetime import date
from types import ModuleType
from typing import Any

import pytest

from tests.support.fakes.s3 import FakeBucket


def tally(script: ModuleType) -> Any:
    return script.Tally(
        {
            date(2026, 1, 1): script.DayTally(files=2, loaded=5, reasons={"id: missing": 1}),
            date(2026, 1, 2): script.DayTally(files=1),
        }
    )


def test_the_days_leave_staging_and_load_audit_before_copy(
    script: ModuleType, request_: Any
) -> None:
    assert script.preactions(request_) == (
        "DELETE FROM public.products WHERE partition_date IN ('2026-01-01', '2026-01-02'); "
        "DELETE FROM public.xacct_load_audit WHERE feed = 'products' "
        "AND partition_date IN ('2026-01-01', '2026-01-02')"
    )


def test_every_day_gets_a_load_audit_row_also_without_rows(
    script: ModuleType, request_: Any
) -> None:
    assert script.postactions(request_, tally(script)) == (
        "INSERT INTO public.xacct_load_audit "
        "(feed, partition_date, load_id, rows_loaded, loaded_at) VALUES "
        "('products', '2026-01-01', 'w-1', 5, GETDATE()), "
        "('products', '2026-01-02', 'w-1', 0, GETDATE())"
    )


def test_the_actions_hold_nothing_the_connector_would_take_apart(
    script: ModuleType, request_: Any
) -> None:
    options = script.connection_options(request_, tally(script))
    for name in ("preactions", "postactions"):
        assert "\n" not in options[name]
        assert "%" not in options[name]


def test_null_is_marked_by_a_text_that_no_value_can_be(script: ModuleType, request_: Any) -> None:
    assert "w-1" in request_.null_marker
    options = script.connection_options(request_, tally(script))
    assert options["csvnullstring"] == request_.null_marker
    assert options["aws_iam_role"] == "arn:aws:iam::222222222222:role/RoleB"


def test_the_report_adds_up_for_every_day(script: ModuleType, request_: Any) -> None:
    sample = [{"source_file": "f", "reason": "id: missing", "raw_record": ",a"}]
    report = tally(script).report(request_, {date(2026, 1, 1): sample, date(2026, 1, 2): []})
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
    script: ModuleType, request_: Any
) -> None:
    folder = "rejects/products/2026/01/0"
    new, old = f"{folder}1/w-1/part-0.json.gz", f"{folder}1/w-0/part-0.json.gz"
    bucket = FakeBucket(dict.fromkeys([new, old, f"{folder}2/w-0/x"], b""))
    files = {date(2026, 1, 1): [{"key": new, "rows": 1}]}
    script.publish_rejects(bucket.client, request_, tally(script), {date(2026, 1, 2): [], **files})
    assert sorted(bucket.objects) == [
        f"{folder}1/manifest.json",
        new,
        f"{folder}2/manifest.json",
    ]
    assert b'"rejected_rows": 0' in bucket.objects[f"{folder}2/manifest.json"]


def test_an_object_that_cannot_be_deleted_is_named(script: ModuleType) -> None:
    denied = {"Key": "a/b", "Code": "AccessDenied", "Message": "not authorized"}
    bucket = FakeBucket({"a/b": b""})
    bucket.delete_errors = [denied]
    with pytest.raises(script.LoadError, match=r"s3://bucket/a/b: AccessDenied: not authorized"):
        script.delete_objects(bucket.client, "bucket", "a/")


def test_a_spark_failure_says_which_file_and_why(script: ModuleType) -> None:
    text = (
        "An error occurred while calling o9.collect.\n: org.apache.spark.SparkException: Job\n"
        "\tat x\nCaused by: Encountered error while reading file s3://raw/p/a.csv.gz. Details: \n"
        "\tat y\nCaused by: java.io.EOFException: Unexpected end of input stream\n\tat z"
    )
    assert script.spark_failure(text) == (
        "s3://raw/p/a.csv.gz: java.io.EOFException: Unexpected end of input stream"
    )


@pytest.mark.parametrize(
    "words",
    [
        "ERROR: 1023\n  Detail: Serializable isolation violation on table - 100",
        "could not serialize access due to concurrent update",
        "deadlock detected",
    ],
)
def test_a_write_that_meets_another_transaction_is_done_again(
    script: ModuleType, words: str
) -> None:
    outcomes, slept = [RuntimeError(words), RuntimeError(words), None], []

    def write() -> None:
        if outcome := outcomes.pop(0):
            raise outcome

    script.again_after_conflicts(write, slept.append)
    assert outcomes == []
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("words", "attempts"), [("ERROR: 1023", 6), ("permission denied for table products", 1)]
)
def test_a_write_is_given_up_in_the_databases_words(
    script: ModuleType, words: str, attempts: int
) -> None:
    tries = []

    def write() -> None:
        tries.append(words)
        raise RuntimeError(words)

    with pytest.raises(RuntimeError, match=words):
        script.again_after_conflicts(write, lambda _seconds: None)
    assert len(tries) == attempts
