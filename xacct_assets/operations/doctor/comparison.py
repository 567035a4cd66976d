"""Compares what a template says with what a service answers, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import InvalidRequest
from xacct_assets.operations.deployment.templates import Unknown

if TYPE_CHECKING:
    from xacct_assets.operations.deployment.plan import Account

_SHOWN = 160


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """One line for each field that is not as expected; other fields are not looked at.

    Args:
        expected: of a template; its `UNKNOWN` values are compared with nothing.
        actual: of the service, in the same form.
        path: of the field, for the lines.
    """
    return list(_differences(expected, actual, path))


def policy_differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[str]:
    """One line for each statement that is missing or changed, and for each that denies besides."""
    return list(_policy_differences(expected, actual))


def require_policy(
    thing: str, expected: Mapping[str, Any], actual: Mapping[str, Any], owner: str, letter: Account
) -> None:
    """A resource's policy is as the template of its account says.

    Args:
        thing: whose policy it is.
        owner: the id of its account.

    Raises:
        InvalidRequest: A statement is missing or changed, or one denies besides.
    """
    problems = policy_differences(expected, actual)
    if problems:
        shown = [
            statement
            for statement in expected["Statement"]
            if any(re.match(rf"statement {statement['Sid']}\b", line) for line in problems)
        ]
        by_hand = f"; by hand, these statements: {json.dumps(shown)}" if shown else ""
        raise InvalidRequest(
            f"the policy of {thing} is not as infra/account_{letter}.yaml says: "
            f"{'; '.join(problems)}",
            account=owner,
            fix=f"`xacct deploy --account {letter}` restores it{by_hand}",
        )


def _differences(expected: Any, actual: Any, path: str) -> Iterator[str]:
    if isinstance(expected, Unknown):
        return
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key, value in expected.items():
            field = f"{path}.{key}" if path else str(key)
            if key in actual:
                yield from _differences(value, actual[key], field)
            elif not isinstance(value, Unknown):
                yield f"{field} is missing (should be {_short(value)})"
        return
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        if _has_unknown(expected) or _normal(expected) == _normal(actual):
            return
        yield f"{path} is {_short(actual)} (should be {_short(expected)})"
        return
    if _text(expected) != _text(actual):
        yield f"{path} is {_short(actual)} (should be {_short(expected)})"


def _policy_differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    present = _statements(actual)
    wanted = _statements(expected)
    by_sid = {str(item["Sid"]): item for item in present if item.get("Sid")}
    known: list[Any] = []
    for number, statement in enumerate(wanted):
        sid = statement.get("Sid")
        found = by_sid.get(sid) if sid else _most_alike(statement, present)
        name = f"statement {sid}" if sid else f"statement {number + 1} ({_actions(statement)})"
        if found is None:
            yield f"{name} is missing"
            continue
        known.append(found)
        # Also what the template does not have: a condition takes away.
        extra = sorted(set(found) - set(statement) - {"Sid"})
        changed = [
            *differences(statement, found),
            *_conditions_beyond(statement, found),
            *(f"{key} is {_short(found[key])}" for key in extra),
        ]
        if changed:
            yield f"{name}: {'; '.join(changed)}"
    for statement in present:
        if statement.get("Effect") == "Deny" and statement not in known:
            yield f"a statement denies, and is not of this installation: {_short(statement)}"


def _conditions_beyond(statement: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """What the found statement demands beyond the conditions of the expected one."""
    wanted = statement.get("Condition")
    if not wanted:
        return
    for operator, keys in found.get("Condition", {}).items():
        for key, value in keys.items():
            if key not in wanted.get(operator, {}):
                yield f"Condition.{operator}.{key} is {_short(value)}"


def _statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    statements = document.get("Statement", [])
    return [statements] if isinstance(statements, dict) else list(statements)


def _most_alike(statement: Mapping[str, Any], present: Sequence[dict[str, Any]]) -> Any:
    """A statement without a Sid: the one with the fewest differences among those alike."""
    alike = [
        item
        for item in present
        if item.get("Effect") == statement["Effect"]
        and (set(_list(item.get("Action"))) & set(_list(statement["Action"])))
    ]
    return min(alike, key=lambda item: len(differences(statement, item)), default=None)


def _actions(statement: Mapping[str, Any]) -> str:
    return ", ".join(_list(statement.get("Action")))


def _list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _has_unknown(value: Sequence[Any]) -> bool:
    return any(isinstance(item, Unknown) for item in value)


def _normal(value: Any) -> str:
    """As text, with what AWS writes in two ways written in one: order, single entries, numbers."""
    return json.dumps(_sorted(value), sort_keys=True)


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = sorted((_sorted(item) for item in value), key=lambda item: json.dumps(item))
        return items[0] if len(items) == 1 else items
    return _text(value)


def _text(value: Any) -> str:
    """Numbers and switches as CloudFormation and the services write them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return _normal(value) if len(value) != 1 else _text(value[0])
    return str(value)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
