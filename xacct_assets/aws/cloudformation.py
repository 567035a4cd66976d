"""CloudFormation stacks: creates, updates and deletes them, and names the cause of a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.aws.botocore_errors import aws_call, error_code
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.polling import Backoff, Waiter
from xacct_assets.aws.stack_reading import DEAD, GOOD, is_in_progress, outputs_of, raw_stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

#: Bytes of a TemplateBody (CloudFormation quota).
MAX_TEMPLATE_BYTES = 51_200
TIMEOUT = 3600.0
BACKOFF = Backoff(first=0.2, factor=1.5, cap=5.0)

Change = Literal["created", "updated", "up to date"]


@dataclass(frozen=True)
class StackEvent:
    """An event of a stack: a resource reached a status."""

    resource: str
    type: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class StackResult:
    """How a deployment changed a stack, and the stack's outputs."""

    name: str
    change: Change
    outputs: dict[str, str] = field(default_factory=dict)


class Stacks:
    """Deploys and deletes the stacks of one account.

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

    def deploy(
        self,
        name: str,
        template: str,
        parameters: Mapping[str, str],
        *,
        tags: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> StackResult:
        """Create or update the stack, and wait for it.

        Parameters of the template that are not given keep their present values (a new stack uses
        the template's defaults).

        Args:
            name: of the stack.
            template: its text.
            parameters: by name.
            tags: of the stack.
            timeout: seconds.

        Raises:
            DeployFailed: naming the resource that failed first, and why.
        """
        _refuse_too_long(name, template)
        self._settle(name, timeout)
        stack = self._describe(name)
        if stack is not None and stack["StackStatus"] in DEAD:
            # Left by a failed creation: it contains nothing of value.
            self.delete(name, timeout=timeout)
            stack = None
        request: dict[str, Any] = {
            "StackName": name,
            "TemplateBody": template,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())],
        }
        change: Change
        since: str | None = None
        if stack is None:
            request["Parameters"] = _parameters(parameters, keep=())
            # A creation that is rolled back then also removes what has DeletionPolicy Retain.
            # Otherwise its buckets would make the next attempt fail.
            request["RetainExceptOnCreate"] = True
            with aws_call("cloudformation:CreateStack", f"stack {name}"):
                self._client.create_stack(**request)
            change = "created"
        else:
            since = self._last_event(name)
            keep = self._parameters_to_keep(name, template, stack, parameters)
            request["Parameters"] = _parameters(parameters, keep=keep)
            if not self._update(name, request):
                return StackResult(name, "up to date", outputs_of(stack))
            change = "updated"
        stack = self._wait(name, timeout, since)
        if stack is None or stack["StackStatus"] not in GOOD:
            raise self._failure(name, "gone" if stack is None else stack["StackStatus"], change)
        return StackResult(name, change, outputs_of(stack))

    def outputs(self, name: str) -> dict[str, str] | None:
        """The outputs of a stack; None if there is no such stack."""
        stack = self._describe(name)
        return None if stack is None else outputs_of(stack)

    def status(self, name: str) -> str | None:
        """The stack's status; None if there is no such stack."""
        stack = self._describe(name)
        return None if stack is None else str(stack["StackStatus"])

    def delete(self, name: str, *, timeout: float = TIMEOUT) -> bool:
        """Delete the stack and wait; False if there was none.

        A stack that somebody else is changing is deleted once that has ended.

        Raises:
            DeployFailed: something in it could not be deleted.
        """
        self._settle(name, timeout)
        stack = self._describe(name)
        if stack is None:
            return False
        stack_id = str(stack["StackId"])
        since = self._last_event(name)
        with aws_call("cloudformation:DeleteStack", f"stack {name}"):
            self._client.delete_stack(StackName=name)
        # A deleted stack is found by its id only, with its last status.
        stack = self._wait(stack_id, timeout, since)
        if stack is not None and stack["StackStatus"] != "DELETE_COMPLETE":
            raise self._failure(stack_id, stack["StackStatus"], "deleted")
        return True

    def _settle(self, name: str, timeout: float) -> None:
        """Wait for the end of an operation that somebody else has started."""
        stack = self._describe(name)
        if stack is not None and is_in_progress(stack["StackStatus"]):
            self._wait(str(stack["StackId"]), timeout, self._last_event(name))

    def _parameters_to_keep(
        self, name: str, template: str, stack: Mapping[str, Any], given: Mapping[str, str]
    ) -> list[str]:
        with aws_call("cloudformation:ValidateTemplate", f"the template of stack {name}"):
            answer = self._client.validate_template(TemplateBody=template)
        known = {parameter["ParameterKey"] for parameter in answer.get("Parameters", [])}
        present = {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}
        return sorted((known & present) - set(given))

    def _update(self, name: str, request: dict[str, Any]) -> bool:
        """Update the stack; False if there is nothing to update."""
        with aws_call(
            "cloudformation:UpdateStack", f"stack {name}", expected_codes=("ValidationError",)
        ):
            try:
                self._client.update_stack(**request)
            except Exception as error:
                # CloudFormation has no error code for this.
                if "No updates are to be performed" in str(error):
                    return False
                if error_code(error) == "ValidationError":
                    raise DeployFailed(
                        f"stack {name} cannot be updated",
                        reason=str(error),
                        fix="if it is in UPDATE_ROLLBACK_FAILED: aws cloudformation "
                        f"continue-update-rollback --stack-name {name}; if it is in DELETE_FAILED: "
                        f"aws cloudformation delete-stack --stack-name {name}, then deploy again",
                    ) from error
                raise
        return True

    def _describe(self, name: str) -> Mapping[str, Any] | None:
        return raw_stack(self._client, name)

    def _wait(self, name: str, timeout: float, since: str | None) -> Mapping[str, Any] | None:
        """Report the stack's events until no operation is in progress. None: it is gone."""
        seen = {since} if since else set()
        gone: Mapping[str, Any] = {}

        def poll() -> Mapping[str, Any] | None:
            stack = self._describe(name)
            if stack is None:
                return gone
            self._show_events(name, seen, since)
            return None if is_in_progress(stack["StackStatus"]) else stack

        waiter = Waiter(self._backoff, sleep=self._sleep, clock=self._clock)
        stack = waiter.until(poll, what=f"stack {name} to be ready", timeout=timeout)
        return stack or None

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

    def _last_event(self, name: str) -> str | None:
        events = self._events(name)
        return str(events[0]["EventId"]) if events else None

    def _validation_errors(self, name: str) -> list[str]:
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

    def _failure(self, name: str, status: str, change: str) -> DeployFailed:
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
                cause = "; ".join(self._validation_errors(name)) or cause
        command = "the same command" if change == "deleted" else "`xacct deploy`"
        fix = f"correct it and run {command} again: it goes on from here"
        if "already exists" in cause:
            fix = (
                "something of that name is there that this stack did not make (left by an earlier "
                "installation?): delete it, or choose another XACCT_SUFFIX, then deploy again"
            )
        return DeployFailed(
            f"stack {name} was not {change}: it is {status}", reason=cause or None, fix=fix
        )


def _refuse_too_long(name: str, template: str) -> None:
    size = len(template.encode())
    if size > MAX_TEMPLATE_BYTES:
        raise DeployFailed(
            f"the template of stack {name} is too long",
            reason=f"{size:,} bytes; CloudFormation takes {MAX_TEMPLATE_BYTES:,}",
            fix="split it",
        )


def _describe_event(event: Mapping[str, Any], reason: str) -> str:
    return f"{event['LogicalResourceId']} ({event.get('ResourceType')}): {event.get(reason)}"


def _begins_operation(event: Mapping[str, Any]) -> bool:
    return event.get("ResourceType") == "AWS::CloudFormation::Stack" and event[
        "ResourceStatus"
    ] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def _parameters(
    given: Mapping[str, str], keep: tuple[str, ...] | list[str]
) -> list[dict[str, Any]]:
    return [
        {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(given.items())
    ] + [{"ParameterKey": key, "UsePreviousValue": True} for key in keep]
