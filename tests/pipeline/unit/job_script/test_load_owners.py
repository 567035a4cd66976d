"""Every call of the job script to S3 names the account that must own the bucket."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from dagster_pipes import PipesS3ContextLoader

import xacct_load.s3
from xacct_assets.contract.bucket_owners import parse_owners
from xacct_assets.feed.load_job import bucket_owners
from xacct_load.errors import LoadError
from xacct_load.s3 import check_bucket, expect_owners, list_objects

RAW, WORKING = "111111111111", "222222222222"


@pytest.fixture
def s3() -> Any:
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    expect_owners(client, {"raw": RAW, "working": WORKING})
    return client


@pytest.mark.parametrize(
    ("operation", "answer", "asked", "call"),
    [
        pytest.param(
            "list_objects_v2",
            {},
            {"Bucket": "raw", "Prefix": "p/"},
            lambda s3: list(list_objects(s3, "raw", "p/")),
            id="list",
        ),
        pytest.param(
            "put_object",
            {},
            {"Bucket": "working", "Key": "k", "Body": b"x"},
            lambda s3: s3.put_object(Bucket="working", Key="k", Body=b"x"),
            id="put",
        ),
        pytest.param(
            "head_bucket",
            {},
            {"Bucket": "working"},
            lambda s3: check_bucket(s3, "working"),
            id="head",
        ),
    ],
)
def test_a_call_names_its_buckets_account(
    s3: Any, operation: str, answer: Any, asked: dict[str, Any], call: Any
) -> None:
    account = RAW if asked["Bucket"] == "raw" else WORKING
    with Stubber(s3) as stub:
        stub.add_response(operation, answer, {**asked, "ExpectedBucketOwner": account})
        call(s3)
        stub.assert_no_pending_responses()


def test_the_calls_that_pipes_makes_name_it_too(s3: Any) -> None:
    asked = {"Bucket": "working", "Key": "c", "ExpectedBucketOwner": WORKING}
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", "AccessDenied", "Access Denied", 403, None, asked)
        with (
            pytest.raises(ClientError, match=f"{WORKING} must own the bucket"),
            PipesS3ContextLoader(client=s3).load_context({"bucket": "working", "key": "c"}),
        ):
            pass
        stub.assert_no_pending_responses()


def test_nothing_is_asked_of_a_bucket_that_is_none_of_the_loads(s3: Any) -> None:
    with Stubber(s3), pytest.raises(LoadError, match=r"s3://other is no bucket.*raw, work"):
        s3.get_object(Bucket="other", Key="k")


def test_a_working_bucket_of_another_account_is_refused_by_name(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xacct_load.s3, "boto3", _Nobody)
    with Stubber(s3) as stub:
        stub.add_client_error("head_bucket", "403", "Forbidden", 403)
        said = f"s3://working.*s3:ListBucket.*Forbidden; account {WORKING} must own the bucket"
        with pytest.raises(LoadError, match=said):
            check_bucket(s3, "working")


class _Nobody:
    """boto3, if STS is out of reach."""

    @staticmethod
    def client(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "503", "Message": "?"}}, "GetCallerIdentity")


def test_the_pipeline_tells_the_owners_in_the_words_that_the_script_reads(settings: Any) -> None:
    assert parse_owners(bucket_owners(settings)) == {
        settings.input_bucket: settings.account_a,
        settings.processing_bucket: settings.account_b,
    }
