"""One object written to S3 as a stream: one PUT if it is small, else a multipart upload.

The object is not visible before ``close``, and ``abort`` leaves nothing behind. A part is uploaded
while the next one is gathered, so at most two are in memory.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.redshift.roles import RoleSession, s3_failure

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 << 20  # at least; S3 requires 5 MB of every part but the last


class ObjectWriter:
    """An S3 object as a writable file. All methods block: call them in a thread.

    Every method raises RedshiftError if S3 refuses; the text names the action, the object and the
    principal.
    """

    closed = False

    def __init__(
        self, session: RoleSession, bucket: str, key: str, encryption: dict[str, str]
    ) -> None:
        self._session = session
        # The stubs take literals.
        self._encryption: Any = encryption
        self.bucket = bucket
        self.key = key
        self.size = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        self._uploads: ThreadPoolExecutor | None = None
        self._sending: Future[CompletedPartTypeDef] | None = None

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
        """Does nothing: a part is sent when it is full."""

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
                s3.put_object(
                    Bucket=self.bucket, Key=self.key, Body=self._take(), **self._encryption
                )
                return
            if self._waiting:
                self._send_part(self._take())
            self._await_part()
            assert self._upload_id is not None
            s3.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
            )
        except (ClientError, BotoCoreError) as problem:
            raise self._failure(problem) from problem
        finally:
            self._end_uploads()

    def abort(self) -> None:
        """Drop what was uploaded."""
        self.closed = True
        self._end_uploads()
        if self._upload_id is not None:
            with contextlib.suppress(ClientError, BotoCoreError):
                self._session.s3.abort_multipart_upload(
                    Bucket=self.bucket, Key=self.key, UploadId=self._upload_id
                )

    def _take(self) -> bytes:
        part = b"".join(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        return part

    def _send_part(self, part: bytes) -> None:
        """Start the upload of a part, after the one before it has arrived."""
        try:
            self._await_part()
        except (ClientError, BotoCoreError) as problem:
            raise self._failure(problem) from problem
        if self._uploads is None:
            self._uploads = ThreadPoolExecutor(1, "unload-part")
        self._sending = self._uploads.submit(self._upload, part)

    def _upload(self, part: bytes) -> CompletedPartTypeDef:
        s3 = self._session.s3
        if self._upload_id is None:
            self._upload_id = s3.create_multipart_upload(
                Bucket=self.bucket, Key=self.key, **self._encryption
            )["UploadId"]
        number = len(self._parts) + 1
        answer = s3.upload_part(
            Bucket=self.bucket, Key=self.key, UploadId=self._upload_id, PartNumber=number, Body=part
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
