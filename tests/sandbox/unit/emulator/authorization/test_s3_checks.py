"""What S3 calls need: reading a key that is not there (S3 API reference, GetObject, HeadObject)."""

from __future__ import annotations

import pytest

from tests.sandbox.unit.emulator.authorization.support import allow, session
from tests.sandbox.unit.emulator.conftest import A, InProcess


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_missing_key_is_told_only_to_whom_may_list(
    aws: InProcess, bucket: str, method: str
) -> None:
    read = allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*")
    who = session(aws, read, name="reading")
    assert aws.send(who, "s3", method, f"/{bucket}/key").status == 200
    assert aws.send(who, "s3", method, f"/{bucket}/none").status == 403
    listing = session(aws, read, allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}"), name="seeing")
    assert aws.send(listing, "s3", method, f"/{bucket}/none").status == 404
    # A prefix is a matter of listings: the request has none.
    below = {"Condition": {"StringLike": {"s3:prefix": "*"}}}
    some = session(aws, read, allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}", **below))
    assert aws.send(some, "s3", method, f"/{bucket}/none").status == 403


def test_a_missing_key_of_another_account_is_denied_too(aws: InProcess, foreign: str) -> None:
    assert aws.send(aws.keys[A], "s3", "GET", f"/{foreign}/none").status == 404
    assert aws.send(session(aws), "s3", "GET", f"/{foreign}/none").status == 403
