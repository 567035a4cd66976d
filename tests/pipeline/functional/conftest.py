"""The pipeline on AWS clients in memory, as fixtures."""

from __future__ import annotations

import pytest

from tests.support.fakes.aws_clients import fake_load_job
from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import NO_DELAY, InMemoryPipeline
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import Settings


@pytest.fixture
def state(feed: FeedSpec, settings: Settings) -> AwsState:
    return AwsState(feed, settings)


@pytest.fixture
def pipeline(state: AwsState, monkeypatch: pytest.MonkeyPatch) -> InMemoryPipeline:
    monkeypatch.setattr("xacct_assets.feed.assets.staging_table.run_load_job", fake_load_job)
    monkeypatch.setattr("xacct_assets.feed.assets.defaults._RETRIES", NO_DELAY)
    return InMemoryPipeline(state)


@pytest.fixture
def denied() -> AccessDenied:
    return AccessDenied(
        "s3:ListBucket on arn:aws:s3:::bucket was denied",
        principal="arn:aws:iam::222222222222:role/xacct-orchestrator-test",
        action="s3:ListBucket",
        resource="arn:aws:s3:::bucket",
    )
