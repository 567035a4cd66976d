"""Feeds that left the settings and have a stack in this installation still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xacct_assets.aws.stack_reading import StackDescription, describe_stack, stack_names
from xacct_assets.feed.spec.names import feed_stack_name
from xacct_assets.operations.deployment.ownership import INSTALLATION_TAG

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

    from xacct_assets.feed.spec import FeedSpec


@dataclass(frozen=True)
class RetiredFeed:
    """A feed without settings, and its stack."""

    name: str
    stack: StackDescription

    @property
    def retire_command(self) -> str:
        """The command that removes what `xacct deploy` made for the feed."""
        return f"xacct feed retire {self.name}"

    def describe(self) -> str:
        """What is the matter, for a message."""
        return (
            f"feed {self.name} left the settings, and its stack {self.stack.name} is still there "
            f"({self.stack.status})"
        )


def find_retired(
    cloudformation: CloudFormationClient, suffix: str, feeds: Sequence[FeedSpec]
) -> list[RetiredFeed]:
    """The retired feeds of an installation, by name.

    A stack is one of them only if its tag names this installation and its own parameter names the
    feed that its name is made of. The name alone proves nothing: ``xacct-feed-a-b-c`` may be feed
    ``a_b`` of installation ``c``, or feed ``a`` of installation ``b-c``.

    Args:
        cloudformation: of account B.
        feeds: the feeds in the settings.
    """
    kept = {feed.stack_name(suffix) for feed in feeds}
    found = []
    for name in stack_names(cloudformation):
        # Other stacks need not be described.
        if name in kept or not (name.startswith("xacct-feed-") and name.endswith(f"-{suffix}")):
            continue
        stack = describe_stack(cloudformation, name)
        if stack is None or stack.tags.get(INSTALLATION_TAG) != suffix:
            continue
        feed = stack.parameters.get("Feed", "")
        if feed_stack_name(feed, suffix) == name:
            found.append(RetiredFeed(feed, stack))
    return sorted(found, key=lambda feed: feed.name)
