"""The CloudFormation stacks of an account in memory."""

from __future__ import annotations

from typing import Any

from tests.support.fakes.cloudformation import NOW, STACK
from tests.support.fakes.modelled_client import ModelledClient, client_error

PAGE = 2


class FakeStacks:
    """Stacks that are listed, described and deleted.

    Attributes:
        client: the boto3 client of CloudFormation.
        stacks: answer of DescribeStacks, by name.
        resources: (logical id, physical id, type) of each stack's resources, by the stack's name.
        undeletable: the reason why a stack's resource cannot be deleted, by the stack's name.
        denied: operations that are denied.
    """

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, Any]] = {}
        self.resources: dict[str, list[tuple[str, str, str]]] = {}
        self.undeletable: dict[str, str] = {}
        self.denied: set[str] = set()
        self._deleted: dict[str, dict[str, Any]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self.client = ModelledClient(
            "cloudformation",
            describe_stacks=self._describe,
            list_stacks=self._list,
            list_stack_resources=self._list_resources,
            describe_stack_events=lambda StackName: {
                "StackEvents": list(reversed(self._events.get(_name(StackName), [])))
            },
            describe_events=lambda **_: {"OperationEvents": []},
            delete_stack=self._delete,
        )

    def add_feed(
        self, feed: str, suffix: str, status: str = "CREATE_COMPLETE", *, tag: str | None = None
    ) -> str:
        """Add the stack of a feed as `xacct deploy` leaves it; its name.

        Args:
            tag: the suffix in its tag, by default the same.
        """
        name = f"xacct-feed-{feed.replace('_', '-')}-{suffix}"
        crawler, database = f"xacct-{suffix}-{feed}", f"{feed}_raw"
        parameters = {
            "Feed": feed,
            "CatalogDatabase": database,
            "CrawlerName": crawler,
            "JobName": crawler,
            "InputBucket": "inp",
            "InputPrefix": feed,
            "ProcessingBucket": "processing",
        }
        outputs = {
            "ExportLocation": f"s3://opt/{feed}/",
            "WarehouseObjects": f"public.{feed}, public.{feed}_f, public.sp_{feed}()",
        }
        self.stacks[name] = {
            "StackId": f"id:{name}",
            "StackName": name,
            "StackStatus": status,
            "CreationTime": NOW,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
            "Tags": [{"Key": "xacct", "Value": tag or suffix}],
        }
        self.resources[name] = [
            ("Database", database, "AWS::Glue::Database"),
            ("Crawler", crawler, "AWS::Glue::Crawler"),
            ("Job", crawler, "AWS::Glue::Job"),
        ]
        return name

    def _allow(self, operation: str) -> None:
        if operation in self.denied:
            raise client_error("AccessDenied", "User: me is not authorized", 403)

    def _describe(self, StackName: str) -> dict[str, Any]:
        self._allow("DescribeStacks")
        of_id = {**self._deleted, **{s["StackId"]: s for s in self.stacks.values()}}
        stack = self.stacks.get(StackName) or of_id.get(StackName)
        if stack is None:
            raise client_error("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [stack]}

    def _list(self, StackStatusFilter: tuple[str, ...], NextToken: str = "0") -> dict[str, Any]:
        self._allow("ListStacks")
        known = [*self.stacks.values(), *self._deleted.values()]
        stacks = [stack for stack in known if stack["StackStatus"] in StackStatusFilter]
        start = int(NextToken)
        summaries = [
            {key: stack[key] for key in ("StackId", "StackName", "StackStatus", "CreationTime")}
            for stack in stacks[start : start + PAGE]
        ]
        more = {"NextToken": str(start + PAGE)} if len(stacks) > start + PAGE else {}
        return {"StackSummaries": summaries, **more}

    def _list_resources(self, StackName: str, NextToken: str = "0") -> dict[str, Any]:
        start, resources = int(NextToken), self.resources[StackName]
        summaries = [
            {
                "LogicalResourceId": logical,
                "PhysicalResourceId": physical,
                "ResourceType": type_,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": NOW,
            }
            for logical, physical, type_ in resources[start : start + PAGE]
        ]
        more = {"NextToken": str(start + PAGE)} if len(resources) > start + PAGE else {}
        return {"StackResourceSummaries": summaries, **more}

    def _delete(self, StackName: str) -> dict[str, Any]:
        stack = self.stacks[StackName]
        self._event(StackName, StackName, STACK, "DELETE_IN_PROGRESS")
        if StackName in self.undeletable:
            logical, _, type_ = self.resources[StackName][1]
            self._event(StackName, logical, type_, "DELETE_FAILED", self.undeletable[StackName])
            stack["StackStatus"] = "DELETE_FAILED"
        else:
            for logical, _, type_ in self.resources[StackName]:
                self._event(StackName, logical, type_, "DELETE_COMPLETE")
            stack["StackStatus"] = "DELETE_COMPLETE"
            self._deleted[stack["StackId"]] = self.stacks.pop(StackName)
        return {}

    def _event(self, stack: str, resource: str, type_: str, status: str, reason: str = "") -> None:
        events = self._events.setdefault(stack, [])
        events.append(
            {
                "StackId": f"id:{stack}",
                "EventId": f"{stack}-{len(events)}",
                "StackName": stack,
                "LogicalResourceId": resource,
                "ResourceType": type_,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": NOW,
            }
        )


def _name(stack: str) -> str:
    return stack.removeprefix("id:")
