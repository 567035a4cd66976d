"""Archived objects in the sandbox's S3: listed, not readable, restored as on AWS."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.sandbox import RunningSandbox

KEY = "p/ü a+b&c.csv"
BODY = b"id,name\n1,x\n"


@pytest.fixture(scope="module")
def s3(bare_sandbox: RunningSandbox) -> Any:
    return bare_sandbox.client("account-a-admin", "s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"archived-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


def listed(s3: Any, bucket: str) -> dict[str, Any]:
    answer = s3.list_objects_v2(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])
    (item,) = answer["Contents"]
    return item


def restore(s3: Any, bucket: str, days: int = 7) -> None:
    request = {"Days": days, "GlacierJobParameters": {"Tier": "Standard"}}
    s3.restore_object(Bucket=bucket, Key=KEY, RestoreRequest=request)


def wait_until_restored(s3: Any, bucket: str) -> None:
    deadline = time.monotonic() + 30
    while listed(s3, bucket)["RestoreStatus"]["IsRestoreInProgress"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_listed_and_read_only_once_it_is_restored(
    s3: Any, bucket: str, storage_class: str
) -> None:
    s3.put_object(Bucket=bucket, Key=KEY, Body=BODY, StorageClass=storage_class)
    assert (listed(s3, bucket)["Key"], listed(s3, bucket)["StorageClass"]) == (KEY, storage_class)
    assert "RestoreStatus" not in listed(s3, bucket)
    with pytest.raises(ClientError) as refusal:
        s3.get_object(Bucket=bucket, Key=KEY)
    error, answer = refusal.value.response["Error"], refusal.value.response["ResponseMetadata"]
    assert (error["Code"], error["StorageClass"]) == ("InvalidObjectState", storage_class)
    assert answer["HTTPStatusCode"] == 403
    restore(s3, bucket)
    assert listed(s3, bucket)["RestoreStatus"] == {"IsRestoreInProgress": True}
    assert 'ongoing-request="true"' in s3.head_object(Bucket=bucket, Key=KEY)["Restore"]
    wait_until_restored(s3, bucket)
    assert listed(s3, bucket)["RestoreStatus"]["RestoreExpiryDate"].hour == 0
    assert listed(s3, bucket)["StorageClass"] == storage_class
    assert s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == BODY
    (old,) = s3.list_objects(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])["Contents"]
    assert old["RestoreStatus"] == listed(s3, bucket)["RestoreStatus"]
    (plain,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert "RestoreStatus" not in plain


@pytest.mark.parametrize(
    "storage_class", ["STANDARD", "GLACIER_IR", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"]
)
def test_an_object_in_another_class_is_read_and_cannot_be_restored(
    s3: Any, bucket: str, storage_class: str
) -> None:
    s3.put_object(Bucket=bucket, Key=KEY, Body=BODY, StorageClass=storage_class)
    assert s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == BODY
    assert "RestoreStatus" not in listed(s3, bucket)
    with pytest.raises(ClientError) as refusal:
        restore(s3, bucket)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_an_archived_object_is_copied_only_once_it_is_restored(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key=KEY, Body=BODY, StorageClass="GLACIER")
    etag = listed(s3, bucket)["ETag"]
    copy = {
        "Bucket": bucket,
        "Key": KEY,
        "CopySource": {"Bucket": bucket, "Key": KEY},
        "StorageClass": "STANDARD",
    }
    with pytest.raises(ClientError, match="ObjectNotInActiveTierError"):
        s3.copy_object(**copy)
    restore(s3, bucket)
    with pytest.raises(ClientError, match="ObjectNotInActiveTierError"):
        s3.copy_object(**copy)
    wait_until_restored(s3, bucket)
    s3.copy_object(**copy)
    assert (listed(s3, bucket)["StorageClass"], listed(s3, bucket)["ETag"]) == ("STANDARD", etag)
    assert s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == BODY


def test_an_attribute_that_cannot_be_listed_is_refused(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError, match="InvalidArgument"):
        s3.list_objects_v2(Bucket=bucket, OptionalObjectAttributes=["Owner"])
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.list_object_versions(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])
