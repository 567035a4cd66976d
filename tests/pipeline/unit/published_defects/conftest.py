"""AWS services in memory, as the claims about single clients have them.

Each test here names a defect that was found in a published client of these services, and fails if
ours had it. Which defect is met by which means is in docs/reliability.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.pipeline.unit.aws.conftest import clock, modelled, refusal  # noqa: F401
from tests.support.fakes.glue import CONSOLE, FakeGlueJob
from xacct_assets.aws.glue.job import GlueJob


@pytest.fixture
def runs() -> FakeGlueJob:
    """The runs of a Glue job."""
    return FakeGlueJob()


@pytest.fixture
def job(runs: FakeGlueJob, clock: Any) -> GlueJob:  # noqa: F811
    """Our client of that job."""
    return GlueJob(runs.client, CONSOLE, sleep=clock.sleep, clock=clock)
