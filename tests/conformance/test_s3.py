"""S3: conditional requests, listing, owners, archived objects, notifications."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.target import ALLOWED, Target, document, outcome, refusal


@pytest.fixture(scope="module")
def bucket(target: Target) -> str:
    return target.bucket(target.a, "s3")


@pytest.fixture(scope="module")
def s3(target: Target) -> Any:
    return target.a.client("s3")


@pytest.mark.claim("s3-if-none-match")
def test_a_put_with_if_none_match_never_replaces_an_object(s3: Any, bucket: str) -> None:
    new = {"Bucket": bucket, "Key": "lock", "IfNoneMatch": "*"}
    s3.put_object(**new, Body=b"first")
    assert outcome(s3.put_object, **new, Body=b"second") == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="lock")["Body"].read() == b"first"


@pytest.mark.claim("s3-if-match")
def test_a_put_with_if_match_replaces_that_object_only(s3: Any, bucket: str) -> None:
    first = s3.put_object(Bucket=bucket, Key="match", Body=b"1")["ETag"]
    s3.put_object(Bucket=bucket, Key="match", Body=b"2", IfMatch=first)
    stale = {"Bucket": bucket, "Key": "match", "Body": b"3", "IfMatch": first}
    assert outcome(s3.put_object, **stale) == "PreconditionFailed"
    assert outcome(s3.put_object, **{**stale, "Key": "match-none"}) == "NoSuchKey"


@pytest.mark.claim("s3-get-if-match")
def test_a_get_with_if_match_fails_once_the_object_was_replaced(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="read", Body=b"1")["ETag"]
    one = {"Bucket": bucket, "Key": "read", "IfMatch": etag}
    assert s3.get_object(**one)["Body"].read() == b"1"
    s3.put_object(Bucket=bucket, Key="read", Body=b"2")
    assert outcome(s3.get_object, **one) == "PreconditionFailed"


@pytest.mark.claim("s3-etag-tells-contents")
def test_the_etag_of_an_object_put_at_once_is_that_of_its_contents(s3: Any, bucket: str) -> None:
    etags = [s3.put_object(Bucket=bucket, Key=key, Body=b"same")["ETag"] for key in ("e1", "e2")]
    other = s3.put_object(Bucket=bucket, Key="e3", Body=b"other")["ETag"]
    assert etags[0] == etags[1] != other
    assert etags[0].startswith('"')


@pytest.mark.claim("s3-listing-order")
def test_keys_are_listed_in_the_order_of_their_utf8_bytes(s3: Any, bucket: str) -> None:
    names = ["B", "a", "a/b", "a-b", "é", "😀", "\uff5e", "10", "9"]
    for name in names:
        s3.put_object(Bucket=bucket, Key=f"order/{name}", Body=b"")
    listed, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Prefix="order/", MaxKeys=2, **token)
        assert len(page["Contents"]) <= 2
        listed += [item["Key"].partition("/")[2] for item in page["Contents"]]
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert listed == sorted(names, key=lambda name: name.encode())


@pytest.mark.claim("s3-folders-by-delimiter")
def test_folders_are_the_common_prefixes_of_keys(s3: Any, bucket: str) -> None:
    for key in ("folders/2026/a", "folders/2026/b", "folders/2027/a", "folders/file"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    page = s3.list_objects_v2(Bucket=bucket, Prefix="folders/", Delimiter="/")
    found = [entry["Prefix"] for entry in page["CommonPrefixes"]]
    assert found == ["folders/2026/", "folders/2027/"]
    assert [entry["Key"] for entry in page["Contents"]] == ["folders/file"]
    later = s3.list_objects_v2(Bucket=bucket, Prefix="folders/", StartAfter="folders/2026/a")
    assert later["Contents"][0]["Key"] == "folders/2026/b"


@pytest.mark.claim("s3-read-after-write")
def test_what_was_written_is_listed_and_read_at_once(s3: Any, bucket: str) -> None:
    for number in range(5):
        key = f"strong/{number}"
        s3.put_object(Bucket=bucket, Key=key, Body=str(number).encode())
        page = s3.list_objects_v2(Bucket=bucket, Prefix="strong/")
        assert [entry["Key"] for entry in page["Contents"]][-1] == key
        s3.put_object(Bucket=bucket, Key=key, Body=b"again")
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"again"
        s3.delete_object(Bucket=bucket, Key=key)
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="strong/")


@pytest.mark.claim("s3-expected-owner")
def test_a_request_that_expects_another_owner_is_denied(
    target: Target, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="owned", Body=b"1")
    for call, request in (
        (s3.get_object, {"Key": "owned"}),
        (s3.list_objects_v2, {}),
        (s3.put_object, {"Key": "owned", "Body": b"2"}),
        (s3.delete_object, {"Key": "owned"}),
    ):
        foreign = {"Bucket": bucket, **request, "ExpectedBucketOwner": target.b.id}
        assert outcome(call, **foreign) == "AccessDenied", call
    own = s3.get_object(Bucket=bucket, Key="owned", ExpectedBucketOwner=target.a.id)
    assert own["Body"].read() == b"1"


@pytest.mark.claim("s3-archived-object")
def test_an_archived_object_is_listed_as_such_and_not_read(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cold/a.csv", Body=b"1", StorageClass="GLACIER")
    (listed,) = s3.list_objects_v2(Bucket=bucket, Prefix="cold/")["Contents"]
    assert listed["StorageClass"] == "GLACIER"
    assert s3.head_object(Bucket=bucket, Key="cold/a.csv")["StorageClass"] == "GLACIER"
    code, _ = refusal(s3.get_object, Bucket=bucket, Key="cold/a.csv")
    assert code == "InvalidObjectState"


@pytest.mark.claim("s3-range")
def test_a_range_is_read_by_itself_and_refused_beyond_the_end(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="range", Body=b"0123456789")
    part = s3.get_object(Bucket=bucket, Key="range", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert s3.get_object(Bucket=bucket, Key="range", Range="bytes=-3")["Body"].read() == b"789"
    assert outcome(s3.get_object, Bucket=bucket, Key="range", Range="bytes=10-") == "InvalidRange"


@pytest.mark.claim("s3-multipart-invisible")
def test_an_upload_in_parts_is_not_there_until_it_is_completed(s3: Any, bucket: str) -> None:
    one = {"Bucket": bucket, "Key": "parts"}
    upload = {**one, "UploadId": s3.create_multipart_upload(**one)["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"1")["ETag"]
    assert outcome(s3.get_object, **one) == "NoSuchKey"
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert s3.get_object(**one)["Body"].read() == b"1"
    assert done["ETag"].strip('"').endswith("-1")


@pytest.mark.claim("s3-delete-is-idempotent")
def test_deleting_what_is_not_there_is_no_error(s3: Any, bucket: str) -> None:
    assert outcome(s3.delete_object, Bucket=bucket, Key="never-there") == ALLOWED
    many = {"Objects": [{"Key": "never-there"}, {"Key": "nor-this"}]}
    assert "Errors" not in s3.delete_objects(Bucket=bucket, Delete=many)


@pytest.mark.claim("s3-full-bucket-stays")
def test_a_bucket_that_holds_objects_is_not_deleted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    assert outcome(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"


@pytest.mark.claim("s3-name-taken")
def test_a_name_that_another_account_has_is_taken(target: Target, bucket: str) -> None:
    request: dict[str, Any] = {"Bucket": bucket}
    if target.region != "us-east-1":
        request["CreateBucketConfiguration"] = {"LocationConstraint": target.region}
    assert outcome(target.b.client("s3").create_bucket, **request) == "BucketAlreadyExists"


@pytest.mark.claim("s3-acls-off")
def test_a_new_bucket_takes_no_access_control_list(s3: Any, bucket: str) -> None:
    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    public = {"Bucket": bucket, "Key": "public", "Body": b"1", "ACL": "public-read"}
    assert outcome(s3.put_object, **public) == "AccessControlListNotSupported"


@pytest.mark.claim("s3-notifies-a-queue")
def test_a_new_object_is_told_to_a_queue_of_the_other_account(
    target: Target, s3: Any, bucket: str
) -> None:
    sqs = target.b.client("sqs")
    url = sqs.create_queue(QueueName=target.name("arrivals"))["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    notified = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    notify = {"Bucket": bucket, "NotificationConfiguration": notified}
    # S3 tries the queue when it is told of it.
    assert outcome(s3.put_bucket_notification_configuration, **notify) == "InvalidArgument"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {
            "StringEquals": {"aws:SourceAccount": target.a.id},
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
        },
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    target.becomes(
        ALLOWED, lambda: outcome(s3.put_bucket_notification_configuration, **notify), patience=120
    )
    key = "day/a b+é.csv"
    s3.put_object(Bucket=bucket, Key=key, Body=b"12")
    bodies: list[dict[str, Any]] = []

    def told() -> bool:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2, MaxNumberOfMessages=10)
        bodies.extend(json.loads(message["Body"]) for message in answer.get("Messages", ()))
        return any("Records" in body for body in bodies)

    target.becomes(True, told, patience=120)
    record = next(body["Records"][0] for body in bodies if "Records" in body)
    assert record["eventSource"] == "aws:s3"
    assert record["eventName"].startswith("ObjectCreated:")
    assert record["s3"]["bucket"]["name"] == bucket
    assert record["s3"]["object"]["key"] == "day/a+b%2B%C3%A9.csv"
    assert record["s3"]["object"]["size"] == 2
    assert record["s3"]["object"]["sequencer"]
    assert any(body.get("Event") == "s3:TestEvent" for body in bodies)


@pytest.mark.claim("s3-one-destination-for-a-key")
def test_two_notifications_cannot_overlap(target: Target, s3: Any, bucket: str) -> None:
    sqs = target.b.client("sqs")
    url = sqs.get_queue_url(QueueName=target.name("arrivals"))["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]

    def below(prefix: str) -> dict[str, Any]:
        rules = {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}
        return {"QueueArn": arn, "Events": ["s3:ObjectCreated:Put"], "Filter": rules}

    overlapping = {"QueueConfigurations": [below("products/"), below("products/2026/")]}
    code, message = refusal(
        s3.put_bucket_notification_configuration,
        Bucket=bucket,
        NotificationConfiguration=overlapping,
    )
    assert code == "InvalidArgument"
    assert "overlap" in message.lower()
