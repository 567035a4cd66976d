"""The fakes of AWS services as fixtures."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.support.fakes.clock import Clock
from tests.support.fakes.modelled_client import ModelledClient, client_error
from xacct_assets.aws.denials import set_permission_hints
from xacct_assets.iam_hints import grant_hint


@pytest.fixture(autouse=True)
def _hints_about_this_repository() -> None:
    set_permission_hints(grant_hint)


@pytest.fixture
def modelled() -> type[ModelledClient]:
    return ModelledClient


@pytest.fixture
def refusal() -> Callable[..., ClientError]:
    return client_error


@pytest.fixture
def clock() -> Clock:
    return Clock()
