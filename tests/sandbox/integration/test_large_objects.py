"""Large objects go through the daemon without staying in it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.support.sandbox import RunningSandbox
from xacct_sandbox.daemon.instance_lock import daemon_pid

BUCKET = "large-objects"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def s3(bare_sandbox: RunningSandbox) -> Any:
    client = bare_sandbox.client("account-a-admin", "s3")
    client.create_bucket(Bucket=BUCKET)
    return client


class Pattern(io.RawIOBase):
    """A stream of ``size`` bytes that nobody holds; its digest is known when it was read."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.digest = hashlib.sha256()
        self.block = bytes(range(256)) * 4096
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(self.left, len(self.block), len(buffer))
        self.count += 1
        data = (self.count.to_bytes(8, "big") + self.block)[:size]
        buffer[:size] = data
        self.left -= size
        self.digest.update(data)
        return size


def peak_megabytes(sandbox: RunningSandbox) -> float:
    """The most memory the daemon had since the last reset of the mark."""
    status = Path(f"/proc/{daemon_pid(sandbox.config)}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def reset_peak(sandbox: RunningSandbox) -> None:
    Path(f"/proc/{daemon_pid(sandbox.config)}/clear_refs").write_text("5")


def test_an_upload_and_its_download_need_little_memory(
    bare_sandbox: RunningSandbox, s3: Any
) -> None:
    size = 200 * MEGABYTE
    reset_peak(bare_sandbox)
    before = peak_megabytes(bare_sandbox)
    source, config = Pattern(size), TransferConfig(multipart_chunksize=8 * MEGABYTE)
    s3.upload_fileobj(io.BufferedReader(source), BUCKET, "large", Config=config)
    received, length = hashlib.sha256(), 0
    for chunk in s3.get_object(Bucket=BUCKET, Key="large")["Body"].iter_chunks(MEGABYTE):
        received.update(chunk)
        length += len(chunk)
    grown = peak_megabytes(bare_sandbox) - before
    s3.delete_object(Bucket=BUCKET, Key="large")
    assert length == size
    assert received.digest() == source.digest.digest()
    assert grown < 100, f"the daemon grew by {grown:.0f} MB for an object of 200 MB"


def upload(s3: Any, key: str, parts: list[bytes], **options: Any) -> tuple[str, list[Any]]:
    upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key=key, **options)["UploadId"]
    done = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(
                Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )["ETag"],
        }
        for number, body in enumerate(parts, 1)
    ]
    return upload_id, done


def complete(s3: Any, key: str, upload_id: str, parts: list[Any], **options: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}, **options
    )


BIG, SMALL = b"b" * (5 * MEGABYTE), b"s" * 10


def test_parts_are_joined_in_order_with_the_etag_s3_gives(s3: Any) -> None:
    upload_id, parts = upload(s3, "joined", [BIG, b"c" * 6 * MEGABYTE, SMALL], Metadata={"a": "b"})
    answer = complete(s3, "joined", upload_id, parts)
    digests = b"".join(hashlib.md5(body).digest() for body in (BIG, b"c" * 6 * MEGABYTE, SMALL))
    stored = s3.get_object(Bucket=BUCKET, Key="joined")
    assert answer["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"' == stored["ETag"]
    assert stored["Body"].read() == BIG + b"c" * 6 * MEGABYTE + SMALL
    assert stored["Metadata"] == {"a": "b"}
    again = complete(s3, "joined", upload_id, parts)
    assert again["ETag"] == answer["ETag"]


def test_an_upload_replaces_the_object_only_when_complete(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="replaced", Body=b"old")
    upload_id, parts = upload(s3, "replaced", [BIG, SMALL])
    assert s3.get_object(Bucket=BUCKET, Key="replaced")["Body"].read() == b"old"
    complete(s3, "replaced", upload_id, parts)
    assert s3.get_object(Bucket=BUCKET, Key="replaced")["Body"].read() == BIG + SMALL


def test_a_part_uploaded_twice_counts_as_it_was_last(s3: Any) -> None:
    upload_id, parts = upload(s3, "twice", [BIG, SMALL])
    parts[1]["ETag"] = s3.upload_part(
        Bucket=BUCKET, Key="twice", UploadId=upload_id, PartNumber=2, Body=b"last"
    )["ETag"]
    complete(s3, "twice", upload_id, parts)
    assert s3.get_object(Bucket=BUCKET, Key="twice")["Body"].read() == BIG + b"last"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda parts: [{**parts[0], "ETag": '"0"'}, parts[1]], "InvalidPart"),
        (lambda parts: [*parts, {"PartNumber": 9, "ETag": '"1"'}], "InvalidPart"),
        (lambda parts: parts[::-1], "InvalidPartOrder"),
    ],
    ids=["another tag", "a part never uploaded", "wrong order"],
)
def test_an_upload_of_other_parts_is_refused_and_can_still_be_completed(
    s3: Any, change: Any, code: str
) -> None:
    upload_id, parts = upload(s3, "refused", [BIG, SMALL])
    with pytest.raises(ClientError) as refusal:
        complete(s3, "refused", upload_id, change(parts))
    assert refusal.value.response["Error"]["Code"] == code
    complete(s3, "refused", upload_id, parts)


def test_an_upload_only_if_nothing_is_there_is_refused_if_something_is(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="there", Body=b"1")
    upload_id, parts = upload(s3, "there", [BIG, SMALL])
    with pytest.raises(ClientError, match="PreconditionFailed"):
        complete(s3, "there", upload_id, parts, IfNoneMatch="*")


def test_an_aborted_upload_leaves_nothing(bare_sandbox: RunningSandbox, s3: Any) -> None:
    upload_id, parts = upload(s3, "aborted", [BIG, SMALL])
    s3.abort_multipart_upload(Bucket=BUCKET, Key="aborted", UploadId=upload_id)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        complete(s3, "aborted", upload_id, parts)
    left = bare_sandbox.config.ministack_dir / "parts" / upload_id
    assert not left.exists()


def test_a_range_of_a_large_object_is_that_range(s3: Any) -> None:
    upload_id, parts = upload(s3, "range", [BIG, SMALL])
    complete(s3, "range", upload_id, parts)
    edge = len(BIG)
    answer = s3.get_object(Bucket=BUCKET, Key="range", Range=f"bytes={edge - 3}-{edge + 2}")
    assert answer["Body"].read() == b"bbbsss"
    assert answer["ContentRange"] == f"bytes {edge - 3}-{edge + 2}/{edge + len(SMALL)}"


def test_a_small_object_is_as_before(s3: Any) -> None:
    s3.upload_fileobj(io.BytesIO(b"small"), BUCKET, "small")
    assert s3.get_object(Bucket=BUCKET, Key="small")["Body"].read() == b"small"
