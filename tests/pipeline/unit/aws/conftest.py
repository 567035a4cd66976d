"""The fakes of AWS services as fixtures."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.support.fakes.clock import Clock
from tests.support.fakes.modelled_client import ModelledClient, client_error


@pytest.fixture
def modelled() -> type[ModelledClient]:
    return ModelledClient


@pytest.fixture
def refusal() -> Callable[..., ClientError]:
    return client_error


@pytest.fixture
def clock() -> Clock:
    return Clock()
