"""What lies below an include path: folders, their files, and the first bytes of those."""

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
    """S3 answered with another error; the text is S3's, with the action and the resource."""


_GONE = {"NoSuchKey", "404", "PreconditionFailed", "412"}


@dataclass(frozen=True)
class File:
    key: str
    size: int
    etag: str


@dataclass(frozen=True)
class Folder:
    """A folder that holds files; its path is relative to the include path."""

    path: tuple[str, ...]
    files: tuple[File, ...]

    @property
    def fingerprint(self) -> str:
        """Changes when a file is added, removed or rewritten."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.key}\x00{file.etag}\x00{file.size}\n".encode())
        return digest.hexdigest()[:16]


class S3Reader:
    """S3 through the crawler role's own keys."""

    def __init__(self, s3: Any, principal: str) -> None:
        self._s3 = s3
        self._principal = principal

    def folders(self, target: S3Target) -> list[Folder]:
        """Folders with files, in key order; hidden, nameless and excluded ones left out.

        Raises:
            S3Denied, S3Failed
        """
        excluded = excluder(target.exclusions)
        base = f"{target.prefix}/" if target.prefix else ""
        found: dict[tuple[str, ...], list[File]] = {}
        for file in self._list(target.bucket, base):
            relative = file.key[len(base) :]
            parts = relative.split("/")
            # An empty part (//) is left out with the hidden ones: no partition can be called "".
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
        """Part of an object; None if it is gone since it was listed.

        Raises:
            S3Denied, S3Failed
        """
        end = min(start + length, file.size) - 1
        try:
            answer = self._s3.get_object(
                Bucket=bucket, Key=file.key, Range=f"bytes={start}-{end}", IfMatch=file.etag
            )
            return answer["Body"].read()
        except ClientError as problem:
            if problem.response["Error"]["Code"] in {
                "NoSuchKey",
                "404",
                "PreconditionFailed",
                "412",
            }:
                return None
            raise self._failure(
                problem, "s3:GetObject", f"arn:aws:s3:::{bucket}/{file.key}"
            ) from problem

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
            return S3Denied(
                f"Insufficient permissions: {self._principal} is not authorized to perform: "
                f"{action} on resource: {resource}{under}. Both the role's policy and the "
                f"bucket's policy must allow it across accounts. ({error.get('Message', '')})"
            )
        return S3Failed(
            f"{action} on {resource}{under} by {self._principal} failed with {error['Code']}: "
            f"{error.get('Message', '')}"
        )
