"""Creates and updates CloudFormation stacks by change sets, which are looked at before."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.aws.botocore_errors import aws_call, error_code
from xacct_assets.aws.change_sets import ChangeSet, read_changes
from xacct_assets.aws.cloudformation import TIMEOUT, Stacks, repair
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.stack_reading import DEAD, GOOD, outputs_of

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

#: Bytes of a TemplateBody (CloudFormation quota).
MAX_TEMPLATE_BYTES = 51_200

Change = Literal["created", "updated", "up to date"]


@dataclass(frozen=True)
class StackResult:
    """How a deployment changed a stack, and the stack's outputs."""

    name: str
    change: Change
    outputs: dict[str, str] = field(default_factory=dict)


class StackChanges:
    """Plans and makes changes of the stacks of one account.

    Args:
        cloudformation: boto3's client.
        stacks: waits for the stacks of the same account.
    """

    def __init__(self, cloudformation: CloudFormationClient, stacks: Stacks) -> None:
        self._client = cloudformation
        self._stacks = stacks

    def plan(
        self,
        name: str,
        template: str,
        parameters: Mapping[str, str],
        *,
        tags: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> ChangeSet:
        """Make a change set that creates the stack or brings it to the template.

        The change set of an existing stack is drift-aware: what was changed by hand is reverted,
        and what was deleted by hand is made again (CloudFormation user guide, "Using drift-aware
        change sets"). An ordinary update compares templates only.

        Parameters of the template that are not given keep their present values (a new stack uses
        the template's defaults).

        Args:
            name: of the stack.
            template: its text.
            parameters: by name.
            tags: of the stack.
            timeout: seconds.

        Raises:
            DeployFailed: CloudFormation refuses it, and why.
        """
        _refuse_too_long(name, template)
        stack = self._ready(name, timeout)
        request: dict[str, Any] = {
            "StackName": name,
            # A fixed name would let two deployments delete each other's change set.
            "ChangeSetName": f"xacct-{uuid.uuid4().hex}",
            "ClientToken": uuid.uuid4().hex,
            "TemplateBody": template,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())],
        }
        keep: list[str] = []
        if stack is None:
            request["ChangeSetType"] = "CREATE"
        else:
            request |= {"ChangeSetType": "UPDATE", "DeploymentMode": "REVERT_DRIFT"}
            keep = self._parameters_to_keep(name, template, stack, parameters)
        request["Parameters"] = _parameters(parameters, keep)
        outputs = {} if stack is None else outputs_of(stack)
        return self._plan(request, new=stack is None, outputs=outputs, timeout=timeout)

    def execute(self, planned: ChangeSet, *, timeout: float = TIMEOUT) -> StackResult:
        """Make the changes, and wait until they are made.

        Raises:
            DeployFailed: naming the resource that failed first, and why.
        """
        name = planned.stack
        if planned.id is None:
            return StackResult(name, "up to date", dict(planned.outputs))
        since = self._stacks.last_event(name)
        with aws_call("cloudformation:ExecuteChangeSet", f"stack {name}"):
            self._client.execute_change_set(
                StackName=name,
                ChangeSetName=planned.id,
                # A rollback then also removes what this operation made and has DeletionPolicy
                # Retain. Otherwise its buckets would make the next attempt fail.
                RetainExceptOnCreate=True,
                ClientRequestToken=uuid.uuid4().hex,
            )
        change: Change = "created" if planned.new else "updated"
        stack = self._stacks.wait(name, timeout, since, starting=True)
        if stack is None or stack["StackStatus"] not in GOOD:
            raise self._stacks.failure(
                name, "gone" if stack is None else stack["StackStatus"], change
            )
        return StackResult(name, change, outputs_of(stack))

    def discard(self, planned: ChangeSet) -> None:
        """Delete a change set that is not to be executed, and the empty stack of a new one."""
        if planned.id is None:
            return
        with aws_call("cloudformation:DeleteChangeSet", f"stack {planned.stack}"):
            self._client.delete_change_set(StackName=planned.stack, ChangeSetName=planned.id)
        if planned.new and self._stacks.status(planned.stack) == "REVIEW_IN_PROGRESS":
            self._stacks.delete(planned.stack)

    def _ready(self, name: str, timeout: float) -> Mapping[str, Any] | None:
        """The stack after everything that an earlier attempt left is settled; None: there is none.

        Left by a failed creation, it contains nothing of value and is deleted. A rollback that
        failed is continued.

        Raises:
            DeployFailed: the stack was to be deleted, and something in it could not be.
        """
        self._stacks.settle(name, timeout)
        stack = self._stacks.describe(name)
        if stack is not None and stack["StackStatus"] == "DELETE_FAILED":
            unfinished = self._stacks.failure(name, "DELETE_FAILED", "deleted")
            raise DeployFailed(
                unfinished.what,
                reason=unfinished.reason,
                fix="its removal must be finished first: correct what the reason names, then `aws "
                f"cloudformation delete-stack --stack-name {name}`, or go on with `xacct destroy` "
                "if that was begun",
            )
        if stack is not None and stack["StackStatus"] in DEAD:
            self._stacks.delete(name, timeout=timeout)
            return None
        if stack is not None and stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
            since = self._stacks.last_event(name)
            with aws_call("cloudformation:ContinueUpdateRollback", f"stack {name}"):
                self._client.continue_update_rollback(StackName=name)
            stack = self._stacks.wait(name, timeout, since, starting=True)
            if stack is not None and stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
                raise self._stacks.failure(name, stack["StackStatus"], "rolled back")
        return stack

    def _plan(
        self, request: dict[str, Any], *, new: bool, outputs: dict[str, str], timeout: float
    ) -> ChangeSet:
        name = request["StackName"]
        with aws_call(
            "cloudformation:CreateChangeSet", f"stack {name}", expected_codes=("ValidationError",)
        ):
            try:
                id_ = self._client.create_change_set(**request)["Id"]
            except Exception as error:
                if error_code(error) != "ValidationError":
                    raise
                raise DeployFailed(
                    f"stack {name} cannot be {'created' if new else 'updated'}",
                    reason=str(error),
                    fix="correct what the reason names, then `xacct deploy` again",
                ) from error
        planned = ChangeSet(name, id_, new, outputs=outputs)
        answer = self._stacks.waiter().until(
            lambda: self._change_set_made(planned),
            what=f"the change set of stack {name} to be made",
            timeout=timeout,
        )
        if answer["Status"] != "FAILED":
            return replace(planned, changes=read_changes(self._entries(planned, answer)))
        reason = str(answer.get("StatusReason", ""))
        # Names that are taken, among others (user guide, "Validate stack deployments").
        refused = self._stacks.validation_errors(name) if "alidation" in reason else []
        self.discard(planned)
        # CloudFormation has no code for this.
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return ChangeSet(name, None, outputs=outputs)
        reason = "; ".join(refused) or reason
        raise DeployFailed(
            f"the changes of stack {name} cannot be made; nothing was changed",
            reason=reason,
            fix=repair(reason) or "correct it and run `xacct deploy` again",
        )

    def _change_set_made(self, planned: ChangeSet) -> Mapping[str, Any] | None:
        """The change set as it is described; None while it is being made."""
        answer = self._describe_change_set(planned)
        return None if answer["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS") else answer

    def _describe_change_set(self, planned: ChangeSet, **page: Any) -> Mapping[str, Any]:
        with aws_call("cloudformation:DescribeChangeSet", f"stack {planned.stack}"):
            return self._client.describe_change_set(
                StackName=planned.stack, ChangeSetName=str(planned.id), **page
            )

    def _entries(self, planned: ChangeSet, answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        entries = list(answer.get("Changes", []))
        while answer.get("NextToken"):
            answer = self._describe_change_set(planned, NextToken=answer["NextToken"])
            entries += answer.get("Changes", [])
        return entries

    def _parameters_to_keep(
        self, name: str, template: str, stack: Mapping[str, Any], given: Mapping[str, str]
    ) -> list[str]:
        with aws_call("cloudformation:ValidateTemplate", f"the template of stack {name}"):
            answer = self._client.validate_template(TemplateBody=template)
        known = {parameter["ParameterKey"] for parameter in answer.get("Parameters", [])}
        present = {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}
        return sorted((known & present) - set(given))


def _refuse_too_long(name: str, template: str) -> None:
    size = len(template.encode())
    if size > MAX_TEMPLATE_BYTES:
        raise DeployFailed(
            f"the template of stack {name} is too long",
            reason=f"{size:,} bytes; CloudFormation takes {MAX_TEMPLATE_BYTES:,}",
            fix="split it",
        )


def _parameters(given: Mapping[str, str], keep: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(given.items())
    ] + [{"ParameterKey": key, "UsePreviousValue": True} for key in keep]
