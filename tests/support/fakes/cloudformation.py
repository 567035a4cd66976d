"""A CloudFormation stack in memory."""

from datetime import UTC, datetime

from tests.support.fakes.modelled_client import ModelledClient, client_error

STACK = "AWS::CloudFormation::Stack"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a "
    "change set."
)


class FakeCloudFormation:
    """One stack, and the planned statuses of its operations.

    Attributes:
        client: the boto3 client of CloudFormation.
        status: the stack's status; None where there is no stack.
        parameters: the stack's parameters.
        known: parameters that the template declares.
        next: status and resource events of each next description while an operation is running.
        events: the stack's events, oldest first.
        operation_events: answer of DescribeEvents.
        changes: the changes of the next change set, as DescribeChangeSet gives them.
        change_set: (status, reason) of the next change set.
        change_sets: ids of the change sets that there are.
        delay: number of descriptions of the stack before an execution begins.
    """

    def __init__(self):
        self.status: str | None = None
        self.parameters = {"Old": "1"}
        self.known = ["New", "Old"]
        self.next: list[tuple[str, list[tuple[str, str, str]]]] = []
        self.events: list[dict] = []
        self.operation_events: list[dict] = []
        self.changes: list[dict] = [change("Raw")]
        self.change_set = ("CREATE_COMPLETE", "")
        self.change_sets: list[str] = []
        self.delay = 0
        self._waiting: str | None = None
        self.client = ModelledClient(
            "cloudformation",
            create_change_set=self.create_change_set,
            describe_change_set=self.describe_change_set,
            execute_change_set=self.execute_change_set,
            delete_change_set=self.delete_change_set,
            continue_update_rollback=self.continue_rollback,
            delete_stack=self.delete,
            describe_stacks=self.describe,
            describe_stack_events=lambda StackName: {"StackEvents": list(reversed(self.events))},
            describe_events=lambda **_: {"OperationEvents": self.operation_events},
            validate_template=lambda TemplateBody: {
                "Parameters": [{"ParameterKey": key} for key in self.known]
            },
        )

    @property
    def nothing_to_update(self) -> bool:
        return self.change_set[0] == "FAILED"

    @nothing_to_update.setter
    def nothing_to_update(self, nothing: bool) -> None:
        self.change_set = ("FAILED", NO_CHANGES) if nothing else ("CREATE_COMPLETE", "")

    def event(self, resource, status, reason="", type_="AWS::S3::Bucket"):
        self.events.append(
            {
                "StackId": "id",
                "EventId": str(len(self.events)),
                "StackName": "s",
                "LogicalResourceId": resource,
                "ResourceType": type_,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": NOW,
            }
        )

    def _go(self, status):
        self.status = status
        self.event("s", status, type_=STACK)

    def create_change_set(self, ChangeSetName, ChangeSetType, **_):
        if ChangeSetType == "CREATE":
            self._go("REVIEW_IN_PROGRESS")
        id_ = f"arn:aws:cloudformation:us-east-1:111111111111:changeSet/{ChangeSetName}"
        self.change_sets.append(id_)
        return {"Id": id_, "StackId": "id"}

    def describe_change_set(self, StackName, ChangeSetName, NextToken="0"):
        status, reason = self.change_set
        start = int(NextToken)
        more = {"NextToken": str(start + 1)} if len(self.changes) > start + 1 else {}
        return {
            "ChangeSetId": ChangeSetName,
            "Status": status,
            "StatusReason": reason,
            "Changes": self.changes[start : start + 1],
            **more,
        }

    def execute_change_set(self, **_):
        operation = "CREATE" if self.status == "REVIEW_IN_PROGRESS" else "UPDATE"
        self._waiting = f"{operation}_IN_PROGRESS"
        return {}

    def delete_change_set(self, StackName, ChangeSetName):
        self.change_sets.remove(ChangeSetName)
        return {}

    def continue_rollback(self, **_):
        self._go("UPDATE_ROLLBACK_IN_PROGRESS")
        return {}

    def delete(self, StackName):
        self._go("DELETE_IN_PROGRESS")
        return {}

    def describe(self, StackName):
        if self._waiting is not None:
            self.delay -= 1
            if self.delay < 0:
                self._go(self._waiting)
                self._waiting = None
        moving = str(self.status).endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"
        if moving and self.next:
            self.status, events = self.next.pop(0)
            for event in events:
                self.event(*event)
        if self.status is None or (self.status == "DELETE_COMPLETE" and StackName != "id"):
            raise client_error("ValidationError", f"Stack with id {StackName} does not exist")
        return {
            "Stacks": [
                {
                    "StackId": "id",
                    "StackName": "s",
                    "StackStatus": self.status,
                    "CreationTime": NOW,
                    "Parameters": [
                        {"ParameterKey": key, "ParameterValue": value}
                        for key, value in self.parameters.items()
                    ],
                    "Outputs": [{"OutputKey": "Out", "OutputValue": "1"}],
                }
            ]
        }


def change(logical_id, action="Add", type_="AWS::S3::Bucket", **members):
    """An entry of the changes that DescribeChangeSet gives."""
    resource = {"Action": action, "LogicalResourceId": logical_id, "ResourceType": type_}
    return {"Type": "Resource", "ResourceChange": {**resource, **members}}


def target(name, recreation="Never"):
    """An entry of a change's details: one property."""
    return {
        "Target": {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation},
        "Evaluation": "Static",
        "ChangeSource": "DirectModification",
    }
