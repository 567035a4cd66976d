"""Reads CloudFormation stacks: which there are, and what each says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call, error_code

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient
    from mypy_boto3_cloudformation.literals import StackStatusType

#: Left by a creation that failed: the stack can only be deleted.
DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS")
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True)
class StackDescription:
    """A stack as CloudFormation describes it."""

    name: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class StackResource:
    """A resource of a stack.

    Attributes:
        id: its name in the account (the physical id); empty if it was never made.
    """

    id: str
    type: str


def is_in_progress(status: str) -> bool:
    """Whether an operation changes the stack. A stack in review has none that would end."""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def raw_stack(client: CloudFormationClient, name: str) -> Mapping[str, Any] | None:
    """The answer of DescribeStacks for a stack; None if there is no such stack."""
    with aws_call(
        "cloudformation:DescribeStacks", f"stack {name}", expected_codes=("ValidationError",)
    ):
        try:
            stacks = client.describe_stacks(StackName=name)["Stacks"]
        except Exception as error:
            if error_code(error) == "ValidationError" and "does not exist" in str(error):
                return None
            raise
    return dict(stacks[0]) if stacks else None


def describe_stack(client: CloudFormationClient, name: str) -> StackDescription | None:
    """The stack; None if there is none of that name."""
    stack = raw_stack(client, name)
    if stack is None:
        return None
    return StackDescription(
        name=str(stack["StackName"]),
        status=str(stack["StackStatus"]),
        parameters={
            entry["ParameterKey"]: entry.get("ParameterValue", "")
            for entry in stack.get("Parameters", [])
        },
        outputs=outputs_of(stack),
        tags={entry["Key"]: entry["Value"] for entry in stack.get("Tags", [])},
    )


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """The outputs in an answer of DescribeStacks."""
    return {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}


def stack_names(client: CloudFormationClient) -> list[str]:
    """Names of all stacks of the account and Region, without deleted ones."""
    # Without a filter, stacks that were deleted in the last 90 days are listed too.
    statuses: tuple[StackStatusType, ...] = tuple(
        status
        for status in client.meta.service_model.shape_for("StackStatus").metadata["enum"]
        if status != "DELETE_COMPLETE"
    )
    names: list[str] = []
    next_page: Any = {}
    while True:
        with aws_call("cloudformation:ListStacks", "the stacks of the account"):
            page = client.list_stacks(StackStatusFilter=statuses, **next_page)
        names += [summary["StackName"] for summary in page["StackSummaries"]]
        if not page.get("NextToken"):
            return names
        next_page = {"NextToken": page["NextToken"]}


def stack_resources(client: CloudFormationClient, name: str) -> list[StackResource]:
    """The resources that the stack has, without deleted ones."""
    found: list[StackResource] = []
    next_page: Any = {}
    while True:
        with aws_call("cloudformation:ListStackResources", f"stack {name}"):
            page = client.list_stack_resources(StackName=name, **next_page)
        found += [
            StackResource(summary.get("PhysicalResourceId") or "", summary["ResourceType"])
            for summary in page["StackResourceSummaries"]
            if summary["ResourceStatus"] != "DELETE_COMPLETE"
        ]
        if not page.get("NextToken"):
            return found
        next_page = {"NextToken": page["NextToken"]}
