"""Every call of the job script to S3 names the account that must own the bucket."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from dagster_pipes import PipesS3ContextLoader

from xacct_assets.feed.load_job import bucket_owners

RAW, WORKING = "111111111111", "222222222222"
TEXT = f"raw={RAW},working={WORKING}"


@pytest.fixture
def s3(script: ModuleType) -> Any:
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    script.expect_owners(client, script.parse_owners(TEXT))
    return client


@pytest.mark.parametrize(
    ("operation", "answer", "asked", "call"),
    [
        pytest.param(
            "list_objects_v2",
            {},
            {"Bucket": "raw", "Prefix": "p/"},
            lambda script, s3: list(script.list_objects(s3, "raw", "p/")),
            id="list",
        ),
        pytest.param(
            "put_object",
            {},
            {"Bucket": "working", "Key": "k", "Body": b"x"},
            lambda _, s3: s3.put_object(Bucket="working", Key="k", Body=b"x"),
            id="put",
        ),
        pytest.param(
            "head_bucket",
            {},
            {"Bucket": "working"},
            lambda script, s3: script.check_bucket(s3, "working"),
            id="head",
        ),
    ],
)
def test_a_call_names_its_buckets_account(
    script: ModuleType, s3: Any, operation: str, answer: Any, asked: dict[str, Any], call: Any
) -> None:
    account = RAW if asked["Bucket"] == "raw" else WORKING
    with Stubber(s3) as stub:
        stub.add_response(operation, answer, {**asked, "ExpectedBucketOwner": account})
        call(script, s3)
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


def test_nothing_is_asked_of_a_bucket_that_is_none_of_the_loads(
    script: ModuleType, s3: Any
) -> None:
    with Stubber(s3), pytest.raises(script.LoadError, match=r"s3://other is no bucket.*raw, work"):
        s3.get_object(Bucket="other", Key="k")


def test_a_working_bucket_of_another_account_is_refused_by_name(
    script: ModuleType, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "boto3", _Nobody)
    with Stubber(s3) as stub:
        stub.add_client_error("head_bucket", "403", "Forbidden", 403)
        said = f"s3://working.*s3:ListBucket.*Forbidden; account {WORKING} must own the bucket"
        with pytest.raises(script.LoadError, match=said):
            script.check_bucket(s3, "working")


class _Nobody:
    """boto3, if STS is out of reach."""

    @staticmethod
    def client(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "503", "Message": "?"}}, "GetCallerIdentity")


@pytest.mark.parametrize("text", ["", "raw", "raw=", "raw=1", "=111111111111", f"{TEXT},", "a=b=c"])
def test_owners_that_cannot_be_read_are_refused(script: ModuleType, text: str) -> None:
    with pytest.raises(script.LoadError, match=re.escape(f"--bucket_owners {text!r}")):
        script.parse_owners(text)


def test_the_pipeline_tells_the_owners_in_the_words_that_the_script_reads(
    script: ModuleType, settings: Any
) -> None:
    assert script.parse_owners(bucket_owners(settings)) == {
        settings.input_bucket: settings.account_a,
        settings.processing_bucket: settings.account_b,
    }
