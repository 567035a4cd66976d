# ruff: noqa: SLF001 -- reaching into the emulator is what this package is for
"""Multipart uploads on disk: parts are written as they come and joined without being read.

The emulator keeps all parts of an upload in memory and joins them there, so that an object of
1 GB costs 2 GB. Small uploads are still left to it.

One request's body (a part, or a PutObject) is in memory while it is received: that is how the
emulator takes requests in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement

from xacct_sandbox.emulator.loader import Emulator, Response

PART_TO_DISK_BYTES = 1024 * 1024
"""Parts from this size wait on disk; the emulator joins what is smaller."""

_COPY_BYTES = 64 * 1024 * 1024


class StoredPart:
    """A part's bytes in a file of their own."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._size = size

    def __len__(self) -> int:
        return self._size


class Refused(Exception):
    """S3's answer to an upload that cannot be completed."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer[0])
        self.answer = answer


def patch_uploads(emulator: Emulator) -> None:
    """Take the parts of uploads, and joining them, out of memory."""
    s3 = emulator.s3
    folder = emulator.config.ministack_dir / "parts"
    shutil.rmtree(folder)  # of uploads that a restart ended
    folder.mkdir(mode=0o700)
    upload_part, upload_copy = s3._upload_part, s3._upload_part_copy
    complete, abort = s3._complete_multipart_upload, s3._abort_multipart_upload

    def part(
        bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str]
    ) -> Any:
        answer = upload_part(bucket, key, body, query, headers)
        _store_parts(emulator, folder, s3._qp(query, "uploadId"))
        return answer

    def part_copy(bucket: str, key: str, query: dict[str, Any], headers: dict[str, str]) -> Any:
        answer = upload_copy(bucket, key, query, headers)
        _store_parts(emulator, folder, s3._qp(query, "uploadId"))
        return answer

    def completed(
        bucket: str,
        key: str,
        body: bytes,
        query: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> Any:
        upload_id = s3._qp(query, "uploadId")
        upload = s3._multipart_uploads.get(upload_id)
        if upload is None or not _on_disk(upload):
            return complete(bucket, key, body, query, headers)
        if (upload["bucket"], upload["key"]) != (bucket, key) or bucket not in s3._buckets:
            return complete(bucket, key, body, query, headers)
        if s3._bucket_replication.get(bucket):
            raise ValueError(f"replication of {bucket} is not supported for multipart uploads")
        try:
            return _complete(emulator, upload_id, upload, body, headers or {})
        except Refused as refused:
            return refused.answer

    def aborted(bucket: str, key: str, query: dict[str, Any]) -> Any:
        answer = abort(bucket, key, query)
        upload_id = s3._qp(query, "uploadId")
        if upload_id not in s3._multipart_uploads:
            shutil.rmtree(folder / str(upload_id), ignore_errors=True)
        return answer

    s3._upload_part, s3._upload_part_copy = part, part_copy
    s3._complete_multipart_upload, s3._abort_multipart_upload = completed, aborted


def _on_disk(upload: dict[str, Any]) -> bool:
    return any(isinstance(part["body"], StoredPart) for part in upload["parts"].values())


def _store_parts(emulator: Emulator, folder: Path, upload_id: str) -> None:
    """Move to disk what the emulator has just put into memory.

    Once one part is on disk all are: the emulator can no longer join the rest.
    """
    upload = emulator.s3._multipart_uploads.get(upload_id)
    if upload is None:
        return
    parts = upload["parts"]
    if not _on_disk(upload) and all(part["size"] < PART_TO_DISK_BYTES for part in parts.values()):
        return
    place = folder / upload_id
    place.mkdir(mode=0o700, exist_ok=True)
    for number, part in parts.items():
        if not isinstance(part["body"], StoredPart):
            path = place / str(number)
            path.write_bytes(part["body"])
            part["body"] = StoredPart(path, part["size"])


def _complete(
    emulator: Emulator,
    upload_id: str,
    upload: dict[str, Any],
    body: bytes,
    headers: dict[str, str],
) -> Response:
    """CompleteMultipartUpload over parts on disk."""
    s3 = emulator.s3
    bucket_name, key = upload["bucket"], upload["key"]
    bucket = s3._buckets[bucket_name]
    prior = bucket["objects"].get(key)
    for refusal in (
        s3._check_sse_c_part(headers, upload),
        s3._check_put_preconditions(headers, prior),
    ):
        if refusal is not None:
            raise Refused(refusal)
    chosen = _chosen_parts(emulator, upload, body)
    size = sum(part["size"] for _, part in chosen)
    declared = headers.get("x-amz-mp-object-size")
    if declared is not None and declared != str(size):
        raise Refused(
            s3._error(
                "InvalidRequest",
                f"x-amz-mp-object-size is {declared} and the parts have {size} bytes",
                400,
                f"/{bucket_name}/{key}",
            )
        )
    algorithm = upload.get("checksum_algorithm")
    composite = _composite(emulator, algorithm, chosen, headers)
    digests = b"".join(bytes.fromhex(part["etag"].strip('"')) for _, part in chosen)
    digest = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    record = {
        "body": None,
        "content_type": upload["content_type"],
        "content_encoding": upload.get("content_encoding"),
        "etag": f'"{digest}-{len(chosen)}"',
        "last_modified": s3.now_iso(),
        "size": size,
        "metadata": upload["metadata"],
        "preserved_headers": upload.get("preserved_headers", {}),
        "storage_class": upload.get("storage_class") or "STANDARD",
        "parts": [{"PartNumber": number, "Size": part["size"]} for number, part in chosen],
        "checksums": {algorithm: composite} if composite else {},
        "checksum_type": "COMPOSITE" if composite else None,
    }
    joined = _join([part["body"].path for _, part in chosen])
    version = s3._record_object_version(bucket_name, key, prior, record, None)
    path = s3._object_disk_path(bucket_name, key)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    os.chmod(joined, 0o600)
    os.replace(joined, path)
    bucket["objects"][key] = record
    s3._persist_object(bucket_name, key, record)
    del s3._multipart_uploads[upload_id]
    shutil.rmtree(joined.parent, ignore_errors=True)
    s3._fire_s3_event_async(
        bucket_name,
        key,
        "s3:ObjectCreated:CompleteMultipartUpload",
        size=size,
        etag=record["etag"],
        version_id=version,
    )
    answer = _answer(emulator, bucket_name, key, record, version, headers)
    # A client that lost the answer asks again and gets it again.
    s3._completed_multipart_uploads[upload_id] = {"key": key, "response": answer}
    return answer


def _chosen_parts(
    emulator: Emulator, upload: dict[str, Any], body: bytes
) -> list[tuple[int, dict[str, Any]]]:
    """The parts the request names, in its order, each as it was uploaded."""
    s3 = emulator.s3
    try:
        named = [
            {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            for element in s3.fromstring(body)
            if element.tag.rpartition("}")[2] == "Part"
        ]
        numbers = [int(part["PartNumber"]) for part in named]
    except (ParseError, KeyError, ValueError) as problem:
        raise Refused(s3._error("MalformedXML", s3._MALFORMED_XML, 400)) from problem
    if not numbers or numbers != sorted(set(numbers)):
        raise Refused(
            s3._error(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. "
                "Parts must be ordered by part number.",
                400,
            )
        )
    chosen = []
    for number, asked in zip(numbers, named, strict=True):
        part = upload["parts"].get(number)
        if part is None or not _is_that_part(part, asked):
            raise Refused(
                s3._error(
                    "InvalidPart",
                    "One or more of the specified parts could not be found. The part may not "
                    "have been uploaded, or the specified entity tag may not match the part's "
                    f"entity tag. Part number: {number}",
                    400,
                )
            )
        chosen.append((number, part))
    return chosen


def _is_that_part(part: dict[str, Any], asked: dict[str, str]) -> bool:
    if asked.get("ETag", part["etag"]).strip('"') != part["etag"].strip('"'):
        return False
    known = part.get("checksums") or {}
    return all(
        known.get(name.removeprefix("Checksum").upper()) == value
        for name, value in asked.items()
        if name.startswith("Checksum") and value
    )


def _composite(
    emulator: Emulator,
    algorithm: str | None,
    chosen: list[tuple[int, dict[str, Any]]],
    headers: dict[str, str],
) -> str | None:
    """The checksum of the parts' checksums, as S3 gives it for an upload that asked for one."""
    if not algorithm:
        return None
    s3 = emulator.s3
    sums = [(part.get("checksums") or {}).get(algorithm) for _, part in chosen]
    composite: str | None = s3._composite_checksum(algorithm, sums)
    asked = headers.get(f"x-amz-checksum-{algorithm.lower()}")
    if asked and asked != composite:
        raise Refused(
            s3._error(
                "BadDigest",
                f"The {algorithm} you specified did not match the calculated checksum.",
                400,
            )
        )
    return composite


