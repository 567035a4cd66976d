"""The products feed and an installation's settings, as the production files give them."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings as hypothesis_settings

from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import Settings

pytest_plugins = ["tests.support.sandbox"]

# What the shell points at is not ours: neither its AWS nor its installation (its feeds, its names).
# At import, since test modules read the settings while they are collected.
for _name in [name for name in os.environ if name.startswith(("AWS_", "XACCT_", "DAGSTER_"))]:
    del os.environ[_name]

# How long an example takes says how busy the machine is, not whether the claim holds.
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
