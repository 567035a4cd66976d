"""Stacks of account B, made and changed with boto3; each test's are deleted after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.boto3_clients import Boto3Clients
from tests.sandbox.unit.emulator.conftest import InProcess

NAMED = ["CAPABILITY_NAMED_IAM"]


@dataclass
class Stacks:
    aws: InProcess
    made: set[str] = field(default_factory=set)
    planned: set[str] = field(default_factory=set)
    clients: dict[Any, Any] = field(default_factory=dict)

    def client(self, service: str, who: Credentials | None = None) -> Any:
        """boto3's client of a service; account B's admin calls unless another is given."""
        key = (service, id(who))
        if key not in self.clients:
            self.clients[key] = Boto3Clients(self.aws).client(service, who)
        return self.clients[key]

    @property
    def api(self) -> Any:
        return self.client("cloudformation")

    def create(self, name: str, template: dict[str, Any], **values: str) -> str:
        """Create a stack. Returns its status."""
        self.made.add(name)
        self.api.create_stack(**self.request(name, template, values))
        self.aws.finish()
        return self.status(name)

    def update(self, name: str, template: dict[str, Any], **values: str) -> str:
        """Update a stack. Returns its status."""
        self.api.update_stack(**self.request(name, template, values))
        self.aws.finish()
        return self.status(name)

    def change_set(
        self,
        name: str,
        template: dict[str, Any],
        kind: str = "UPDATE",
        *,
        revert_drift: bool = False,
        **values: str,
    ) -> dict[str, Any]:
        """Create the change set ``cs``. Returns its description."""
        if name in self.planned:
            self.api.delete_change_set(StackName=name, ChangeSetName="cs")
        self.made.add(name)
        mode = {"DeploymentMode": "REVERT_DRIFT"} if revert_drift else {}
        self.api.create_change_set(
            ChangeSetName="cs", ChangeSetType=kind, **mode, **self.request(name, template, values)
        )
        self.planned.add(name)
        return self.api.describe_change_set(StackName=name, ChangeSetName="cs")

    def changes(self, name: str, template: dict[str, Any], **values: str) -> dict[str, Any]:
        """The changes of a new change set, by resource; the change set is deleted."""
        found = self.change_set(name, template, **values)
        self.api.delete_change_set(StackName=name, ChangeSetName="cs")
        return {
            change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]
            for change in found["Changes"]
        }

    def execute(self, name: str) -> str:
        """Execute the change set ``cs``. Returns the status of the stack."""
        self.api.execute_change_set(StackName=name, ChangeSetName="cs")
        self.aws.finish()
        return self.status(name)

    def delete(self, name: str, **options: Any) -> None:
        self.api.delete_stack(StackName=name, **options)
        self.aws.finish()

    def status(self, name: str) -> str:
        return self.api.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]

    def reasons(self, name: str) -> str:
        """The reasons in the events of a stack, newest first."""
        events = self.api.describe_stack_events(StackName=name)["StackEvents"]
        return " | ".join(event.get("ResourceStatusReason", "") for event in events)

    def resources(self, name: str) -> dict[str, str]:
        """Logical id -> physical id."""
        found = self.api.describe_stack_resources(StackName=name)["StackResources"]
        return {entry["LogicalResourceId"]: entry["PhysicalResourceId"] for entry in found}

    @staticmethod
    def request(name: str, template: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
        return {
            "StackName": name,
            "TemplateBody": json.dumps(template),
            "Capabilities": NAMED,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in values.items()
            ],
        }


def template(*parameters: str, outputs: dict[str, Any] | None = None, **resources: Any) -> Any:
    """A template; each resource is (type, properties) or (type, properties, attributes)."""
    document: dict[str, Any] = {"Resources": {}}
    for name, (kind, properties, *attributes) in resources.items():
        more = attributes[0] if attributes else {}
        document["Resources"][name] = {"Type": kind, "Properties": properties, **more}
    if parameters:
        document["Parameters"] = {name: {"Type": "String"} for name in parameters}
    if outputs:
        document["Outputs"] = {name: {"Value": value} for name, value in outputs.items()}
    return document


@pytest.fixture
def stacks(aws: InProcess) -> Iterator[Stacks]:
    found = Stacks(aws)
    yield found
    aws.finish()
    for name in found.made:
        found.delete(name)


@pytest.fixture
def drifting(stacks: Stacks) -> Stacks:
    """A stack of every type that drift detection checks."""
    from tests.sandbox.unit.emulator.stacks.drifting import BODY, NAME

    assert stacks.create(NAME, BODY) == "CREATE_COMPLETE", stacks.reasons(NAME)
    return stacks
