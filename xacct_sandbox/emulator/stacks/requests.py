"""Requests to CloudFormation that it refuses, and those that the sandbox cannot fulfil."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator, Response
from xacct_sandbox.emulator.stacks.schemas import SNAPSHOT_POLICY

Parameters = dict[str, Any]
"""The parameters of a request, as ministack parses them: lists of texts."""

Handler = Callable[[Parameters], Response]

_STACK_POLICY = ("StackPolicyBody", "StackPolicyURL")
_MONITORING = ("NotificationARNs", "ResourceTypes", "RollbackConfiguration", "DeploymentConfig")
_NOT_SUPPORTED: Mapping[str, tuple[str, ...]] = {
    "CreateStack": (*_MONITORING, *_STACK_POLICY, "TimeoutInMinutes"),
    "UpdateStack": (
        *_MONITORING,
        *_STACK_POLICY,
        "StackPolicyDuringUpdateBody",
        "StackPolicyDuringUpdateURL",
    ),
    "DeleteStack": ("DeploymentConfig",),
    "CreateChangeSet": (
        *_MONITORING,
        "ImportExistingResources",
        "IncludeNestedStacks",
        "ResourcesToImport",
    ),
    "DescribeChangeSet": ("IncludePropertyValues",),
    "SetStackPolicy": _STACK_POLICY,
}
"""Operation -> the parameters that the sandbox refuses."""

_WITH_STACK = ("CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "ListChangeSets")
_UPDATABLE = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
    }
)
_POLICIES: Mapping[str, tuple[str, ...]] = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}


def value(parameters: Parameters, name: str) -> str:
    """The value of a parameter; "" without it."""
    found = parameters.get(name, "")
    return str(found[0] if isinstance(found, list) else found)


def refusal(emulator: Emulator, message: str, *, code: str = "ValidationError") -> Response:
    """The response of CloudFormation to a request that it refuses."""
    response: Response = emulator.cloudformation_handlers._error(code, message)
    return response


def patch_requests(emulator: Emulator) -> None:
    """Puts the checks of this module in front of ministack's operations."""
    handlers = emulator.cloudformation_handlers._ACTION_HANDLERS
    for operation, handler in list(handlers.items()):
        handlers[operation] = _checked(emulator, operation, handler)
    _patch_template_checks(emulator)


def _checked(emulator: Emulator, operation: str, handler: Handler) -> Handler:
    def checked(parameters: Parameters) -> Response:
        for option in _NOT_SUPPORTED.get(operation, ()):
            if _is_given(parameters, option):
                return refusal(
                    emulator,
                    f"The sandbox does not support {option} of {operation}; leave it out.",
                )
        parameters = _with_stack_name(emulator, parameters)
        problem = _problem(emulator, operation, parameters)
        return problem or handler(parameters)

    return checked


def _is_given(parameters: Parameters, option: str) -> bool:
    """Whether a request sets an option, also one of several values, to more than its default."""
    return any(
        value(parameters, name).lower() not in ("", "false")
        for name in parameters
        if name == option or name.startswith(f"{option}.")
    )


def _with_stack_name(emulator: Emulator, parameters: Parameters) -> Parameters:
    """The parameters with the name of an existing stack in place of its id."""
    given = value(parameters, "StackName")
    change_set = value(parameters, "ChangeSetName")
    if not given and change_set.startswith("arn:"):
        found = emulator.cloudformation._change_sets.get(change_set)
        given = found["StackId"] if found else ""
    for stack in emulator.cloudformation._stacks.values():
        if stack["StackId"] == given and stack["StackStatus"] != "DELETE_COMPLETE":
            return {**parameters, "StackName": [stack["StackName"]]}
    return parameters


def _problem(emulator: Emulator, operation: str, parameters: Parameters) -> Response | None:
    name = value(parameters, "StackName")
    stack = emulator.cloudformation._stacks.get(name)
    status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
    kind = value(parameters, "ChangeSetType") or "UPDATE"
    if operation == "CreateStack" and status == "ROLLBACK_COMPLETE":
        return refusal(emulator, f"Stack [{name}] already exists", code="AlreadyExistsException")
    if operation == "ListChangeSets" and status == "DELETE_COMPLETE":
        return refusal(emulator, f"Stack [{name}] does not exist")
    if operation == "CreateChangeSet" and kind != "UPDATE" and value(parameters, "DeploymentMode"):
        return refusal(emulator, f"DeploymentMode is for change sets of type UPDATE, not {kind}.")
    if operation == "CreateChangeSet" and kind == "IMPORT":
        return refusal(
            emulator,
            "The sandbox does not import resources into stacks (ChangeSetType IMPORT).",
        )
    updates = operation == "UpdateStack" or (operation == "CreateChangeSet" and kind == "UPDATE")
    if updates and stack and status not in _UPDATABLE and status != "DELETE_COMPLETE":
        return refusal(
            emulator, f"Stack:{stack['StackId']} is in {status} state and can not be updated."
        )
    return None


def _patch_template_checks(emulator: Emulator) -> None:
    """Refuses templates with a policy that no resource of the sandbox can have."""
    validate = emulator.cloudformation_engine.validate_template_support

    def validate_template(template: Mapping[str, Any], *args: Any, **options: Any) -> None:
        validate(template, *args, **options)
        for name, resource in template.get("Resources", {}).items():
            for attribute, known in _POLICIES.items():
                _check_policy(name, resource, attribute, known)

    # Imported by name, so it is replaced in each module.
    for module in (
        emulator.cloudformation_engine,
        emulator.cloudformation_handlers,
        emulator.change_sets,
    ):
        module.validate_template_support = validate_template


def _check_policy(
    name: str, resource: Mapping[str, Any], attribute: str, known: tuple[str, ...]
) -> None:
    policy = resource.get(attribute)
    if policy is None or isinstance(policy, dict):
        return
    if policy not in known:
        raise ValueError(
            f"Template format error: Unrecognized {attribute} {policy} for resource {name}"
        )
    kind = resource.get("Type")
    if policy == "Snapshot" and kind not in SNAPSHOT_POLICY:
        words = "deletion policy" if attribute == "DeletionPolicy" else "update replace policy"
        raise ValueError(f"Template error: resource type {kind} does not support {words} Snapshot")
