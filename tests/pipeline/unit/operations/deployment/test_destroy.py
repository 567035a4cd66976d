"""Destroying an installation removes the stacks of its retired feeds too, and no other's."""

import pytest

from tests.support.fakes.stacks import FakeStacks
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.destroy import Removal
from xacct_assets.settings import Settings


class FakeSessions:
    """Clients of an account that has stacks only."""

    def __init__(self, stacks: FakeStacks) -> None:
        self.stacks = stacks

    def client(self, service: str) -> object:
        return self.stacks.client if service == "cloudformation" else None


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> FakeStacks:
    stacks = FakeStacks()

    def init(self: Accounts, settings: Settings) -> None:
        self.sessions = {"a": FakeSessions(FakeStacks()), "b": FakeSessions(stacks)}  # type: ignore[dict-item]

    monkeypatch.setattr(Accounts, "__init__", init)
    monkeypatch.setattr(Accounts, "verify", lambda *_: "arn")
    monkeypatch.setattr(Removal, "_delete_bucket", lambda *_: "does not exist")
    return stacks


def test_stacks_of_retired_feeds_are_removed_and_those_of_others_stay(
    stacks: FakeStacks, feed: FeedSpec, settings: Settings
) -> None:
    for name, suffix in ((feed.name, "test"), ("orders", "test"), ("orders", "other-test")):
        stacks.add_feed(name, suffix)
    shown: list[str] = []
    assert Removal(settings, [feed], shown.append).run() == []
    assert list(stacks.stacks) == ["xacct-feed-orders-other-test"]
    assert "stack xacct-feed-orders-test: deleted" in shown


def test_nothing_is_removed_if_the_stacks_cannot_be_listed(
    stacks: FakeStacks, feed: FeedSpec, settings: Settings
) -> None:
    stacks.add_feed(feed.name, "test")
    stacks.denied = {"ListStacks"}
    with pytest.raises(AccessDenied):
        Removal(settings, [feed], lambda _: None).run()
    assert len(stacks.stacks) == 1
