"""Patches S3: the expected owner of a bucket, and large objects sent from disk."""

from __future__ import annotations

import contextvars
from typing import Any

from xacct_sandbox.daemon.file_response import FileBody
from xacct_sandbox.emulator.loader import Emulator, Response

STREAM_FROM_BYTES = 1024 * 1024
"""Objects of at least this size are sent from disk; smaller ones are read into memory."""

_streaming: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "sandbox_streaming", default=False
)
"""Whether the current request may be answered from disk."""


def patch_buckets(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    _patch_access(emulator)
    _patch_reads(emulator)


def _patch_access(emulator: Emulator) -> None:
    s3 = emulator.s3
    apply_scope = s3._apply_bucket_scope

    def apply_bucket_scope(
        method: str,
        bucket: str,
        key: str,
        headers: dict[str, str],
        query: dict[str, Any],
        body: bytes = b"",
        internal: bool = False,
    ) -> Response | None:
        response: Response | None
        if not _owner_is_expected(emulator, bucket, headers):
            response = s3._error("AccessDenied", "Access Denied", 403, f"/{bucket}/{key}")
        else:
            response = apply_scope(method, bucket, key, headers, query, body, internal)
        return response

    s3._apply_bucket_scope = apply_bucket_scope


def _patch_reads(emulator: Emulator) -> None:
    s3 = emulator.s3
    get_object, read_body = s3._get_object, s3._read_body

    def read_body_from_disk(bucket: str, key: str, record: dict[str, Any]) -> Any:
        if _streaming.get() and record.get("body") is None:
            size = record.get("size") or 0
            path = s3._object_disk_path(bucket, key) if size >= STREAM_FROM_BYTES else None
            if path is not None:
                return FileBody.open(path)
        return read_body(bucket, key, record)

    def stream_object(
        bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None
    ) -> Any:
        token = _streaming.set(True)
        try:
            status, response_headers, body = get_object(bucket, key, headers, query)
        finally:
            _streaming.reset(token)
        if isinstance(body, FileBody):
            body = emulator.responses.StreamingResponse(body.send)
        return status, response_headers, body

    s3._read_body = read_body_from_disk
    s3._get_object = stream_object


def _owner_is_expected(emulator: Emulator, bucket: str, headers: dict[str, str]) -> bool:
    """Checks ExpectedBucketOwner: S3 responds 403 if another account owns the bucket."""
    expectations = [(bucket, headers.get("x-amz-expected-bucket-owner"))]
    source = headers.get("x-amz-copy-source", "").lstrip("/").partition("/")[0]
    expectations.append((source, headers.get("x-amz-source-expected-bucket-owner")))
    for name, expected in expectations:
        owner = emulator.s3._bucket_owner_account(name) if name and expected else None
        if owner is not None and owner != expected:
            return False
    return True
