"""The request to the load job, and how its report is read."""

import base64
import json
import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError
from dagster_pipes import encode_param

from tests.support.fakes.aws_clients import LANDED_AT
from tests.support.fakes.aws_state import AwsState
from tests.support.fakes.modelled_client import ModelledClient
from tests.support.fakes.s3 import FakeBucket
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.contract.load_report import DayLoad
from xacct_assets.contract.load_request import LoadRequest
from xacct_assets.feed.load_job import _loaded_days, load_prefix, load_request
from xacct_assets.feed.load_pipes import (
    INLINE_CHARACTERS,
    LoadContextInjector,
    LoadMessageReader,
)
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.metadata import RawFiles

DAY = date(2026, 1, 2)
COLUMNS = tuple(load_feed("products").column_names())
# So long that it does not shrink below what arguments take.
LONG = random.Random(1).randbytes(INLINE_CHARACTERS).hex()
ACCOUNT = {
    "load_id": "w1",
    "days": {
        "2026-01-02": {
            "files": 1,
            "rows_read": 10,
            "rows_loaded": 9,
            "rows_rejected": 1,
            "reasons": {"id: missing": 1},
            "sample": [{"source_file": "f", "reason": "id: missing", "raw_record": ",a"}],
        }
    },
}


def raw(rows: int | None, *splittable: str) -> RawFiles:
    """What raw_partition found of a day."""
    version = base64.urlsafe_b64encode(random.Random(rows).randbytes(16)).decode().rstrip("=")
    return RawFiles(1, LANDED_AT, [], rows, splittable or None, version, COLUMNS)


def pipes_bucket() -> FakeBucket:
    return FakeBucket(owner="222222222222")


def load_bucket(client: Any) -> Bucket:
    return Bucket(client, "b", "222222222222")


def write_messages(bucket: FakeBucket, key: str, *messages: tuple[str, Any]) -> None:
    lines = [
        json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": params})
        for method, params in messages
    ]
    bucket.objects[key] = "\n".join(lines).encode()


class Handler:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.messages.append((message["method"], message["params"]))


def read(bucket: FakeBucket) -> list[Any]:
    reader = LoadMessageReader(load_bucket(bucket.client), "pipes/products/w1/")
    handler = Handler()
    with reader.read_messages(handler) as params:
        assert params == {"bucket": "b", "key_prefix": "pipes/products/w1/messages"}
        assert handler.messages == []
    return handler.messages


def test_the_load_request_is_plain_data(pipeline: InMemoryPipeline, state: AwsState) -> None:
    extras = load_request(state.feed, pipeline.aws, "w1", {DAY: raw(10)}).to_json()
    assert json.loads(json.dumps(extras)) == extras
    assert extras["days"] == [
        {
            "day": "2026-01-02",
            "values": ["2026", "01", "02"],
            "rows": 10,
            "version": raw(10).version,
        }
    ]
    assert extras["rejects"] == "s3://xacct-processing-test-222222222222/rejects/products/"
    assert extras["copy_role"] == "arn:aws:iam::222222222222:role/xacct-RoleB-test"
    assert extras["columns"][4] == {"name": "price", "type": "decimal(12,2)", "nullable": False}


