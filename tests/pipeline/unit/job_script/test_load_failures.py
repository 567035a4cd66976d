"""A failure of Spark is told with the file that it is about."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fakes.s3 import Body
from xacct_load import failures, s3
from xacct_load.errors import LoadError
from xacct_load.source_files import SourceFile

ME = "arn:aws:sts::222222222222:assumed-role/xacct-glue-x/GlueJobRunnerSession"


class Objects:
    """Objects of a bucket, of which some are denied."""

    meta = SimpleNamespace(region_name="us-east-1")

    def __init__(self, objects: dict[str, bytes], denied: Sequence[str] = ()) -> None:
        self.objects = objects
        self.denied = denied
        self.asked: list[str] = []

    def get_object(self, Bucket: str, Key: str, Range: str = "") -> Any:
        self.asked.append(Key)
        if Key in self.denied:
            error = {"Code": "AccessDenied", "Message": "Access Denied"}
            raise ClientError({"Error": error}, "GetObject")
        return {"Body": Body(self.objects[Key])}

    @property
    def files(self) -> list[SourceFile]:
        return [
            SourceFile("raw", key, len(body), date(2026, 1, 2))
            for key, body in self.objects.items()
        ]


@pytest.fixture(autouse=True)
def caller(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = SimpleNamespace(get_caller_identity=lambda: {"Arn": ME})
    monkeypatch.setattr(s3.boto3, "client", lambda service, region_name: identity)


@pytest.mark.parametrize(
    "text",
    [
        "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied.",
        "java.nio.file.AccessDeniedException: s3://raw/b.csv: getFileStatus",
        "Forbidden; Request ID: 1 (Service: Amazon S3; Status Code: 403)",
    ],
)
def test_a_denial_that_spark_meets_names_the_file_and_the_missing_right(text: str) -> None:
    client = Objects({"a.csv": b"x", "empty.csv": b"", "b.csv": b"x"}, denied=["b.csv"])
    with (
        pytest.raises(LoadError, match=rf"^cannot read s3://raw/b.csv: User: {ME} .*s3:GetObject"),
        failures.naming_denied_file(client, client.files),  # type: ignore[arg-type]
    ):
        raise RuntimeError(text)
    assert "empty.csv" not in client.asked


def test_a_denial_of_something_else_and_another_failure_are_left_as_they_are() -> None:
    client = Objects({"a.csv": b"x"})
    for text in ("AccessDenied: glue:GetConnection", "Executor lost"):
        with (
            pytest.raises(RuntimeError, match=text),
            failures.naming_denied_file(client, client.files),  # type: ignore[arg-type]
        ):
            raise RuntimeError(text)
    assert client.asked == ["a.csv"]


def test_a_broken_gzip_file_that_spark_meets_is_named() -> None:
    whole = gzip.compress(b"id\n1\n" * 1000)
    client = Objects({"a.csv.gz": whole, "b.csv.gz": whole[:-9], "c.csv": b"x"})
    with (
        pytest.raises(LoadError, match=r"s3://raw/b\.csv\.gz: is a broken gzip file"),
        failures.naming_broken_gzip(client, client.files),  # type: ignore[arg-type]
    ):
        raise RuntimeError("Caused by: java.io.EOFException: Unexpected end of input stream")
