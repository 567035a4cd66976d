"""Drift-aware change sets (``DeploymentMode`` REVERT_DRIFT).

CloudFormation user guide, "Use drift-aware change sets": what was changed by hand is brought back
to the template, and what was deleted by hand is made again. A change set compares the actual state
with the template; it needs the rights of drift detection. Types that drift detection does not check
are compared with the previous template only.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element, SubElement, fromstring, register_namespace, tostring

from xacct_sandbox.emulator.loader import Emulator, Response
from xacct_sandbox.emulator.stacks.requests import Handler, Parameters, value

REVERT_DRIFT = "REVERT_DRIFT"
_NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
_DRIFTED = ("MODIFIED", "DELETED")
_BEFORE = "_properties_before_drift"
_BY_WEIGHT = ("False", "Conditional", "True")
_REPLACEMENT = dict(zip(("Never", "Conditionally", "Always"), _BY_WEIGHT, strict=True))


def patch_drift_aware(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    handlers = emulator.cloudformation_handlers._ACTION_HANDLERS
    handlers["DescribeChangeSet"] = _describe(emulator, handlers["DescribeChangeSet"])
    handlers["ExecuteChangeSet"] = _execute(emulator, handlers["ExecuteChangeSet"])
    emulator.stacks._roll_back_operation = _roll_back(emulator.stacks._roll_back_operation)


def add_drift(emulator: Emulator, change_set: dict[str, Any], stack: dict[str, Any]) -> None:
    """Adds to a new change set what reverts the drift of its stack's resources."""
    present = emulator.change_sets._resolve_props_for_diff(
        stack["_template"], stack["_resolved_params"], stack["StackName"], stack["StackId"]
    )["Resources"]
    wanted = emulator.change_sets._resolve_props_for_diff(
        change_set["_template"],
        change_set["_resolved_params"],
        stack["StackName"],
        stack["StackId"],
    )["Resources"]
    change_set["DeploymentMode"] = REVERT_DRIFT
    found = {
        name: _drift_of(emulator, stack, name, present[name]["Type"])
        for name in sorted(present.keys() & wanted.keys())
    }
    unknown = [name for name, drift in found.items() if drift["status"] == "UNKNOWN"]
    if unknown:
        change_set.update(
            Status="FAILED",
            ExecutionStatus="UNAVAILABLE",
            Changes=[],
            StatusReason=f"Drift of [{', '.join(unknown)}] could not be detected: "
            f"{found[unknown[0]]['reason']}",
        )
        return
    change_set["_drift"] = found
    changes = {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]
        for change in change_set["Changes"]
    }
    for name, drift in found.items():
        if drift["status"] in _DRIFTED:
            changes[name] = _reverting(emulator, name, wanted[name], drift, changes.get(name))
        if name in changes:
            changes[name]["ResourceDriftStatus"] = drift["status"]
    change_set["Changes"] = [{"ResourceChange": changes[name]} for name in sorted(changes)]
    if changes:
        change_set.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="")
    drifted = any(drift["status"] in _DRIFTED for drift in found.values())
    change_set["StackDriftStatus"] = "DRIFTED" if drifted else "IN_SYNC"


def _drift_of(
    emulator: Emulator, stack: dict[str, Any], name: str, type_name: str
) -> dict[str, Any]:
    record = stack["_resources"].get(name)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if record is None:
        # It was deleted by hand, and the change that would have made it again was rolled back.
        return {"status": "DELETED", "id": "", "at": now}
    if not emulator.drift.supports_drift(type_name):
        return {"status": "UNSUPPORTED", "id": record["PhysicalResourceId"], "at": now}
    drift = emulator.drift.detect_resource_drift(stack, name, record, now)
    return {
        "status": drift["StackResourceDriftStatus"],
        "id": record["PhysicalResourceId"],
        "at": now,
        "reason": drift.get("DriftStatusReason", ""),
        "expected": json.loads(drift.get("ExpectedProperties", "{}")),
        "actual": json.loads(drift.get("ActualProperties", "{}")),
        "names": sorted(
            {entry["PropertyPath"].split("/")[1] for entry in drift.get("PropertyDifferences", [])}
        ),
    }


