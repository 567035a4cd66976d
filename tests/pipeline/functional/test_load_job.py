"""What the load job is told, and how its account of the load is read."""

import json
import random
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError
from dagster_pipes import encode_param

from xacct_assets.aws.errors import AccessDenied
from xacct_assets.contract.load_report import DayLoad
from xacct_assets.feed.load_job import (
    INLINE_CHARACTERS,
    _loaded_days,
    _pipes_classes,
    load_prefix,
    load_request,
)

DAY = date(2026, 1, 2)
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


class MemoryS3:
    """The calls of boto3's S3 client that Pipes needs."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ExpectedBucketOwner: str) -> None:
        assert ExpectedBucketOwner == "222222222222"
        self.objects[Key] = Body

    def get_object(self, *, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "?"}}, "GetObject")
        return {"Body": BytesIO(self.objects[Key])}

    def write(self, key: str, *messages: tuple[str, Any]) -> None:
        lines = [
            json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": params})
            for method, params in messages
        ]
        self.put_object(
            Bucket="b",
            Key=key,
            Body="\n".join(lines).encode(),
            ExpectedBucketOwner="222222222222",
        )


class Handler:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.messages.append((message["method"], message["params"]))


def read(s3: MemoryS3) -> list[Any]:
    reader = _pipes_classes()[1](s3, "b", "222222222222", "pipes/products/w1/")
    handler = Handler()
    with reader.read_messages(handler) as params:
        assert params == {"bucket": "b", "key_prefix": "pipes/products/w1/messages"}
        assert handler.messages == []
    return handler.messages


def test_the_job_is_told_everything_as_plain_data(pipeline: Any, world: Any) -> None:
    extras = load_request(world.feed, pipeline.aws, "w1", {DAY: 10}).to_json()
    assert json.loads(json.dumps(extras)) == extras
    assert extras["days"] == [{"day": "2026-01-02", "values": ["2026", "01", "02"], "rows": 10}]
    assert extras["rejects"] == "s3://xacct-processing-test/rejects/products/"
    assert extras["copy_role"] == "arn:aws:iam::222222222222:role/xacct-RoleB-test"
    assert extras["columns"][4] == {"name": "price", "type": "decimal(12,2)", "nullable": False}


def test_the_prefix_of_messages_follows_from_the_work(world: Any) -> None:
    assert load_prefix(world.feed, "w1") == "pipes/products/w1/"


def test_a_long_context_stays_where_whoever_attaches_finds_it() -> None:
    s3 = MemoryS3()
    injector = _pipes_classes()[0](s3, "b", "222222222222", "pipes/products/w1/")
    with injector.inject_context({"extras": {"feed": LONG}}) as params:
        assert params == {"bucket": "b", "key": "pipes/products/w1/context.json"}
    assert json.loads(s3.objects["pipes/products/w1/context.json"])["extras"]["feed"]


def test_the_context_of_a_month_goes_with_the_jobs_arguments(pipeline: Any, world: Any) -> None:
    s3 = MemoryS3()
    month = {DAY + timedelta(days=n): 1_000_000 + n for n in range(31)}
    context = {"extras": load_request(world.feed, pipeline.aws, "f" * 32, month).to_json()}
    injector = _pipes_classes()[0](s3, "b", "222222222222", "pipes/products/w1/")
    with injector.inject_context(context) as params:
        assert params == {"data": context}
    assert s3.objects == {}
    assert len(encode_param(params)) < INLINE_CHARACTERS / 2


def test_a_context_that_may_not_be_written_is_a_denial_that_no_retry_mends() -> None:
    class NotOurs(MemoryS3):
        def put_object(self, **_: Any) -> None:
            error = {"Code": "AccessDenied", "Message": "Access Denied", "Principal": "arn:me"}
            raise ClientError({"Error": error}, "PutObject")

    injector = _pipes_classes()[0](NotOurs(), "b", "222222222222", "pipes/products/w1/")
    with (
        pytest.raises(AccessDenied) as refused,
        injector.inject_context({"extras": {"feed": LONG}}),
    ):
        pass
    assert not refused.value.retryable
    assert (refused.value.principal, refused.value.action) == ("arn:me", "s3:PutObject")
    assert refused.value.resource == "arn:aws:s3:::b/pipes/products/w1/context.json"


def test_messages_are_read_in_order_once_the_job_has_ended() -> None:
    s3 = MemoryS3()
    s3.write(
        "pipes/products/w1/messages/1.json",
        *[("opened", {}), ("log", {"message": "a"}), ("log", {"message": "b"}), ("closed", {})],
    )
    assert [method for method, _ in read(s3)] == ["opened", "log", "log", "closed"]


def test_a_job_that_left_no_messages_has_said_nothing() -> None:
    assert read(MemoryS3()) == []


def test_a_failing_job_is_not_hidden_by_trouble_with_its_messages() -> None:
    reader = _pipes_classes()[1](None, "b", "222222222222", "pipes/products/w1/")
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
    with pytest.raises(dg.Failure, match="left no account of what it loaded"):
        _loaded_days([{"something": "else"}], "w1", "jr_1")
