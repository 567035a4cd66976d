"""Folders and files below an include path, and the content of the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from xacct_sandbox.glue.crawler.globs import excluder
from xacct_sandbox.glue.crawler.settings import S3Target


class S3Denied(Exception):
    """S3 refused the crawler's role; the text names principal, action, resource and fix."""


class S3Failed(Exception):
    """S3 returned another error; the text names it, the action and the resource."""


class S3Archived(Exception):
    """The object is archived; the text is what a crawler writes into its log.

    AWS does not document what a crawl does with such a file. Published crawler logs have this line
    for another error of GetObject (NoSuchKey), and these crawls went on.
    """


_CHANGED_CODES = {"NoSuchKey", "404", "PreconditionFailed", "412"}


@dataclass(frozen=True)
class File:
    """An object of S3; its size is in bytes."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True)
class Folder:
    """A folder that holds files; its path is relative to the include path."""

    path: tuple[str, ...]
    files: tuple[File, ...]

    @property
    def name(self) -> str:
        """The path as text."""
        return "/".join(self.path)

    @property
    def fingerprint(self) -> str:
        """Changes when a file is added, removed or rewritten."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.key}\x00{file.etag}\x00{file.size}\n".encode())
        return digest.hexdigest()[:16]


class S3Reader:
    """Lists and reads S3 with the crawler role's credentials.

    Args:
        s3: a boto3 client of S3.
        principal: the ARN of the role's session, for error messages.
    """

    def __init__(self, s3: Any, principal: str) -> None:
        self._s3 = s3
        self._principal = principal

    def folders(self, target: S3Target) -> list[Folder]:
        """Folders with files, in key order, without hidden, nameless and excluded files.

        Raises:
            S3Denied, S3Failed: the objects cannot be listed.
        """
        excluded = excluder(target.exclusions)
        base = f"{target.prefix}/" if target.prefix else ""
        found: dict[tuple[str, ...], list[File]] = {}
        for file in self._list(target.bucket, base):
            relative = file.key[len(base) :]
            parts = relative.split("/")
            # An empty part (//) counts as hidden: a partition's value cannot be empty.
            if any(part[:1] in {"", "_", "."} for part in parts):
                continue
            if not excluded(relative):
                found.setdefault(tuple(parts[:-1]), []).append(file)
        if not found and base:
            # An include path may also be one object.
            for file in self._list(target.bucket, target.prefix):
                if file.key == target.prefix:
                    found[()] = [file]
        return [Folder(path, tuple(files)) for path, files in sorted(found.items())]

    def read(self, bucket: str, file: File, start: int, length: int) -> bytes | None:
        """Part of an object; None if it was deleted or rewritten since it was listed.

        Args:
            bucket: of the object.
            file: the object as it was listed.
            start: the first byte.
            length: most bytes to read.

        Raises:
            S3Archived: the object must be restored first.
            S3Denied, S3Failed: the object cannot be read.
        """
        end = min(start + length, file.size) - 1
        try:
            response = self._s3.get_object(
                Bucket=bucket, Key=file.key, Range=f"bytes={start}-{end}", IfMatch=file.etag
            )
            content: bytes = response["Body"].read()
        except ClientError as problem:
            if problem.response["Error"]["Code"] in _CHANGED_CODES:
                return None
            if problem.response["Error"]["Code"] == "InvalidObjectState":
                raise S3Archived(
                    f"Error {problem.response['Error'].get('Message', '')} (Service: Amazon S3; "
                    "Status Code: 403; Error Code: InvalidObjectState) retrieving file at "
                    f"s3://{bucket}/{file.key}. Tables created did not infer schemas from this "
                    "file."
                ) from problem
            raise self._failure(
                problem, "s3:GetObject", f"arn:aws:s3:::{bucket}/{file.key}"
            ) from problem
        return content

    def _list(self, bucket: str, prefix: str) -> Iterator[File]:
        pages: Iterable[dict[str, Any]] = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix
        )
        try:
            for page in pages:
                for entry in page.get("Contents") or []:
                    yield File(entry["Key"], entry["Size"], entry["ETag"])
        except ClientError as problem:
            raise self._failure(
                problem, "s3:ListBucket", f"arn:aws:s3:::{bucket}", prefix
            ) from problem

    def _failure(
        self, problem: ClientError, action: str, resource: str, prefix: str = ""
    ) -> Exception:
        error = problem.response["Error"]
        under = f" (prefix {prefix!r})" if prefix else ""
        if error["Code"] in {"AccessDenied", "AllAccessDisabled", "403"}:
            if "kms:" in error.get("Message", ""):
                return S3Denied(f"Insufficient permissions: {error['Message']}")
            return S3Denied(
                f"Insufficient permissions: {self._principal} is not authorized to perform: "
                f"{action} on resource: {resource}{under}. Both the role's policy and the "
                f"bucket's policy must allow it across accounts. ({error.get('Message', '')})"
            )
        return S3Failed(
            f"{action} on {resource}{under} by {self._principal} failed with {error['Code']}: "
            f"{error.get('Message', '')}"
        )