def _reverting(
    emulator: Emulator,
    name: str,
    resource: Mapping[str, Any],
    drift: Mapping[str, Any],
    change: dict[str, Any] | None,
) -> dict[str, Any]:
    """The change that makes the resource what the template says."""
    type_name = resource["Type"]
    if drift["status"] == "DELETED":
        physical = {"PhysicalResourceId": drift["id"]} if drift["id"] else {}
        return {"Action": "Add", "LogicalResourceId": name, "ResourceType": type_name, **physical}
    if change is None:
        change = {
            "Action": "Modify",
            "LogicalResourceId": name,
            "PhysicalResourceId": drift["id"],
            "ResourceType": type_name,
            "Replacement": "False",
            "Scope": [],
            "Details": [],
        }
    if "Properties" not in change["Scope"]:
        change["Scope"] = ["Properties", *change["Scope"]]
    by_name = {detail["Target"].get("Name"): detail for detail in change["Details"]}
    for key in drift["names"]:
        if key not in by_name:
            recreation = emulator.provisioners._property_recreation(type_name, key)
            change["Replacement"] = max(
                change["Replacement"], _REPLACEMENT[recreation], key=_BY_WEIGHT.index
            )
            target = {"Attribute": "Properties", "Name": key, "RequiresRecreation": recreation}
            by_name[key] = {
                "Target": target,
                "Evaluation": "Static",
                "ChangeSource": "NoModification",
            }
            change["Details"].append(by_name[key])
        by_name[key]["Target"]["Drift"] = {
            "PreviousValue": _text(drift["expected"].get(key)),
            "ActualValue": _text(drift["actual"].get(key)),
            "DriftDetectionTimestamp": drift["at"],
        }
    return change


def _text(found: Any) -> str:
    return found if isinstance(found, str) else json.dumps(found, sort_keys=True)


def _execute(emulator: Emulator, execute: Handler) -> Handler:
    def execute_change_set(parameters: Parameters) -> Response:
        _, change_set = emulator.change_sets._find_change_set(
            value(parameters, "ChangeSetName"), value(parameters, "StackName")
        )
        usable = change_set and change_set["ExecutionStatus"] == "AVAILABLE"
        if usable and change_set.get("_drift"):
            _take_actual(emulator.cloudformation._stacks[change_set["StackName"]], change_set)
        return execute(parameters)

    return execute_change_set


def _take_actual(stack: dict[str, Any], change_set: Mapping[str, Any]) -> None:
    """Has the update start from what the resources are, not from the previous template."""
    resources = stack["_resources"]
    for name, drift in change_set["_drift"].items():
        record = resources.get(name)
        if record is None or drift["status"] not in _DRIFTED:
            continue
        if drift["status"] == "DELETED":
            del resources[name]
            continue
        properties = {
            key: found for key, found in record["Properties"].items() if key not in drift["names"]
        }
        actual = {key: drift["actual"][key] for key in drift["names"] if key in drift["actual"]}
        record[_BEFORE] = record["Properties"]
        record["Properties"] = {**properties, **actual}


def _roll_back(roll_back: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def roll_back_to_template(
        stack_name: str, stack_id: str, stack: dict[str, Any], *args: Any, **options: Any
    ) -> None:
        await roll_back(stack_name, stack_id, stack, *args, **options)
        for record in stack["_resources"].values():
            if _BEFORE in record:
                # What the template says: the drift that is left is still one.
                record["Properties"] = record.pop(_BEFORE)

    return roll_back_to_template


def _describe(emulator: Emulator, describe: Handler) -> Handler:
    """Adds the members of drift-aware change sets, which ministack does not write."""

    def describe_change_set(parameters: Parameters) -> Response:
        response = describe(parameters)
        _, change_set = emulator.change_sets._find_change_set(
            value(parameters, "ChangeSetName"), value(parameters, "StackName")
        )
        if response[0] >= 300 or not change_set or "DeploymentMode" not in change_set:
            return response
        status, headers, body = response
        register_namespace("", _NAMESPACE)
        root = fromstring(body)  # noqa: S314 -- ministack's own answer
        result = root[0]
        _add(result, "DeploymentMode", change_set["DeploymentMode"])
        _add(result, "StackDriftStatus", change_set.get("StackDriftStatus", "UNKNOWN"))
        shown = [_child(member, "ResourceChange") for member in _child(result, "Changes")]
        for element, change in zip(shown, change_set["Changes"], strict=True):
            _add_drift_members(element, change["ResourceChange"])
        return status, headers, tostring(root, encoding="utf-8", xml_declaration=True)

    return describe_change_set


def _add_drift_members(element: Element, change: Mapping[str, Any]) -> None:
    if "ResourceDriftStatus" in change:
        _add(element, "ResourceDriftStatus", change["ResourceDriftStatus"])
    for member, detail in zip(_child(element, "Details"), change.get("Details", []), strict=True):
        drift = detail["Target"].get("Drift")
        if drift:
            parent = SubElement(_child(member, "Target"), f"{{{_NAMESPACE}}}Drift")
            for key, text in drift.items():
                _add(parent, key, text)


def _child(element: Element, name: str) -> Element:
    found = element.find(f"{{{_NAMESPACE}}}{name}")
    assert found is not None
    return found


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, f"{{{_NAMESPACE}}}{name}").text = text
