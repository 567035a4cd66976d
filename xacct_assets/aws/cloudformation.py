"""CloudFormation stacks: waits for them, deletes them, and names the cause of a failure.

They are created and updated by `stack_changes`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.polling import Backoff, Waiter
from xacct_assets.aws.stack_reading import is_in_progress, outputs_of, raw_stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

TIMEOUT = 3600.0
BACKOFF = Backoff(first=0.2, factor=1.5, cap=5.0)


@dataclass(frozen=True)
class StackEvent:
    """An event of a stack: a resource reached a status."""

    resource: str
    type: str
    status: str
    reason: str | None


class Stacks:
    """The stacks of one account.

    Args:
        cloudformation: boto3's client.
        on_event: called with each new event of the stack that is deployed or deleted.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        cloudformation: CloudFormationClient,
        *,
        on_event: Callable[[StackEvent], None] | None = None,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = cloudformation
        self._on_event = on_event
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock

    def outputs(self, name: str) -> dict[str, str] | None:
        """The outputs of a stack; None if there is no such stack."""
        stack = self.describe(name)
        return None if stack is None else outputs_of(stack)

    def status(self, name: str) -> str | None:
        """The stack's status; None if there is no such stack."""
        stack = self.describe(name)
        return None if stack is None else str(stack["StackStatus"])

    def delete(self, name: str, *, timeout: float = TIMEOUT) -> bool:
        """Delete the stack and wait; False if there was none.

        A stack that somebody else is changing is deleted once that has ended.

        Raises:
            DeployFailed: something in it could not be deleted.
        """
        self.settle(name, timeout)
        stack = self.describe(name)
        if stack is None:
            return False
        stack_id = str(stack["StackId"])
        since = self.last_event(name)
        with aws_call("cloudformation:DeleteStack", f"stack {name}"):
            self._client.delete_stack(StackName=name)
        # A deleted stack is found by its id only, with its last status.
        stack = self.wait(stack_id, timeout, since)
        if stack is not None and stack["StackStatus"] != "DELETE_COMPLETE":
            raise self.failure(stack_id, stack["StackStatus"], "deleted")
        return True

    def settle(self, name: str, timeout: float) -> None:
        """Wait for the end of an operation that somebody else has started."""
        stack = self.describe(name)
        if stack is not None and is_in_progress(stack["StackStatus"]):
            self.wait(str(stack["StackId"]), timeout, self.last_event(name))

    def describe(self, name: str) -> Mapping[str, Any] | None:
        """The answer of DescribeStacks for the stack; None if there is none."""
        return raw_stack(self._client, name)

    def wait(
        self, name: str, timeout: float, since: str | None, *, starting: bool = False
    ) -> Mapping[str, Any] | None:
        """Report the stack's events until no operation is in progress. None: it is gone.

        Args:
            name: of the stack, or its id.
            timeout: seconds.
            since: the last event before the operation.
            starting: whether the operation may not have begun yet; its first event tells.
        """
        seen = {since} if since else set()
        before = len(seen)
        gone: Mapping[str, Any] = {}

        def poll() -> Mapping[str, Any] | None:
            begun = not starting or len(seen) > before
            stack = self.describe(name)
            if stack is None:
                return gone
            self._show_events(name, seen, since)
            # The description may be older than the first event.
            return stack if begun and not is_in_progress(stack["StackStatus"]) else None

        stack = self.waiter().until(poll, what=f"stack {name} to be ready", timeout=timeout)
        return stack or None

    def waiter(self) -> Waiter:
        """A waiter with the delays of stack operations."""
        return Waiter(self._backoff, sleep=self._sleep, clock=self._clock)

    def _show_events(self, name: str, seen: set[str], since: str | None) -> None:
        new = []
        for event in self._events(name):
            if event["EventId"] == since or event["EventId"] in seen:
                break
            new.append(event)
        for event in reversed(new):
            seen.add(event["EventId"])
            if self._on_event is not None:
                self._on_event(
                    StackEvent(
                        resource=event["LogicalResourceId"],
                        type=event.get("ResourceType", ""),
                        status=event["ResourceStatus"],
                        reason=event.get("ResourceStatusReason") or None,
                    )
                )

    def _events(self, name: str) -> list[Mapping[str, Any]]:
        """The newest page of events, newest first: enough between two polls."""
        with aws_call("cloudformation:DescribeStackEvents", f"stack {name}"):
            return list(self._client.describe_stack_events(StackName=name)["StackEvents"])

    def last_event(self, name: str) -> str | None:
        """Id of the stack's newest event."""
        events = self._events(name)
        return str(events[0]["EventId"]) if events else None

    def validation_errors(self, name: str) -> list[str]:
        """What the validation of the last operation refused before any resource was changed."""
        with aws_call("cloudformation:DescribeEvents", f"stack {name}"):
            answer = self._client.describe_events(StackName=name, Filters={"FailedEvents": True})
        events = answer.get("OperationEvents", [])
        if not events:
            return []
        last = max(events, key=lambda event: event["Timestamp"]).get("OperationId")
        return [
            _describe_event(event, "ValidationStatusReason")
            for event in events
            if event.get("EventType") == "VALIDATION_ERROR" and event.get("OperationId") == last
        ]

    def failure(self, name: str, status: str, change: str) -> DeployFailed:
        """What failed first in the stack's last operation.

        Args:
            name: of the stack, or its id.
            status: of the stack.
            change: what was to become of the stack, as in "was not updated".
        """
        first: Mapping[str, Any] | None = None
        for event in self._events(name):
            # Newest first, so the last match is the first failure of this operation.
            failed = event["ResourceStatus"].endswith("_FAILED")
            if failed and "cancelled" not in str(event.get("ResourceStatusReason", "")).lower():
                first = event
            if _begins_operation(event):
                break
        cause = ""
        if first is not None:
            cause = _describe_event(first, "ResourceStatusReason")
            if first.get("ResourceType") == "AWS::CloudFormation::Stack":
                # The stack itself failed; errors of its validation are in another API.
                cause = "; ".join(self.validation_errors(name)) or cause
        command = "the same command" if change == "deleted" else "`xacct deploy`"
        fix = repair(cause) or f"correct it and run {command} again: it goes on from here"
        return DeployFailed(
            f"stack {name} was not {change}: it is {status}", reason=cause or None, fix=fix
        )


