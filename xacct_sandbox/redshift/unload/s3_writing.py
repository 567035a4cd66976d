"""One object written to S3 as a stream: a single PUT if small, a multipart upload if not.

Nothing is visible in the bucket before ``close``; ``abort`` leaves nothing behind. A part is
uploaded while the next one is gathered, so at most two are in memory.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.redshift.roles import RoleSession, s3_failure

PART_BYTES = 8 << 20  # at least; S3 wants 5 MB of every part but the last


class ObjectWriter:
    """A writable file over an S3 object. Blocks: use it in a thread.

    Raises (all methods):
        RedshiftError: S3 refused; names the action, the object and the principal.
    """

    closed = False

    def __init__(self, session: RoleSession, bucket: str, key: str) -> None:
        self._session = session
        self._place = {"Bucket": bucket, "Key": key}
        self.bucket = bucket
        self.key = key
        self.size = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._uploads: ThreadPoolExecutor | None = None
        self._sending: Future[dict[str, Any]] | None = None

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def write(self, data: bytes) -> int:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.size += len(data)
        if self._waiting_bytes >= PART_BYTES:
            self._send_part(self._take())
        return len(data)

    def flush(self) -> None:
        """A part is sent when it is full; there is nothing to hurry."""

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readable(self) -> bool:
        return False

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        """Make the object visible."""
        if self.closed:
            return
        self.closed = True
        s3 = self._session.s3
        try:
            if self._uploads is None:
                s3.put_object(**self._place, Body=self._take())
                return
            if self._waiting:
                self._send_part(self._take())
            self._await_part()
            s3.complete_multipart_upload(
                **self._place, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )
        except (ClientError, BotoCoreError) as problem:
            raise self._failure(problem) from problem
        finally:
            self._end_uploads()

    def abort(self) -> None:
        """Give up: what was uploaded is dropped."""
        self.closed = True
        self._end_uploads()
        if self._upload_id is not None:
            with contextlib.suppress(ClientError, BotoCoreError):
                self._session.s3.abort_multipart_upload(**self._place, UploadId=self._upload_id)

    def _take(self) -> bytes:
        part = b"".join(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        return part

    def _send_part(self, part: bytes) -> None:
        """Begin to upload a part; the one before it has then arrived."""
        try:
            self._await_part()
        except (ClientError, BotoCoreError) as problem:
            raise self._failure(problem) from problem
        if self._uploads is None:
            self._uploads = ThreadPoolExecutor(1, "unload-part")
        self._sending = self._uploads.submit(self._upload, part)

    def _upload(self, part: bytes) -> dict[str, Any]:
        s3 = self._session.s3
        if self._upload_id is None:
            self._upload_id = s3.create_multipart_upload(**self._place)["UploadId"]
        number = len(self._parts) + 1
        answer = s3.upload_part(
            **self._place, UploadId=self._upload_id, PartNumber=number, Body=part
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _await_part(self) -> None:
        if self._sending is not None:
            sending, self._sending = self._sending, None
            self._parts.append(sending.result())

    def _end_uploads(self) -> None:
        if self._uploads is not None:
            self._uploads.shutdown(wait=True, cancel_futures=True)

    def _failure(self, problem: Exception) -> Exception:
        return s3_failure(problem, "s3:PutObject", self.url, self._session.principal)
