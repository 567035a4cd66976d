"""Change sets: what ministack's differ in from CloudFormation's.

Sources: API reference of CreateChangeSet, DescribeChangeSet and ExecuteChangeSet; user guide,
"Update stacks using change sets". Messages are as clients of AWS report them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator, Response
from xacct_sandbox.emulator.stacks.drift_aware import REVERT_DRIFT, add_drift
from xacct_sandbox.emulator.stacks.requests import Handler, Parameters, refusal, value

_NO_CHANGES = "The submitted information didn't contain changes."
_HIDDEN = "****"


class _Attributes(dict[str, str]):
    """Stands for the attributes of a resource while two templates are compared."""

    def __init__(self, logical_id: str) -> None:
        super().__init__()
        self._logical_id = logical_id

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return f"{self._logical_id}.{name}"


def patch_change_sets(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    emulator.change_sets._resolve_props_for_diff = _comparable(emulator)
    emulator.change_sets._diff_resources = _without_vain_references(emulator)
    handlers = emulator.cloudformation_handlers._ACTION_HANDLERS
    handlers["CreateChangeSet"] = _create(emulator, handlers["CreateChangeSet"])
    handlers["ExecuteChangeSet"] = _execute(emulator, handlers["ExecuteChangeSet"])


def _comparable(emulator: Emulator) -> Callable[..., dict[str, Any]]:
    """Templates as they are compared: only resources whose condition holds, values resolved."""
    engine = emulator.cloudformation_engine

    def resources_of(
        template: Mapping[str, Any] | None, parameters: Any, stack_name: str, stack_id: str
    ) -> dict[str, Any]:
        if not template:
            return {}
        conditions = engine._evaluate_conditions(template, parameters)
        present = {
            name: resource
            for name, resource in template.get("Resources", {}).items()
            if conditions.get(resource.get("Condition"), True)
        }
        stand_ins = {
            name: {"PhysicalResourceId": name, "Attributes": _Attributes(name)} for name in present
        }

        def resolved(properties: Mapping[str, Any]) -> dict[str, Any]:
            # One by one: a property that cannot be resolved must not hide that others are the same.
            found = {name: resolved_value(value) for name, value in properties.items()}
            return {name: value for name, value in found.items() if value is not engine._NO_VALUE}

        def resolved_value(node: Any) -> Any:
            try:
                return engine._resolve_refs(
                    copy.deepcopy(node),
                    stand_ins,
                    parameters,
                    conditions,
                    template.get("Mappings", {}),
                    stack_name,
                    stack_id,
                )
            except (IndexError, KeyError, TypeError, ValueError):
                # It depends on values that are known only when resources exist: as it is written.
                return node

        return {
            "Resources": {
                name: {**resource, "Properties": resolved(resource.get("Properties", {}))}
                for name, resource in present.items()
            },
            "Outputs": {
                name: resolved(output)
                for name, output in template.get("Outputs", {}).items()
                if conditions.get(output.get("Condition"), True)
            },
        }

    return resources_of


def _without_vain_references(emulator: Emulator) -> Callable[..., list[Any]]:
    """A parameter changes nothing if every property that names it has the same value as before.

    Such is a new parameter whose value takes the place of another's.
    """
    diff = emulator.change_sets._diff_resources
    references = emulator.stacks._intrinsic_references

    def diff_resources(
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        resources: Any = None,
        template: Mapping[str, Any] | None = None,
        changed_params: Collection[str] = (),
        *rest: Any,
    ) -> list[Any]:
        before, after = old.get("Resources", {}), new.get("Resources", {})
        effective = {
            name
            for logical_id, resource in (template or new).get("Resources", {}).items()
            for key, node in (resource.get("Properties") or {}).items()
            if before.get(logical_id, {}).get("Properties", {}).get(key)
            != after.get(logical_id, {}).get("Properties", {}).get(key)
            for name, _ in references(node)
        }
        changed = [name for name in changed_params if name in effective]
        return list(diff(old, new, resources, template, changed, *rest))

    return diff_resources


def _create(emulator: Emulator, create: Handler) -> Handler:
    stacks, events = emulator.cloudformation._stacks, emulator.cloudformation._stack_events

    def create_change_set(parameters: Parameters) -> Response:
        name = value(parameters, "StackName")
        kind = value(parameters, "ChangeSetType") or "UPDATE"
        stack = stacks.get(name)
        status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
        if kind == "CREATE" and status not in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
            return refusal(
                emulator,
                f"Stack [{name}] already exists and cannot be created again with the changeSet "
                f"[{value(parameters, 'ChangeSetName')}].",
            )
        old_events = events.get(stack["StackId"]) if stack else None
        response = create(parameters)
        if stack and status == "REVIEW_IN_PROGRESS":
            # A further change set for the same new stack; ministack makes another stack of it.
            response = _keep_stack(emulator, stack, old_events, response)
        if response[0] < 300:
            _complete(emulator, parameters)
        return response

    return create_change_set


def _keep_stack(
    emulator: Emulator, reviewed: dict[str, Any], old_events: Any, response: Response
) -> Response:
    cloudformation = emulator.cloudformation
    name, stack_id = reviewed["StackName"], reviewed["StackId"]
    made = cloudformation._stacks.get(name)
    cloudformation._stacks[name] = reviewed
    cloudformation._stack_events[stack_id] = old_events
    if made is None or made is reviewed:
        return response
    cloudformation._stack_events.pop(made["StackId"], None)
    reviewed["Tags"] = made["Tags"]
    for change_set in cloudformation._change_sets.values():
        if change_set["StackId"] == made["StackId"]:
            change_set["StackId"] = stack_id
    status, headers, body = response
    return status, headers, body.replace(made["StackId"].encode(), stack_id.encode())


def _complete(emulator: Emulator, parameters: Parameters) -> None:
    """Corrects the change set that has just been made."""
    cloudformation = emulator.cloudformation
    _, change_set = emulator.change_sets._find_change_set(
        value(parameters, "ChangeSetName"), value(parameters, "StackName")
    )
    values = change_set["_resolved_params"]
    for parameter in change_set["Parameters"]:
        if values[parameter["ParameterKey"]].get("NoEcho"):
            parameter["ParameterValue"] = _HIDDEN
    stack = cloudformation._stacks[change_set["StackName"]]
    if value(parameters, "DeploymentMode") == REVERT_DRIFT:
        add_drift(emulator, change_set, stack)
    if str(change_set["StatusReason"]).startswith(_NO_CHANGES) and _outputs_differ(
        emulator, change_set, stack
    ):
        # The change set has no changes and can be executed.
        change_set.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="")


def _outputs_differ(
    emulator: Emulator, change_set: Mapping[str, Any], stack: Mapping[str, Any]
) -> bool:
    old, new = (
        emulator.change_sets._resolve_props_for_diff(
            template, parameters, stack["StackName"], stack["StackId"]
        ).get("Outputs", {})
        for template, parameters in (
            (stack["_template"], stack["_resolved_params"]),
            (change_set["_template"], change_set["_resolved_params"]),
        )
    )
    return bool(old != new)


def _execute(emulator: Emulator, execute: Handler) -> Handler:
    def execute_change_set(parameters: Parameters) -> Response:
        _, change_set = emulator.change_sets._find_change_set(
            value(parameters, "ChangeSetName"), value(parameters, "StackName")
        )
        if change_set and change_set["ExecutionStatus"] != "AVAILABLE":
            failed = change_set["Status"] != "CREATE_COMPLETE"
            kind, status = (
                ("status", change_set["Status"])
                if failed
                else ("execution status", change_set["ExecutionStatus"])
            )
            return refusal(
                emulator,
                f"ChangeSet [{change_set['ChangeSetId']}] cannot be executed in its current "
                f"{kind} of [{status}]",
                code="InvalidChangeSetStatus",
            )
        return execute(parameters)

    return execute_change_set
