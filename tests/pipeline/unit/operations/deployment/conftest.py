"""An installation in two accounts in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.fakes.deployed import FakeAccounts
from xacct_assets.aws.cloudformation import Stacks
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.deployment.deploy import Deployment, Outcome
from xacct_assets.operations.deployment.destroy import Removal
from xacct_assets.operations.deployment.warehouse_setup import WarehouseSetup
from xacct_assets.settings import Settings
from xacct_assets.sources import sources_root

#: Of the calls after which a command is killed, every so-manieth is tried; 1: all.
KILL_STEP = int(os.environ.get("XACCT_TEST_KILL_STEP", "5"))


class Installation:
    """Deploys and removes an installation.

    Attributes:
        accounts: both accounts.
        settings, feeds, overrides: what is deployed.
        shown: lines that were shown by the last command.
        questions: what was asked by the last command.
        answer: the answer to each question.
    """

    def __init__(self, accounts: FakeAccounts, settings: Settings, feed: FeedSpec) -> None:
        self.accounts = accounts
        self.settings = settings
        self.feeds = [feed]
        self.overrides: dict[str, str] = {}
        self.shown: list[str] = []
        self.questions: list[str] = []
        self.answer = True

    def _ask(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer

    def deploy(self, *allowed: str) -> Outcome:
        self.shown, self.questions = [], []
        return Deployment(
            self.settings,
            self.feeds,
            sources_root(),
            self.shown.append,
            self._ask,
            overrides=self.overrides,
            allowed_losses=allowed,
        ).run()

    def destroy(self, *delete_data: str, final_snapshot: bool = True) -> list[str]:
        self.shown = []
        removal = Removal(
            self.settings,
            self.feeds,
            self.shown.append,
            delete_data=delete_data,
            final_snapshot=final_snapshot,
        )
        plan = removal.plan()
        self.shown += removal.describe(plan)
        return removal.run(plan)

    def change_feed(self, change: Callable[[FeedSpec], FeedSpec]) -> None:
        self.feeds = [change(feed) for feed in self.feeds]

    def change_settings(self, **names: str) -> None:
        self.settings = replace(self.settings, **names)  # type: ignore[arg-type]

    @property
    def buckets(self) -> tuple[str, str, str]:
        settings = self.settings
        return settings.input_bucket, settings.export_bucket, settings.processing_bucket

    def has(self, text: str) -> bool:
        """Whether a line of the output has the text."""
        return any(text in line for line in self.shown)


@pytest.fixture
def installation(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, feed: FeedSpec
) -> Installation:
    accounts = FakeAccounts()
    accounts.install(monkeypatch)
    monkeypatch.setitem(Stacks.__init__.__kwdefaults__, "sleep", lambda _: None)
    for step in ("make_user", "apply"):
        monkeypatch.setattr(WarehouseSetup, step, lambda *_, **__: None)
    return Installation(accounts, settings, feed)
