"""CloudFormation in memory: deploys the templates of this repository."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from tests.support.fakes.cloudformation import NO_CHANGES, NOW, STACK, change, target
from tests.support.fakes.modelled_client import client_error
from tests.support.fakes.templates import Evaluation, at, load_template
from xacct_sandbox.emulator.stacks.schemas import CREATE_ONLY

BUCKET = "AWS::S3::Bucket"
#: Not in the user guide's list "Resource type support".
UNREADABLE = ("AWS::Glue::Connection", "AWS::SQS::QueuePolicy")


class FakeStackService:
    """The stacks of an account; operations end at once.

    Args:
        account: its id.
        things: properties of each resource of the account, by type and physical id.
        objects: content of each bucket's objects.

    Attributes:
        stacks: by name.
    """

    def __init__(
        self,
        account: str,
        things: dict[tuple[str, str], dict[str, Any]],
        objects: dict[str, dict[str, bytes]],
    ) -> None:
        self.id, self.things, self.objects = account, things, objects
        self.stacks: dict[str, dict[str, Any]] = {}
        self._gone: dict[str, dict[str, Any]] = {}
        self._change_sets: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count()

    def operations(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """The functions of the client."""
        return {
            "create_change_set": self._create_change_set,
            "describe_change_set": self._describe_change_set,
            "execute_change_set": self._execute,
            "delete_change_set": self._delete_change_set,
            "delete_stack": self._delete_stack,
            "describe_stacks": self._describe,
            "describe_stack_events": self._events,
            "describe_events": lambda **_: {"OperationEvents": []},
            "list_stacks": self._list,
            "list_stack_resources": self._resources,
            "validate_template": lambda TemplateBody: {
                "Parameters": [
                    {"ParameterKey": name} for name in load_template(TemplateBody)["Parameters"]
                ]
            },
        }

    def _stack(self, name: str) -> dict[str, Any]:
        found = self.stacks.get(name) or next(
            (
                stack
                for stack in [*self.stacks.values(), *self._gone.values()]
                if stack["id"] == name
            ),
            None,
        )
        if found is None:
            raise client_error("ValidationError", f"Stack with id {name} does not exist")
        return found

    def _event(self, stack: dict[str, Any], resource: str, status: str, reason: str = "") -> None:
        stack["events"].insert(
            0,
            {
                "StackId": stack["id"],
                "EventId": str(next(self._numbers)),
                "StackName": stack["name"],
                "LogicalResourceId": resource,
                "ResourceType": STACK if resource == stack["name"] else "AWS::Any::Thing",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": NOW,
            },
        )

    def _create_change_set(
        self,
        StackName: str,
        ChangeSetName: str,
        ChangeSetType: str,
        TemplateBody: str,
        Parameters: list[dict[str, Any]],
        Tags: list[dict[str, str]],
        DeploymentMode: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        if ChangeSetType == "CREATE":
            assert StackName not in self.stacks
            self.add_stack(StackName, "REVIEW_IN_PROGRESS")
        stack = self.stacks[StackName]
        assert stack["status"].endswith("_COMPLETE") or ChangeSetType == "CREATE"
        values = {
            entry["ParameterKey"]: entry.get("ParameterValue")
            or (stack["parameters"][entry["ParameterKey"]] if "UsePreviousValue" in entry else "")
            for entry in Parameters
        }
        new = Evaluation(load_template(TemplateBody), values, self.id)
        tags = {tag["Key"]: tag["Value"] for tag in Tags}
        id_ = f"arn:aws:cloudformation:us-east-1:{self.id}:changeSet/{ChangeSetName}/1"
        changes = self._compare(stack, new, DeploymentMode == "REVERT_DRIFT")
        differs = changes or new.outputs != stack["outputs"] or tags != stack["tags"]
        self._change_sets[id_] = {
            "stack": StackName,
            "new": new,
            "tags": tags,
            "changes": changes,
            "status": "CREATE_COMPLETE" if differs else "FAILED",
        }
        return {"Id": id_, "StackId": stack["id"]}

    def _compare(self, stack: dict[str, Any], new: Evaluation, drift: bool) -> list[dict[str, Any]]:
        changes = []
        for name, resource in new.resources.items():
            old = stack["resources"].get(name)
            if old is None:
                changes.append(change(name, type_=resource["type"]))
                continue
            actual = self.things.get((old["type"], old["id"]))
            if old["type"] in UNREADABLE:
                actual = old["properties"]
            physical = {"PhysicalResourceId": old["id"]}
            if drift and actual is None:
                changes.append(
                    change(name, "Add", resource["type"], ResourceDriftStatus="DELETED", **physical)
                )
                continue
            expected = actual if drift and actual is not None else old["properties"]
            changes += _modification(name, old, expected, resource)
        for name, old in stack["resources"].items():
            if name not in new.resources:
                policy = "Retain" if old["retained"] else "Delete"
                changes.append(
                    change(
                        name,
                        "Remove",
                        old["type"],
                        PhysicalResourceId=old["id"],
                        PolicyAction=policy,
                    )
                )
        return changes

    def _describe_change_set(self, StackName: str, ChangeSetName: str) -> dict[str, Any]:
        found = self._change_sets[ChangeSetName]
        reason = NO_CHANGES if found["status"] == "FAILED" else ""
        return {"Status": found["status"], "StatusReason": reason, "Changes": found["changes"]}

    def _delete_change_set(self, StackName: str, ChangeSetName: str) -> dict[str, Any]:
        del self._change_sets[ChangeSetName]
        return {}

    def _execute(self, ChangeSetName: str, **_: Any) -> dict[str, Any]:
        found = self._change_sets[ChangeSetName]
        stack, new = self.stacks[found["stack"]], found["new"]
        verb = "CREATE" if stack["status"] == "REVIEW_IN_PROGRESS" else "UPDATE"
        self._event(stack, stack["name"], f"{verb}_IN_PROGRESS")
        stack["tags"] = found["tags"]
        problems = [self._problem(stack, entry, new) for entry in found["changes"]]
        problem = next(filter(None, problems), None)
        if problem:
            self._event(stack, problem[0], f"{verb}_FAILED", problem[1])
            status = "ROLLBACK_COMPLETE" if verb == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
        else:
            for entry in found["changes"]:
                self._apply(stack, entry["ResourceChange"], new)
            stack |= {
                "outputs": new.outputs,
                "parameters": new.parameters,
                "resources": new.resources,
            }
            status = f"{verb}_COMPLETE"
        stack["status"] = status
        self._event(stack, stack["name"], status)
        self._change_sets = {
            id_: other
            for id_, other in self._change_sets.items()
            if other["stack"] != stack["name"]
        }
        return {}

    def _problem(
        self, stack: dict[str, Any], entry: dict[str, Any], new: Evaluation
    ) -> tuple[str, str] | None:
        """Why a change cannot be made, and of which resource."""
        resource = entry["ResourceChange"]
        name = resource["LogicalResourceId"]
        wanted = new.resources.get(name)
        made = resource["Action"] == "Add" or resource.get("Replacement") == "True"
        if wanted and made and (wanted["type"], wanted["id"]) in self.things:
            return name, f"{wanted['id']} already exists"
        names = {detail["Target"]["Name"] for detail in resource.get("Details", [])}
        if resource["ResourceType"] == "AWS::Glue::Crawler" and not made and "Targets" in names:
            return name, "The targets of a crawler that crawls new folders only cannot be changed"
        return None

    def _apply(self, stack: dict[str, Any], resource: dict[str, Any], new: Evaluation) -> None:
        name, type_ = resource["LogicalResourceId"], resource["ResourceType"]
        old = stack["resources"].get(name)
        leaves = resource["Action"] == "Remove" or resource.get("Replacement") == "True"
        if old and leaves and not old["retained"]:
            self.things.pop((type_, old["id"]), None)
        if resource["Action"] != "Remove":
            wanted = new.resources[name]
            self.things[type_, wanted["id"]] = dict(wanted["properties"])
            if type_ == BUCKET:
                self.objects.setdefault(wanted["id"], {})

    def add_stack(self, name: str, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
        """Add a stack without resources and tags."""
        stack = {
            "id": f"arn:aws:cloudformation:us-east-1:{self.id}:stack/{name}/{next(self._numbers)}",
            "name": name,
            "status": status,
            "parameters": {},
            "outputs": {},
            "tags": {},
            "resources": {},
            "events": [],
        }
        self._event(stack, name, status)
        self.stacks[name] = stack
        return stack

    def _describe(self, StackName: str) -> dict[str, Any]:
        stack = self._stack(StackName)
        return {
            "Stacks": [
                {
                    "StackId": stack["id"],
                    "StackName": stack["name"],
                    "StackStatus": stack["status"],
                    "CreationTime": NOW,
                    "Parameters": [
                        {"ParameterKey": key, "ParameterValue": value}
                        for key, value in stack["parameters"].items()
                    ],
                    "Outputs": [
                        {"OutputKey": key, "OutputValue": value}
                        for key, value in stack["outputs"].items()
                    ],
                    "Tags": [{"Key": key, "Value": value} for key, value in stack["tags"].items()],
                }
            ]
        }

    def _events(self, StackName: str) -> dict[str, Any]:
        return {"StackEvents": list(self._stack(StackName)["events"])}

    def _list(self, StackStatusFilter: tuple[str, ...]) -> dict[str, Any]:
        return {
            "StackSummaries": [
                {"StackName": name, "StackStatus": stack["status"], "CreationTime": NOW}
                for name, stack in self.stacks.items()
            ]
        }

    def _resources(self, StackName: str) -> dict[str, Any]:
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": resource["id"],
                    "ResourceType": resource["type"],
                    "ResourceStatus": "CREATE_COMPLETE",
                    "LastUpdatedTimestamp": NOW,
                }
                for name, resource in self._stack(StackName)["resources"].items()
            ]
        }

    def _delete_stack(self, StackName: str) -> dict[str, Any]:
        stack = self.stacks.pop(StackName)
        for resource in stack["resources"].values():
            if not resource["retained"]:
                self.things.pop((resource["type"], resource["id"]), None)
        stack["status"] = "DELETE_COMPLETE"
        self._event(stack, StackName, "DELETE_COMPLETE")
        self._gone[stack["id"]] = stack
        return {}


def _modification(
    name: str, old: dict[str, Any], before: dict[str, Any], resource: dict[str, Any]
) -> list[dict[str, Any]]:
    after = resource["properties"]
    changed = sorted(key for key in {**before, **after} if before.get(key) != after.get(key))
    if not changed:
        return []
    fixed = {
        path.split(".")[0]
        for path in CREATE_ONLY[resource["type"]]
        if at(old["properties"], path) != at(after, path)
    }
    policy = "ReplaceAndRetain" if resource["retained"] else "ReplaceAndDelete"
    return [
        change(
            name,
            "Modify",
            resource["type"],
            PhysicalResourceId=old["id"],
            Replacement="True" if fixed else "False",
            Details=[target(key, "Always" if key in fixed else "Never") for key in changed],
            ResourceDriftStatus="IN_SYNC" if before == old["properties"] else "MODIFIED",
            **({"PolicyAction": policy} if fixed else {}),
        )
    ]
