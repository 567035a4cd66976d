"""Expected errors of the sandbox's APIs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from xacct_sandbox.service_errors import ServiceError


@contextmanager
def refused(code: str, text: str = "") -> Iterator[None]:
    """The block is refused with this code, and the message contains ``text``."""
    with pytest.raises(ServiceError) as problem:
        yield
    assert problem.value.code == code
    assert text in problem.value.message
