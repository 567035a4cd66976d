"""A bucket in each account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.unit.emulator.authorization.support import BUCKET
from tests.sandbox.unit.emulator.conftest import A, B, InProcess


@pytest.fixture
def bucket(aws: InProcess) -> Iterator[str]:
    """A bucket of account B with one object."""
    admin = aws.keys[B]
    aws.send(admin, "s3", "PUT", f"/{BUCKET}")
    rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
    ownership = f"<OwnershipControls>{rule}</OwnershipControls>"
    aws.send(admin, "s3", "PUT", f"/{BUCKET}", query={"ownershipControls": ""}, body=ownership)
    aws.send(
        admin, "s3", "PUT", f"/{BUCKET}/key", body=b"1", headers={"x-amz-tagging": "kind=secret"}
    )
    yield BUCKET
    aws.send(admin, "s3", "DELETE", f"/{BUCKET}", query={"policy": ""})


@pytest.fixture
def foreign(aws: InProcess) -> Iterator[str]:
    """A bucket of account A with a tagged object."""
    admin = aws.keys[A]
    aws.send(admin, "s3", "PUT", "/judged-foreign")
    aws.send(
        admin,
        "s3",
        "PUT",
        "/judged-foreign/data",
        body=b"hello",
        headers={"x-amz-tagging": "a=b", "x-amz-meta-m": "v", "Content-Type": "text/x"},
    )
    yield "judged-foreign"
    aws.send(admin, "s3", "DELETE", "/judged-foreign", query={"policy": ""})
