"""Conditions with Fn::Join, which ministack compares unresolved: they were never equal to a text.

CloudFormation user guide, "Condition function syntax reference", "Supported functions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator


def patch_conditions(emulator: Emulator) -> None:
    """Resolves Fn::Join in conditions before ministack evaluates them."""
    evaluate = emulator.cloudformation_engine._evaluate_conditions

    def evaluate_conditions(
        template: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> dict[str, bool]:
        conditions = template.get("Conditions") or {}
        resolved = {name: _joined(node, parameters) for name, node in conditions.items()}
        found: dict[str, bool] = evaluate({**template, "Conditions": resolved}, parameters)
        return found

    for module in (
        emulator.cloudformation_engine,
        emulator.cloudformation_handlers,
        emulator.change_sets,
        emulator.stacks,
    ):
        if hasattr(module, "_evaluate_conditions"):  # imported by name
            module._evaluate_conditions = evaluate_conditions


def _joined(node: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_joined(item, parameters) for item in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Fn::Join"}:
        delimiter, items = node["Fn::Join"]
        return str(delimiter).join(_texts(items, parameters))
    return {key: _joined(item, parameters) for key, item in node.items()}


def _texts(items: Any, parameters: Mapping[str, Any]) -> list[str]:
    """The texts that are joined: a list parameter is one text here, with commas."""
    if isinstance(items, dict):
        return [part.strip() for part in _text(items, parameters).split(",")]
    return [_text(item, parameters) for item in items]


def _text(item: Any, parameters: Mapping[str, Any]) -> str:
    if isinstance(item, dict):
        return str(parameters.get(str(item.get("Ref")), {}).get("Value", ""))
    return str(item)
