"""Results of the Data API: pages, limits, retention, and the types of fields."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.support.refusals import refused
from xacct_sandbox.redshift.api.data_api import operations
from xacct_sandbox.redshift.api.data_api.results import Column, field


def test_a_result_is_paged_and_every_row_comes_once(bench):
    answer = bench.execute("rows 2500", WaitTimeSeconds=10)
    records, token = [], None
    while True:
        page = bench.api.get_statement_result(
            {"Id": answer["Id"], **({"NextToken": token} if token else {})}
        )
        assert page["TotalNumRows"] == 2500
        records += page["Records"]
        token = page.get("NextToken")
        if not token:
            break
    assert [record[0]["longValue"] for record in records] == list(range(2500))
    assert [column["name"] for column in page["ColumnMetadata"]] == ["n", "text"]


def test_a_token_of_another_result_is_refused(bench):
    one = bench.execute("rows 2500", WaitTimeSeconds=10)
    other = bench.execute("rows 2500", WaitTimeSeconds=10)
    token = bench.api.get_statement_result({"Id": one["Id"]})["NextToken"]
    with refused("ValidationException", "NextToken"):
        bench.api.get_statement_result({"Id": other["Id"], "NextToken": token})


@pytest.mark.parametrize(("sql", "state"), [("insert", "no result set"), ("fail x", "FAILED")])
def test_a_statement_without_result_says_why(bench, sql, state):
    answer = bench.execute(sql)
    bench.end(answer)
    with refused("ResourceNotFoundException", state):
        bench.api.get_statement_result({"Id": answer["Id"]})


def test_an_empty_result_is_a_result(bench):
    answer = bench.execute("rows 0")
    assert bench.end(answer)["HasResultSet"] is True
    assert bench.api.get_statement_result({"Id": answer["Id"]})["Records"] == []


def test_a_row_beyond_the_limit_fails_the_statement(bench):
    described = bench.end(bench.execute(f"wide {64 * 1024}"))
    assert described["Status"] == "FAILED"
    assert "Packet for query is too large" in described["Error"]


def test_results_are_kept_over_a_restart_and_for_a_day(bench, monkeypatch):
    answer = bench.execute("rows 1")
    bench.end(answer)
    bench.restart()
    assert bench.api.get_statement_result({"Id": answer["Id"]})["TotalNumRows"] == 1
    later = time.time() + 24 * 3600 + 1
    monkeypatch.setattr(operations.time, "time", lambda: later)
    with refused("ResourceNotFoundException", "does not exist"):
        bench.api.get_statement_result({"Id": answer["Id"]})
    bench.execute("insert")
    assert not (bench.folder / "results" / f"{answer['Id']}_1").exists()


def test_a_statement_that_ran_when_the_daemon_ended_is_failed(bench):
    answer = bench.execute("wait")
    assert bench.database.waiting.wait(5)
    old = bench.api
    bench.restart()
    described = bench.api.describe_statement({"Id": answer["Id"]})
    assert described["Status"] == "FAILED"
    assert "stopped" in described["Error"]
    old.cancel_statement({"Id": answer["Id"]})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {"isNull": True}),
        (True, {"booleanValue": True}),
        (5, {"longValue": 5}),
        (1.5, {"doubleValue": 1.5}),
        (Decimal("12.50"), {"stringValue": "12.50"}),
        (Decimal("1E+3"), {"stringValue": "1000"}),
        ("", {"stringValue": ""}),
        (date(2022, 2, 22), {"stringValue": "2022-02-22"}),
        (datetime(2022, 2, 22), {"stringValue": "2022-02-22 00:00:00.0"}),
        (datetime(2020, 8, 21, 17, 33, 51, 887120), {"stringValue": "2020-08-21 17:33:51.88712"}),
        (datetime(2020, 1, 1, tzinfo=UTC), {"stringValue": "2020-01-01 00:00:00.0+00"}),
        ({"a": [1]}, {"stringValue": '{"a":[1]}'}),
    ],
)
def test_a_value_has_the_field_the_guide_gives_it(value, expected):
    assert field(value) == expected


def test_column_metadata_tells_precision_scale_and_length():
    price = Column("price", 1700, ((12 << 16) | 2) + 4).metadata()
    assert (price["typeName"], price["precision"], price["scale"]) == ("numeric", 12, 2)
    name = Column("name", 1043, 256 + 4).metadata()
    assert (name["typeName"], name["length"], name["isCaseSensitive"]) == ("varchar", 256, True)
