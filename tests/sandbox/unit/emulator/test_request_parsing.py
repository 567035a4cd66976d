"""A request is recognized as the botocore operation that made it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from xacct_sandbox.emulator.request_parsing import AwsRequest, recognize, searchable_text


class _Sent(Exception):
    def __init__(self, request: AWSPreparedRequest) -> None:
        self.request = request


def _request(service: str, operation: str, arguments: dict[str, Any]) -> AwsRequest:
    """What is recognized in the request that boto3 would send."""
    client = boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url="https://127.0.0.1:1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
    )

    def keep(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        raise _Sent(request)

    client.meta.events.register("before-send", keep)
    with pytest.raises(_Sent) as caught:
        getattr(client, operation)(**arguments)
    sent = caught.value.request
    url = urlsplit(sent.url)
    body = sent.body if isinstance(sent.body, bytes) else (sent.body or "")
    return recognize(
        sent.method,
        url.path,
        {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in sent.headers.items()
        },
        parse_qs(url.query, keep_blank_values=True),
        body.encode() if isinstance(body, str) else body,
    )


_BUCKET, _KEY = {"Bucket": "raw-files"}, {"Bucket": "raw-files", "Key": "products/2026/a.csv"}
_UPLOAD = {**_KEY, "UploadId": "u"}


@pytest.mark.parametrize(
    ("operation", "arguments", "name"),
    [
        ("list_buckets", {}, "ListBuckets"),
        ("create_bucket", _BUCKET, "CreateBucket"),
        ("head_bucket", _BUCKET, "HeadBucket"),
        ("list_objects", _BUCKET, "ListObjects"),
        ("list_objects_v2", {**_BUCKET, "Prefix": "products/"}, "ListObjectsV2"),
        ("list_object_versions", _BUCKET, "ListObjectVersions"),
        ("get_bucket_location", _BUCKET, "GetBucketLocation"),
        ("get_bucket_policy", _BUCKET, "GetBucketPolicy"),
        ("list_multipart_uploads", _BUCKET, "ListMultipartUploads"),
        ("get_object", _KEY, "GetObject"),
        ("get_object", {**_KEY, "Range": "bytes=0-9"}, "GetObject"),
        ("head_object", _KEY, "HeadObject"),
        ("put_object", {**_KEY, "Body": b"x"}, "PutObject"),
        ("copy_object", {**_KEY, "CopySource": "raw-files/other"}, "CopyObject"),
        ("delete_object", _KEY, "DeleteObject"),
        ("get_object_tagging", _KEY, "GetObjectTagging"),
        ("create_multipart_upload", _KEY, "CreateMultipartUpload"),
        ("upload_part", {**_UPLOAD, "PartNumber": 1, "Body": b"x"}, "UploadPart"),
        ("list_parts", _UPLOAD, "ListParts"),
        ("complete_multipart_upload", _UPLOAD, "CompleteMultipartUpload"),
        ("abort_multipart_upload", _UPLOAD, "AbortMultipartUpload"),
        (
            "delete_objects",
            {**_BUCKET, "Delete": {"Objects": [{"Key": "a"}]}},
            "DeleteObjects",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_s3_request_is_recognized(operation: str, arguments: dict[str, Any], name: str) -> None:
    found = _request("s3", operation, arguments)
    assert (found.service, found.operation) == ("s3", name)
    if arguments:
        assert found.resource == f"{arguments['Bucket']}/{arguments.get('Key', '')}"


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "expected"),
    [
        ("glue", "start_crawler", {"Name": "c"}, AwsRequest("glue", "StartCrawler", "c")),
        (
            "glue",
            "start_job_run",
            {"JobName": "load", "Arguments": {"--x": "1"}},
            AwsRequest("glue", "StartJobRun", "load"),
        ),
        (
            "redshift-data",
            "execute_statement",
            {"Database": "dev", "Sql": "select 1", "WorkgroupName": "group"},
            AwsRequest("redshift-data", "ExecuteStatement", "select 1"),
        ),
        (
            "redshift-serverless",
            "get_workgroup",
            {"workgroupName": "group"},
            AwsRequest("redshift-serverless", "GetWorkgroup", "group"),
        ),
        (
            "secretsmanager",
            "get_secret_value",
            {"SecretId": "s"},
            AwsRequest("secretsmanager", "GetSecretValue", "s"),
        ),
        ("sts", "get_caller_identity", {}, AwsRequest("sts", "GetCallerIdentity", "")),
        (
            "sts",
            "assume_role",
            {"RoleArn": "arn:aws:iam::1:role/r-role-role-role", "RoleSessionName": "s1"},
            AwsRequest("sts", "AssumeRole", "arn:aws:iam::1:role/r-role-role-role"),
        ),
        ("iam", "get_role", {"RoleName": "r"}, AwsRequest("iam", "GetRole", "r")),
        (
            "sqs",
            "receive_message",
            {"QueueUrl": "https://127.0.0.1:1/222222222222/q"},
            AwsRequest("sqs", "ReceiveMessage", "https://127.0.0.1:1/222222222222/q"),
        ),
        (
            "cloudformation",
            "describe_stacks",
            {"StackName": "s"},
            AwsRequest("cloudformation", "DescribeStacks", "s"),
        ),
        (
            "logs",
            "get_log_events",
            {"logGroupName": "/g", "logStreamName": "s"},
            AwsRequest("logs", "GetLogEvents", "/g"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_json_or_form_request_is_recognized_with_its_resource(
    service: str, operation: str, arguments: dict[str, Any], expected: AwsRequest
) -> None:
    assert _request(service, operation, arguments) == expected


def test_an_unknown_operation_is_named_by_method_and_path() -> None:
    assert recognize("PATCH", "/bucket/key", {}, {}).operation == "PATCH /bucket/key"


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("AWSGlue.CreateDatabase", {"DatabaseInput": {"Name": "d"}, "CatalogId": "c"}, "d c"),
        ("AWSGlue.StartJobRun", {"JobName": "j", "Arguments": {"--load_id": "w"}}, "j w"),
        ("AWSGlue.BatchStopJobRun", {"JobName": "j", "JobRunIds": ["1", "2"]}, "j 1 2"),
        ("secretsmanager.PutSecretValue", {"SecretId": "s", "SecretString": "hush"}, "s"),
        (
            "RedshiftData.ExecuteStatement",
            {"Sql": "SELECT 1", "Parameters": [{"name": "p", "value": "v"}]},
            "SELECT 1",
        ),
        ("AWSGlue.GetTables", ["no object"], ""),
    ],
)
def test_the_searchable_text_has_names_and_sql_and_no_other_values(
    target: str, body: Any, expected: str
) -> None:
    headers = {"x-amz-target": target}
    assert searchable_text("/", headers, {}, json.dumps(body).encode()) == expected


def test_the_searchable_text_of_s3_has_bucket_key_and_prefix() -> None:
    assert searchable_text("/bucket/a key", {}, {}) == "bucket/a key"
    assert searchable_text("/bucket/", {}, {"prefix": ["products/"]}) == "bucket/products/"
