"""Makes the parts of the job script importable, with the local `awsglue`; Spark is not started."""

from __future__ import annotations

import sys

import pytest

from tests.support.load_requests import request_json
from tests.support.project import ROOT
from xacct_assets.contract.load_request import LoadRequest

for folder in (ROOT / "glue", ROOT / "xacct_sandbox" / "glue" / "local"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


@pytest.fixture
def load_request() -> LoadRequest:
    """A request for two days of products."""
    return LoadRequest.from_json(request_json())