def test_the_load_request_says_which_files_can_be_split_and_which_rows_nobody_counted(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    days = {DAY + timedelta(days=1): raw(None), DAY: raw(10, "products/a.csv", "products/é b.csv")}
    sent = load_request(state.feed, pipeline.aws, "w1", days)
    assert sent.splittable_files == (
        "s3://sample-inp-bucket-etl-test-111111111111/products/a.csv",
        "s3://sample-inp-bucket-etl-test-111111111111/products/é b.csv",
    )
    assert [day.rows for day in sent.days] == [10, None]
    assert sent.header == COLUMNS
    assert LoadRequest.from_json(json.loads(json.dumps(sent.to_json()))) == sent


def test_the_load_request_names_a_header_only_if_all_files_with_rows_have_it(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    def header(*days: RawFiles) -> tuple[str, ...]:
        raw_days = {DAY + timedelta(days=number): found for number, found in enumerate(days)}
        return load_request(state.feed, pipeline.aws, "w1", raw_days).header

    other = replace(raw(10), header=COLUMNS[::-1])
    unknown = replace(raw(10), header=None)
    assert header(raw(10), raw(None)) == COLUMNS
    assert header(raw(10), replace(raw(0), header=None)) == COLUMNS
    assert header(raw(10), other) == header(raw(10), unknown) == header(unknown) == ()


def test_the_load_request_says_what_becomes_of_trailing_blanks(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    assert load_request(state.feed, pipeline.aws, "w1", {DAY: raw(10)}).trailing_blanks == "reject"
    load = state.feed.load.model_validate({"trailing_blanks": "cut"})
    cuts = state.feed.model_copy(update={"load": load})
    assert (
        load_request(cuts, pipeline.aws, "w1", {DAY: raw(10)}).to_json()["trailing_blanks"] == "cut"
    )


@pytest.mark.parametrize("days", [366, 3000])
def test_the_jobs_arguments_do_not_grow_with_the_days(
    pipeline: InMemoryPipeline, state: AwsState, days: int
) -> None:
    rows = {DAY + timedelta(days=n): raw(7919**n % 10_000_019) for n in range(days)}
    context = {"extras": load_request(state.feed, pipeline.aws, "f" * 32, rows).to_json()}
    injector = LoadContextInjector(load_bucket(pipes_bucket().client), "pipes/products/w1/")
    with injector.inject_context(context) as params:
        assert len(encode_param(params)) <= INLINE_CHARACTERS


def test_the_prefix_of_messages_follows_from_the_work(state: AwsState) -> None:
    assert load_prefix(state.feed, "w1") == "pipes/products/w1/"


def test_a_long_context_stays_in_s3_for_a_later_attempt() -> None:
    bucket = pipes_bucket()
    injector = LoadContextInjector(load_bucket(bucket.client), "pipes/products/w1/")
    with injector.inject_context({"extras": {"feed": LONG}}) as params:
        assert params == {"bucket": "b", "key": "pipes/products/w1/context.json"}
    assert json.loads(bucket.objects["pipes/products/w1/context.json"])["extras"]["feed"]


def test_the_context_of_a_month_goes_with_the_jobs_arguments(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    bucket = pipes_bucket()
    month = {DAY + timedelta(days=n): raw(1_000_000 + n) for n in range(31)}
    context = {"extras": load_request(state.feed, pipeline.aws, "f" * 32, month).to_json()}
    injector = LoadContextInjector(load_bucket(bucket.client), "pipes/products/w1/")
    with injector.inject_context(context) as params:
        assert params == {"data": context}
    assert bucket.objects == {}
    assert len(encode_param(params)) < INLINE_CHARACTERS / 2


def test_a_context_that_may_not_be_written_is_a_denial_that_no_retry_mends() -> None:
    def deny(**_: Any) -> None:
        error = {"Code": "AccessDenied", "Message": "Access Denied", "Principal": "arn:me"}
        raise ClientError({"Error": error}, "PutObject")

    client = ModelledClient("s3", put_object=deny)
    injector = LoadContextInjector(load_bucket(client), "pipes/products/w1/")
    with (
        pytest.raises(AccessDenied) as refused,
        injector.inject_context({"extras": {"feed": LONG}}),
    ):
        pass
    assert not refused.value.retryable
    assert (refused.value.principal, refused.value.action) == ("arn:me", "s3:PutObject")
    assert refused.value.resource == "arn:aws:s3:::b/pipes/products/w1/context.json"


def test_messages_are_read_in_order_once_the_job_has_ended() -> None:
    bucket = pipes_bucket()
    write_messages(
        bucket,
        "pipes/products/w1/messages/1.json",
        *[("opened", {}), ("log", {"message": "a"}), ("log", {"message": "b"}), ("closed", {})],
    )
    assert [method for method, _ in read(bucket)] == ["opened", "log", "log", "closed"]


def test_a_job_that_left_no_messages_has_said_nothing() -> None:
    assert read(pipes_bucket()) == []


def test_a_failing_job_is_not_hidden_by_trouble_with_its_messages() -> None:
    reader = LoadMessageReader(load_bucket(None), "pipes/products/w1/")
    with pytest.raises(RuntimeError, match="the job failed"), reader.read_messages(Handler()):
        raise RuntimeError("the job failed")


def test_the_account_of_the_load_is_the_last_one_of_this_work() -> None:
    other = {"load_id": "w0", "days": {}}
    assert _loaded_days([other, ACCOUNT], "w1", "jr_1") == {
        DAY: DayLoad(
            *(1, 10, 9, 1, {"id: missing": 1}),
            [{"source_file": "f", "reason": "id: missing", "raw_record": ",a"}],
        )
    }


def test_a_job_without_an_account_of_its_load_fails() -> None:
    with pytest.raises(dg.Failure, match="left no report of load"):
        _loaded_days([{"something": "else"}], "w1", "jr_1")
