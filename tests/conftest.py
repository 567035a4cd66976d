"""Fixtures of all tests: the products feed, an installation's settings, and the sandbox."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings as hypothesis_settings

from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import Settings
from xacct_sandbox.daemon import proxies

pytest_plugins = ["tests.support.sandbox", "tests.support.module_order"]

# Tests must not use the AWS account or the installation that the shell is configured for. At
# import, because test modules read settings during collection.
for _name in [name for name in os.environ if name.startswith(("AWS_", "XACCT_", "DAGSTER_"))]:
    del os.environ[_name]
# Nor may a proxy of the shell see requests to this machine.
os.environ.update(proxies.direct(os.environ))

# No deadline: the time of an example depends on the load of the machine.
hypothesis_settings.register_profile("claims", deadline=None)
hypothesis_settings.load_profile("claims")


@pytest.fixture
def settings() -> Settings:
    return Settings.load(
        {
            "XACCT_ACCOUNT_A": "111111111111",
            "XACCT_ACCOUNT_B": "222222222222",
            "XACCT_SUFFIX": "test",
            "AWS_REGION": "us-east-1",
        }
    )


@pytest.fixture
def feed() -> FeedSpec:
    return load_feed("products")
