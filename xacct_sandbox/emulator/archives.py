"""Patches S3's archives: listings show the state of a restore, archived objects are not copied.

ministack refuses to read an object in GLACIER or DEEP_ARCHIVE, and restores it within seconds. It
ignores ``x-amz-optional-object-attributes``, and copies archived objects, which S3 refuses
(S3 API reference: ListObjectsV2, RestoreStatus, CopyObject).
"""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import unquote

from xacct_sandbox.emulator.loader import Emulator, Response

_OPTIONAL_ATTRIBUTES = "x-amz-optional-object-attributes"
_ENTRY = re.compile(rb"<Contents><Key>(?P<key>.*?)</Key>.*?(?=</Contents>)", re.DOTALL)


def patch_archives(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    s3 = emulator.s3
    dispatch = s3._dispatch

    def dispatch_with_archives(
        method: str,
        bucket: str,
        key: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
    ) -> Response:
        refusal = None
        if method == "PUT" and "x-amz-copy-source" in headers:
            refusal = _refused_copy(emulator, headers)
        elif method == "GET" and not key and _OPTIONAL_ATTRIBUTES in headers:
            refusal = _refused_attributes(emulator, headers, query)
        if refusal is not None:
            return refusal
        response: Response = dispatch(method, bucket, key, headers, body, query)
        if method == "GET" and not key and _OPTIONAL_ATTRIBUTES in headers:
            return _with_restore_status(emulator, bucket, query, response)
        return response

    s3._dispatch = dispatch_with_archives


def _refused_copy(emulator: Emulator, headers: dict[str, str]) -> Response | None:
    """S3's refusal to copy an archived object that is not restored; None to go on."""
    s3 = emulator.s3
    path, _, version = headers["x-amz-copy-source"].lstrip("/").partition("?")
    name, _, key = unquote(path).partition("/")
    bucket = s3._ensure_bucket(name)
    record = bucket["objects"].get(key) if bucket and not version else None
    if record is None or record.get("storage_class") not in s3._ARCHIVE_STORAGE_CLASSES:
        return None
    if s3._sync_restore(name, key, record) == "restored":
        return None
    refusal: Response = s3._error(
        "ObjectNotInActiveTierError",
        "The source object of the COPY action is not in the active tier and is only stored in "
        "Amazon S3 Glacier.",
        403,
        f"/{name}/{key}",
    )
    return refusal


def _refused_attributes(
    emulator: Emulator, headers: dict[str, str], query: dict[str, Any]
) -> Response | None:
    """The refusal of attributes that S3 does not know, or that the sandbox does not list."""
    refusal: Response
    unknown = {name.strip() for name in headers[_OPTIONAL_ATTRIBUTES].split(",")}
    unknown -= {"RestoreStatus"}
    if unknown:
        refusal = emulator.s3._error("InvalidArgument", "Invalid attribute name specified", 400)
        return refusal
    if "versions" in query:
        refusal = emulator.s3._error(
            "NotImplemented",
            "The sandbox lists RestoreStatus in ListObjects and ListObjectsV2 only",
            501,
        )
        return refusal
    return None


def _with_restore_status(
    emulator: Emulator, bucket: str, query: dict[str, Any], response: Response
) -> Response:
    """The response to a listing, with RestoreStatus of the objects that have one."""
    s3 = emulator.s3
    status, headers, body = response
    if status != 200 or not any(name.encode() in body for name in s3._ARCHIVE_STORAGE_CLASSES):
        return response
    objects = s3._ensure_bucket(bucket)["objects"]
    is_encoded = s3._qp(query, "encoding-type", "") == "url"

    def with_status(entry: re.Match[bytes]) -> bytes:
        key = html.unescape(entry["key"].decode())
        record = objects.get(unquote(key) if is_encoded else key)
        phase = s3._sync_restore(bucket, key, record)
        if phase is None:
            return entry[0]
        in_progress = phase == "in_progress"
        xml = f"<IsRestoreInProgress>{str(in_progress).lower()}</IsRestoreInProgress>"
        if not in_progress:
            expiry = s3._restore_expiry_iso(record["restore"]["expires_at"])
            xml += f"<RestoreExpiryDate>{expiry}</RestoreExpiryDate>"
        return entry[0] + f"<RestoreStatus>{xml}</RestoreStatus>".encode()

    return status, headers, _ENTRY.sub(with_status, body)
