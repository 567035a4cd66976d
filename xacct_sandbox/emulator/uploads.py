"""Keeps the parts of multipart uploads on disk.

ministack keeps all parts of an upload in memory and joins them there, so that an object of 1 GB
costs 2 GB. Small uploads are still left to it. The body of one request (a part, or a PutObject) is
in memory while it is received.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from xacct_sandbox.emulator.completed_uploads import UploadRefused, complete_upload
from xacct_sandbox.emulator.loader import Emulator

PART_TO_DISK_BYTES = 1024 * 1024
"""An upload with a part of at least this size is kept on disk."""


class PartFile:
    """The content of a part, in its own file. Takes the place of the bytes in ministack."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._size = size

    def __len__(self) -> int:
        return self._size


def patch_uploads(emulator: Emulator) -> None:
    """Keeps parts on disk, and joins them there."""
    folder = emulator.config.ministack_dir / "parts"
    shutil.rmtree(folder)  # parts of uploads that a restart ended
    folder.mkdir(mode=0o700)
    _patch_parts(emulator, folder)
    _patch_ends(emulator, folder)


def _patch_parts(emulator: Emulator, folder: Path) -> None:
    s3 = emulator.s3
    original, original_copy = s3._upload_part, s3._upload_part_copy

    def upload_part(
        bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str]
    ) -> Any:
        response = original(bucket, key, body, query, headers)
        _move_to_disk(emulator, folder, s3._qp(query, "uploadId"))
        return response

    def upload_part_copy(
        bucket: str, key: str, query: dict[str, Any], headers: dict[str, str]
    ) -> Any:
        response = original_copy(bucket, key, query, headers)
        _move_to_disk(emulator, folder, s3._qp(query, "uploadId"))
        return response

    s3._upload_part, s3._upload_part_copy = upload_part, upload_part_copy


def _patch_ends(emulator: Emulator, folder: Path) -> None:
    s3 = emulator.s3
    original_complete, original_abort = s3._complete_multipart_upload, s3._abort_multipart_upload

    def complete(
        bucket: str,
        key: str,
        body: bytes,
        query: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> Any:
        upload_id = s3._qp(query, "uploadId")
        upload = s3._multipart_uploads.get(upload_id)
        if upload is None or not _on_disk(upload):
            return original_complete(bucket, key, body, query, headers)
        if (upload["bucket"], upload["key"]) != (bucket, key) or bucket not in s3._buckets:
            return original_complete(bucket, key, body, query, headers)
        if s3._bucket_replication.get(bucket):
            raise ValueError(f"replication of {bucket} is not supported for multipart uploads")
        try:
            return complete_upload(emulator, upload_id, upload, body, headers or {})
        except UploadRefused as refused:
            return refused.response

    def abort(bucket: str, key: str, query: dict[str, Any]) -> Any:
        response = original_abort(bucket, key, query)
        upload_id = s3._qp(query, "uploadId")
        if upload_id not in s3._multipart_uploads:
            shutil.rmtree(folder / str(upload_id), ignore_errors=True)
        return response

    s3._complete_multipart_upload, s3._abort_multipart_upload = complete, abort


def _on_disk(upload: dict[str, Any]) -> bool:
    return any(isinstance(part["body"], PartFile) for part in upload["parts"].values())


def _move_to_disk(emulator: Emulator, folder: Path, upload_id: str) -> None:
    """Moves the parts of an upload from memory to disk, if one of them is large.

    Once one part is on disk all are: ministack cannot join the others.
    """
    upload = emulator.s3._multipart_uploads.get(upload_id)
    if upload is None:
        return
    parts = upload["parts"]
    if not _on_disk(upload) and all(part["size"] < PART_TO_DISK_BYTES for part in parts.values()):
        return
    upload_folder = folder / upload_id
    upload_folder.mkdir(mode=0o700, exist_ok=True)
    for number, part in parts.items():
        if not isinstance(part["body"], PartFile):
            path = upload_folder / str(number)
            path.write_bytes(part["body"])
            part["body"] = PartFile(path, part["size"])
