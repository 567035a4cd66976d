"""Makes CopyObject and UploadPartCopy read a source in another account's bucket.

ministack looks for the source among the buckets of the destination's account. The permissions to
read it have been judged before.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from xacct_sandbox.emulator.authorization.s3_checks import copy_source, stored_tags
from xacct_sandbox.emulator.loader import Emulator, Response

_source: contextvars.ContextVar[tuple[str, dict[str, Any]] | None] = contextvars.ContextVar(
    "sandbox_copy_source", default=None
)
"""Name and record of the foreign source bucket of the current copy; only the source is in it."""


def patch_foreign_copies(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    s3 = emulator.s3
    ensure_bucket, copy_object, copy_part = s3._ensure_bucket, s3._copy_object, s3._upload_part_copy

    def ensure_bucket_or_source(name: str) -> Any:
        source = _source.get()
        return source[1] if source and source[0] == name else ensure_bucket(name)

    def copy_foreign_object(bucket: str, key: str, headers: dict[str, str]) -> Any:
        return _with_source(emulator, headers, lambda found: copy_object(bucket, key, found))

    def copy_foreign_part(
        bucket: str, key: str, query: dict[str, Any], headers: dict[str, str]
    ) -> Any:
        return _with_source(emulator, headers, lambda found: copy_part(bucket, key, query, found))

    s3._ensure_bucket = ensure_bucket_or_source
    s3._copy_object, s3._upload_part_copy = copy_foreign_object, copy_foreign_part


def _with_source(
    emulator: Emulator, headers: dict[str, str], copy: Callable[[dict[str, str]], Response]
) -> Response:
    """Runs a copy; a foreign source is put where ministack looks for it."""
    bucket, key, version = copy_source(headers.get("x-amz-copy-source", ""))
    owner = emulator.s3._bucket_owner_account(bucket)
    if owner is None or owner == emulator.responses.get_account_id():
        return copy(headers)
    with emulator.responses.request_scope(owner, emulator.responses.get_region()):
        record = _record(emulator, bucket, key, version)
        tags = stored_tags(emulator, bucket, key, version)
    if record is None:
        code = "NoSuchVersion" if version else "NoSuchKey"
        what = "version" if version else "key"
        response: Response = emulator.s3._error(
            code, f"The specified {what} does not exist.", 404, f"/{bucket}/{key}"
        )
        return response
    found = {**headers, "x-amz-copy-source": quote(f"/{bucket}/{key}")}
    if tags and headers.get("x-amz-tagging-directive", "COPY").upper() == "COPY":
        found |= {"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": urlencode(tags)}
    token = _source.set((bucket, {"objects": {key: record}}))
    try:
        return copy(found)
    finally:
        _source.reset(token)


def _record(emulator: Emulator, bucket: str, key: str, version: str) -> dict[str, Any] | None:
    """The source with its content, in the account that owns it; None if there is none."""
    s3 = emulator.s3
    record = s3._buckets[bucket]["objects"].get(key)
    if version:
        versions = s3._object_versions.get((bucket, key), [])
        record = next((entry for entry in versions if entry["version_id"] == version), None)
    body = s3._get_object_data(bucket, key, version or None) if record else None
    return {**record, "body": body} if record and body is not None else None
