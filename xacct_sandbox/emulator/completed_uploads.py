"""CompleteMultipartUpload for an upload whose parts are on disk, without reading the parts."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement

from xacct_sandbox.emulator.loader import Emulator, Response

_COPY_BYTES = 64 * 1024 * 1024


class UploadRefused(Exception):
    """An upload that cannot be completed.

    Attributes:
        response: the error response of S3.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(response[0])
        self.response = response


def complete_upload(
    emulator: Emulator,
    upload_id: str,
    upload: dict[str, Any],
    body: bytes,
    headers: dict[str, str],
) -> Response:
    """Joins the parts to the object.

    Args:
        emulator: of this process.
        upload_id: of the upload.
        upload: ministack's record of it.
        body: of the request; lists the parts.
        headers: of the request.

    Raises:
        UploadRefused: the request is wrong.
        OSError: the disk is full. The upload can be completed again later.
    """
    s3 = emulator.s3
    bucket_name, key = upload["bucket"], upload["key"]
    prior = s3._buckets[bucket_name]["objects"].get(key)
    for refusal in (
        s3._check_sse_c_part(headers, upload),
        s3._check_put_preconditions(headers, prior),
    ):
        if refusal is not None:
            raise UploadRefused(refusal)
    parts = _listed_parts(emulator, upload, body)
    record = _object_record(emulator, upload, parts, headers)
    version = _store(emulator, bucket_name, key, prior, record, parts)
    del s3._multipart_uploads[upload_id]
    s3._fire_s3_event_async(
        bucket_name,
        key,
        "s3:ObjectCreated:CompleteMultipartUpload",
        size=record["size"],
        etag=record["etag"],
        version_id=version,
    )
    response = _response(emulator, bucket_name, key, record, version, headers)
    # A client that lost the response sends the request again and gets the same response.
    s3._completed_multipart_uploads[upload_id] = {"key": key, "response": response}
    return response


def _store(
    emulator: Emulator,
    bucket: str,
    key: str,
    prior: dict[str, Any] | None,
    record: dict[str, Any],
    parts: list[tuple[int, dict[str, Any]]],
) -> str | None:
    """Makes the parts the content of the object. Returns its version id, if it has one."""
    s3 = emulator.s3
    joined = _join([part["body"].path for _, part in parts])
    version: str | None = s3._record_object_version(bucket, key, prior, record, None)
    path = s3._object_disk_path(bucket, key)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    os.chmod(joined, 0o600)
    os.replace(joined, path)
    s3._buckets[bucket]["objects"][key] = record
    s3._persist_object(bucket, key, record)
    shutil.rmtree(joined.parent, ignore_errors=True)
    return version


def _object_record(
    emulator: Emulator,
    upload: dict[str, Any],
    parts: list[tuple[int, dict[str, Any]]],
    headers: dict[str, str],
) -> dict[str, Any]:
    """ministack's record of the object that is made of the parts."""
    s3 = emulator.s3
    size = sum(part["size"] for _, part in parts)
    declared = headers.get("x-amz-mp-object-size")
    if declared is not None and declared != str(size):
        raise UploadRefused(
            s3._error(
                "InvalidRequest",
                f"x-amz-mp-object-size is {declared} and the parts have {size} bytes",
                400,
                f"/{upload['bucket']}/{upload['key']}",
            )
        )
    algorithm = upload.get("checksum_algorithm")
    composite = _composite_checksum(emulator, algorithm, parts, headers)
    digests = b"".join(bytes.fromhex(part["etag"].strip('"')) for _, part in parts)
    digest = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    return {
        "body": None,
        "content_type": upload["content_type"],
        "content_encoding": upload.get("content_encoding"),
        "etag": f'"{digest}-{len(parts)}"',
        "last_modified": s3.now_iso(),
        "size": size,
        "metadata": upload["metadata"],
        "preserved_headers": upload.get("preserved_headers", {}),
        "storage_class": upload.get("storage_class") or "STANDARD",
        "parts": [{"PartNumber": number, "Size": part["size"]} for number, part in parts],
        "checksums": {algorithm: composite} if composite else {},
        "checksum_type": "COMPOSITE" if composite else None,
    }


def _listed_parts(
    emulator: Emulator, upload: dict[str, Any], body: bytes
) -> list[tuple[int, dict[str, Any]]]:
    """(number, ministack's record) of the parts that the request lists, in order."""
    s3 = emulator.s3
    try:
        listed = [
            {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            for element in s3.fromstring(body)
            if element.tag.rpartition("}")[2] == "Part"
        ]
        numbers = [int(part["PartNumber"]) for part in listed]
    except (ParseError, KeyError, ValueError) as problem:
        raise UploadRefused(s3._error("MalformedXML", s3._MALFORMED_XML, 400)) from problem
    if not numbers or numbers != sorted(set(numbers)):
        raise UploadRefused(
            s3._error(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. "
                "Parts must be ordered by part number.",
                400,
            )
        )
    parts = []
    for number, requested in zip(numbers, listed, strict=True):
        part = upload["parts"].get(number)
        if part is None or not _is_same_part(part, requested):
            raise UploadRefused(
                s3._error(
                    "InvalidPart",
                    "One or more of the specified parts could not be found. The part may not "
                    "have been uploaded, or the specified entity tag may not match the part's "
                    f"entity tag. Part number: {number}",
                    400,
                )
            )
        parts.append((number, part))
    return parts


def _is_same_part(part: dict[str, Any], requested: dict[str, str]) -> bool:
    if requested.get("ETag", part["etag"]).strip('"') != part["etag"].strip('"'):
        return False
    checksums = part.get("checksums") or {}
    return all(
        checksums.get(name.removeprefix("Checksum").upper()) == value
        for name, value in requested.items()
        if name.startswith("Checksum") and value
    )


def _composite_checksum(
    emulator: Emulator,
    algorithm: str | None,
    parts: list[tuple[int, dict[str, Any]]],
    headers: dict[str, str],
) -> str | None:
    """The checksum of the parts' checksums, for an upload with a checksum algorithm."""
    if not algorithm:
        return None
    s3 = emulator.s3
    sums = [(part.get("checksums") or {}).get(algorithm) for _, part in parts]
    composite: str | None = s3._composite_checksum(algorithm, sums)
    requested = headers.get(f"x-amz-checksum-{algorithm.lower()}")
    if requested and requested != composite:
        raise UploadRefused(
            s3._error(
                "BadDigest",
                f"The {algorithm} you specified did not match the calculated checksum.",
                400,
            )
        )
    return composite


def _join(paths: list[Path]) -> Path:
    """Appends the other files to the first one, in the kernel. Returns its path.

    Raises:
        OSError: the disk is full. The files are then unchanged.
    """
    whole, *others = paths
    with whole.open("r+b") as out:
        size = out.seek(0, os.SEEK_END)
        try:
            for path in others:
                with path.open("rb") as part:
                    position, remaining = 0, path.stat().st_size
                    while remaining:
                        size_of_copy = min(remaining, _COPY_BYTES)
                        sent = os.sendfile(out.fileno(), part.fileno(), position, size_of_copy)
                        position, remaining = position + sent, remaining - sent
        except OSError:
            out.truncate(size)
            raise
    return whole


def _response(
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
    response_headers = {"Content-Type": "application/xml", **s3._stored_sse_headers(record)}
    if version:
        response_headers["x-amz-version-id"] = version
    return 200, response_headers, s3._xml_body(root)