def repair(cause: str) -> str | None:
    """What to do about a cause that CloudFormation names; None if only the cause itself tells."""
    if "already exists" in cause:
        return (
            "something of that name is there that this stack did not make. To use a bucket, "
            "secret, workgroup or namespace as it is, adopt it (docs/deploy.md); else delete it if "
            "nobody needs it, or choose another name or XACCT_SUFFIX. Then `xacct deploy` again"
        )
    if "scheduled for deletion" in cause:
        return (
            "a deleted secret keeps its name until its recovery window is over: `aws "
            "secretsmanager restore-secret --secret-id NAME`, or wait. Then `xacct deploy` again"
        )
    if "conflicts with an existing association" in cause:
        return (
            "somebody gave the subnet another route table, and a subnet has one: take that away "
            "(`aws ec2 disassociate-route-table`; `aws ec2 describe-route-tables` shows the "
            "association's id). Then `xacct deploy` again"
        )
    if "conflicting conditional operation" in cause:
        return (
            "S3 is still deleting or making a bucket of that name, which can take an hour: wait, "
            "then `xacct deploy` again"
        )
    return None


def _describe_event(event: Mapping[str, Any], reason: str) -> str:
    return f"{event['LogicalResourceId']} ({event.get('ResourceType')}): {event.get(reason)}"


def _begins_operation(event: Mapping[str, Any]) -> bool:
    return event.get("ResourceType") == "AWS::CloudFormation::Stack" and event[
        "ResourceStatus"
    ] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
