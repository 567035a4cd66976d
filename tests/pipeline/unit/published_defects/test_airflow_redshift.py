"""Defects of Airflow's RedshiftDataOperator and RedshiftToS3Operator."""

from __future__ import annotations

import re
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes.redshift_data import FakeRedshiftData
from xacct_assets.aws.redshift.data_api import DataApi
from xacct_assets.aws.redshift.unload import UnloadSpec, statement
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.assets.fact_table import statement_token
from xacct_assets.feed.assets.s3_export import unload_statement
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import Settings

ROLES = ("arn:aws:iam::222222222222:role/RoleB", "arn:aws:iam::111111111111:role/RoleA")
TARGET = "s3://sample-opt-bucket-etl-local/products/2026/01/01/"


@pytest.fixture
def redshift() -> FakeRedshiftData:
    return FakeRedshiftData()


@pytest.fixture
def api(redshift: FakeRedshiftData, clock: Any) -> DataApi:
    return DataApi(redshift.client, "xacct", "dev", "arn", sleep=clock.sleep, clock=clock)


def test_a_submit_whose_answer_was_lost_does_not_run_the_statement_twice(
    redshift: FakeRedshiftData, api: DataApi
) -> None:
    """RedshiftDataOperator sends no ClientToken: a repeated submit is a second statement."""
    redshift.lost_answers = [ReadTimeoutError(endpoint_url="https://redshift-data")] * 2
    api.execute("CALL p()")
    api.batch(["DELETE 1", "DELETE 2"])
    assert len(redshift.submits) == 4
    assert len(redshift.tokens) == 2, "statements that the workgroup ran"


def test_the_token_is_the_same_for_the_same_attempt_and_another_for_the_next(
    feed: FeedSpec,
) -> None:
    """RedshiftDataOperator sends no ClientToken: a process that dies leaves nothing to find the
    statement by."""

    def token(run_id: str = "run-1", retry: int = 0, day: date = date(2026, 1, 1)) -> str:
        context = SimpleNamespace(run=SimpleNamespace(run_id=run_id), retry_number=retry)
        return statement_token(context, feed, "call", day)  # type: ignore[arg-type]

    assert token() == token()
    others = {token(), token(run_id="run-2"), token(retry=1), token(day=date(2026, 1, 2))}
    assert len(others) == 4
    assert all(len(other) <= 64 for other in others)


def test_all_pages_of_a_result_are_read(redshift: FakeRedshiftData, api: DataApi) -> None:
    """RedshiftDataOperator returns the first page of a result only."""
    columns = [{"name": "n", "label": "n", "typeName": "int8"}]
    redshift.facts = {"HasResultSet": True}
    redshift.pages = [
        {"ColumnMetadata": columns, "Records": [[{"longValue": number}]]} for number in range(3)
    ]
    assert api.execute("SELECT n FROM t").rows == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_no_key_reaches_the_text_of_an_export(
    feed: FeedSpec, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RedshiftToS3Operator can write temporary keys into the SQL text, which Redshift logs."""
    keys = {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLEKEYID0000",
        "AWS_SECRET_ACCESS_KEY": "exampleSecretAccessKey",
        "AWS_SESSION_TOKEN": "exampleSessionToken",
    }
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    text = unload_statement(feed, AwsClients(settings), date(2026, 1, 1))
    assert f"IAM_ROLE '{settings.role_b_arn},{settings.role_a_arn}'" in text
    assert not re.search("credentials|access_key|session_token|token", text, re.IGNORECASE)
    assert [name for name, value in keys.items() if value in text] == []


@pytest.mark.parametrize(
    "way_in",
    [
        "aws_access_key_id=ASIAEXAMPLE;aws_secret_access_key=example",
        "arn:aws:iam::222222222222:role/RoleB' ACCESS_KEY_ID 'ASIAEXAMPLE",
    ],
)
def test_there_is_no_way_to_have_a_key_written_into_an_export(way_in: str) -> None:
    """RedshiftToS3Operator can write temporary keys into the SQL text."""
    with pytest.raises(ValueError, match="is not the ARN of an IAM role"):
        statement(UnloadSpec("SELECT 1", TARGET, (way_in,)))


@given(st.lists(st.text(alphabet="'ab ", max_size=6), min_size=1, max_size=4))
def test_quotes_in_a_query_mean_in_redshift_what_they_meant_in_the_query(values: list[str]) -> None:
    """RedshiftToS3Operator corrupts ``''`` in queries: an escaped quote, or an empty string."""
    literals = ["'" + value.replace("'", "''") + "'" for value in values]
    query = f"SELECT 1 WHERE name IN ({', '.join(literals)})"
    text = statement(UnloadSpec(query, TARGET, ROLES))
    # As Redshift reads it: the literal after UNLOAD ends at the first quote that is not doubled.
    found = re.match(r"UNLOAD \('((?:[^']|'')*)'\)\n", text)
    assert found is not None
    assert found[1].replace("''", "'") == query