def _join(paths: list[Path]) -> Path:
    """One file of all, in order: the first, with the others appended by the kernel.

    Raises:
        OSError: no room; the parts are then as they were, and completing can be tried again.
    """
    whole, *rest = paths
    with whole.open("r+b") as out:
        size = out.seek(0, os.SEEK_END)
        try:
            for path in rest:
                with path.open("rb") as part:
                    at, left = 0, path.stat().st_size
                    while left:
                        wanted = min(left, _COPY_BYTES)
                        sent = os.sendfile(out.fileno(), part.fileno(), at, wanted)
                        at, left = at + sent, left - sent
        except OSError:
            out.truncate(size)
            raise
    return whole


def _answer(
    emulator: Emulator,
    bucket: str,
    key: str,
    record: dict[str, Any],
    version: str | None,
    headers: dict[str, str],
) -> Response:
    s3 = emulator.s3
    root = Element("CompleteMultipartUploadResult", xmlns=s3.S3_NS)
    SubElement(root, "Location").text = f"https://{headers.get('host', '')}/{bucket}/{key}"
    SubElement(root, "Bucket").text = bucket
    SubElement(root, "Key").text = key
    SubElement(root, "ETag").text = record["etag"]
    for algorithm, value in record["checksums"].items():
        SubElement(root, f"Checksum{algorithm}").text = value
        SubElement(root, "ChecksumType").text = "COMPOSITE"
    answer = {"Content-Type": "application/xml", **s3._stored_sse_headers(record)}
    if version:
        answer["x-amz-version-id"] = version
    return 200, answer, s3._xml_body(root)
