"""A feed that left the settings is found by its stack, if that is provably of the installation."""

import pytest

from tests.support.fakes.stacks import FakeStacks
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.deployment.retired import find_retired


@pytest.fixture
def account(feed: FeedSpec) -> FakeStacks:
    account = FakeStacks()
    account.add_feed(feed.name, "local")
    return account


def names(account: FakeStacks, feed: FeedSpec, suffix: str = "local") -> list[str]:
    return [retired.name for retired in find_retired(account.client, suffix, [feed])]


def test_a_feed_in_the_settings_is_not_retired(account: FakeStacks, feed: FeedSpec) -> None:
    assert names(account, feed) == []


def test_several_retired_feeds_are_all_found(account: FakeStacks, feed: FeedSpec) -> None:
    for name in ("orders", "old_prices", "customers"):
        account.add_feed(name, "local")
    assert names(account, feed) == ["customers", "old_prices", "orders"]


@pytest.mark.parametrize(
    "status",
    ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_IN_PROGRESS"],
)
def test_a_stack_in_any_state_is_found(account: FakeStacks, feed: FeedSpec, status: str) -> None:
    account.add_feed("orders", "local", status)
    (retired,) = find_retired(account.client, "local", [feed])
    assert retired.describe() == (
        "feed orders left the settings, and its stack xacct-feed-orders-local is still there "
        f"({status})"
    )
    assert retired.retire_command == "xacct feed retire orders"


def test_a_stack_of_another_installation_is_none_of_ours(
    account: FakeStacks, feed: FeedSpec
) -> None:
    # Feed `a` of installation `dev-local` has the name that feed `a_dev` of `local` would have.
    account.add_feed("a", "dev-local")
    assert names(account, feed) == []
    assert names(account, feed, "dev-local") == ["a"]


def test_a_stack_that_somebody_else_made_under_such_a_name_is_none_of_ours(
    account: FakeStacks, feed: FeedSpec
) -> None:
    stack = account.stacks[account.add_feed("orders", "local")]
    stack["Tags"] = []
    assert names(account, feed) == []
    stack["Tags"] = [{"Key": "xacct", "Value": "local"}]
    stack["Parameters"] = [{"ParameterKey": "Feed", "ParameterValue": "prices"}]
    assert names(account, feed) == []
    stack["Parameters"] = []
    assert names(account, feed) == []


def test_a_name_in_another_case_is_another_feed(account: FakeStacks, feed: FeedSpec) -> None:
    account.add_feed("Products", "local")
    assert names(account, feed) == ["Products"]
