"""A CloudFormation stack in memory."""

from datetime import UTC, datetime

from tests.support.fakes.modelled_client import ModelledClient, client_error

STACK = "AWS::CloudFormation::Stack"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
        nothing_to_update: whether an update changes nothing.
    """

    def __init__(self):
        self.status: str | None = None
        self.parameters = {"Old": "1"}
        self.known = ["New", "Old"]
        self.next: list[tuple[str, list[tuple[str, str, str]]]] = []
        self.events: list[dict] = []
        self.operation_events: list[dict] = []
        self.nothing_to_update = False
        self.client = ModelledClient(
            "cloudformation",
            create_stack=self.create,
            update_stack=self.update,
            delete_stack=self.delete,
            describe_stacks=self.describe,
            describe_stack_events=lambda StackName: {"StackEvents": list(reversed(self.events))},
            describe_events=lambda **_: {"OperationEvents": self.operation_events},
            validate_template=lambda TemplateBody: {
                "Parameters": [{"ParameterKey": key} for key in self.known]
            },
        )

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

    def create(self, **_):
        self._go("CREATE_IN_PROGRESS")
        return {"StackId": "id"}

    def update(self, Parameters, **_):
        if self.nothing_to_update:
            raise client_error("ValidationError", "No updates are to be performed.")
        self._go("UPDATE_IN_PROGRESS")
        return {"StackId": "id"}

    def delete(self, StackName):
        self._go("DELETE_IN_PROGRESS")
        return {}

    def describe(self, StackName):
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
