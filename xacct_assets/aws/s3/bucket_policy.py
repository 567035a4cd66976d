"""Our statements in the policy of a bucket that somebody else owns.

S3 has no call for one statement: PutBucketPolicy replaces the whole policy (S3 API reference). So
the policy is read, only statements with our own Sids are replaced, added or removed, and every
other statement is written back as it was read, in its order.

aws-claims: s3-policy-principal-must-exist, iam-deleted-role-is-another-principal
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xacct_assets.aws.botocore_errors import error_code
from xacct_assets.aws.errors import InvalidRequest
from xacct_assets.aws.s3.bucket import Bucket

Statement = dict[str, Any]
IsOurs = Callable[[str], bool]

#: Bytes of a bucket policy (S3 quotas).
MAX_POLICY_BYTES = 20_480
# S3 shows a principal that was deleted by its unique id, and refuses to store such a policy again
# (IAM user guide, "AWS JSON policy elements: Principal").
_DELETED_PRINCIPAL = re.compile(r'"(A[A-Z]{3}[A-Z0-9]{12,})"')


@dataclass(frozen=True)
class BucketPolicy:
    """The policy of one bucket.

    Attributes:
        bucket: the bucket.
        is_ours: whether a Sid is one of ours.
    """

    bucket: Bucket
    is_ours: IsOurs

    def missing(self, wanted: Sequence[Statement]) -> list[str]:
        """Sids of the wanted statements that are not in the policy as they should be.

        Raises:
            AccessDenied: the caller may not read the policy.
        """
        present = {str(item.get("Sid")): _normal(item) for item in _statements(self._read())}
        return [item["Sid"] for item in wanted if present.get(item["Sid"]) != _normal(item)]

    def merge(self, wanted: Sequence[Statement]) -> bool:
        """Make our statements exactly these; False if they were so already.

        Raises:
            AccessDenied: the caller may not read or write the policy.
            InvalidRequest: S3 would refuse, or refused, the policy.
        """
        document = self._read()
        present = _statements(document)
        ours = [_normal(item) for item in present if self._is_ours(item)]
        if sorted(ours) == sorted(_normal(item) for item in wanted):
            return False
        kept = [item for item in present if not self._is_ours(item)]
        self._write({**document, "Statement": [*kept, *wanted]}, kept)
        return True

    def remove(self) -> bool:
        """Remove our statements; False if there were none.

        A policy that has no other statement is deleted: S3 stores none without a statement.
        """
        document = self._read()
        present = _statements(document)
        kept = [item for item in present if not self._is_ours(item)]
        if len(kept) == len(present):
            return False
        if kept:
            self._write({**document, "Statement": kept}, kept)
        else:
            with self.bucket.call("s3:DeleteBucketPolicy"):
                self.bucket.s3.delete_bucket_policy(
                    Bucket=self.bucket.name, ExpectedBucketOwner=self.bucket.owner
                )
        return True

    def _is_ours(self, statement: Statement) -> bool:
        return self.is_ours(str(statement.get("Sid", "")))

    def _read(self) -> dict[str, Any]:
        with self.bucket.call("s3:GetBucketPolicy"):
            try:
                answer = self.bucket.s3.get_bucket_policy(
                    Bucket=self.bucket.name, ExpectedBucketOwner=self.bucket.owner
                )
            except Exception as error:
                if error_code(error) == "NoSuchBucketPolicy":
                    return {"Version": "2012-10-17", "Statement": []}
                raise
        return dict(json.loads(answer["Policy"]))

    def _write(self, document: dict[str, Any], kept: Sequence[Statement]) -> None:
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        size = len(text.encode())
        if size > MAX_POLICY_BYTES:
            raise InvalidRequest(
                f"our statements do not fit into the policy of bucket {self.bucket.name}",
                reason=f"it would have {size:,} bytes; S3 allows {MAX_POLICY_BYTES:,}",
                fix="let the bucket's owner shorten the policy, then deploy again",
            )
        try:
            with self.bucket.call("s3:PutBucketPolicy"):
                self.bucket.s3.put_bucket_policy(
                    Bucket=self.bucket.name, Policy=text, ExpectedBucketOwner=self.bucket.owner
                )
        except InvalidRequest as refusal:
            gone = sorted(set(_DELETED_PRINCIPAL.findall(json.dumps(kept))))
            if refusal.code != "MalformedPolicy" or not gone:
                raise
            raise InvalidRequest(
                f"S3 refuses the policy of bucket {self.bucket.name} with our statements",
                reason=f"{refusal.reason}; statements of others name principals that were deleted "
                f"({', '.join(gone)})",
                code=refusal.code,
                fix="let the bucket's owner remove these principals, then deploy again",
            ) from refusal


def _statements(document: dict[str, Any]) -> list[Statement]:
    # A policy with one statement may have it without a list around it.
    statements = document.get("Statement", [])
    return [statements] if isinstance(statements, dict) else list(statements)


def _normal(value: Any) -> str:
    """The value as text, with what S3 may write in two ways written in one."""
    return json.dumps(_sorted(value), sort_keys=True)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_sorted(item) for item in value), key=json.dumps)
        return items[0] if len(items) == 1 else items
    return value
