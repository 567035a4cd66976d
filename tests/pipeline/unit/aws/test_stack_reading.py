"""Which stacks there are, and what each says of itself."""

import pytest

from tests.support.fakes.stacks import FakeStacks
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.stack_reading import (
    StackResource,
    describe_stack,
    stack_names,
    stack_resources,
)


@pytest.fixture
def account() -> FakeStacks:
    account = FakeStacks()
    for feed in ("a", "b", "c"):
        account.add_feed(feed, "local")
    return account


def test_every_page_of_stacks_is_read_and_deleted_ones_are_left_out(account: FakeStacks) -> None:
    account.client.delete_stack(StackName="xacct-feed-b-local")
    assert stack_names(account.client) == ["xacct-feed-a-local", "xacct-feed-c-local"]
    account.add_feed("d", "local", "ROLLBACK_COMPLETE")
    assert len(stack_names(account.client)) == 3


def test_every_page_of_resources_is_read(account: FakeStacks) -> None:
    assert stack_resources(account.client, "xacct-feed-a-local") == [
        StackResource("a_raw", "AWS::Glue::Database"),
        StackResource("xacct-local-a", "AWS::Glue::Crawler"),
        StackResource("xacct-local-a", "AWS::Glue::Job"),
    ]


def test_a_stack_is_described_with_its_parameters_outputs_and_tags(account: FakeStacks) -> None:
    stack = describe_stack(account.client, "xacct-feed-a-local")
    assert stack is not None
    assert stack.parameters["Feed"] == "a"
    assert stack.outputs["ExportLocation"] == "s3://opt/a/"
    assert stack.tags == {"xacct": "local"}


def test_a_stack_that_is_not_there_is_none_and_a_denial_is_a_denial(account: FakeStacks) -> None:
    assert describe_stack(account.client, "xacct-feed-z-local") is None
    account.denied = {"DescribeStacks", "ListStacks"}
    with pytest.raises(AccessDenied):
        describe_stack(account.client, "xacct-feed-a-local")
    with pytest.raises(AccessDenied):
        stack_names(account.client)
