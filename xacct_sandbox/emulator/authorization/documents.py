"""Reads policy documents, and refuses what IAM refuses (IAM user guide, "Grammar of the IAM JSON
policy language", and "IAM JSON policy elements").

A document is parsed once: ``parse`` keeps what it has parsed, by the text.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xacct_sandbox.emulator.authorization import conditions

Kind = Literal["identity", "resource", "trust"]

_STATEMENT_ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_DOCUMENT_ELEMENTS = {"Version", "Id", "Statement"}
_VERSIONS = ("2012-10-17", "2008-10-17")
_PRINCIPAL_KINDS = {"AWS", "Service", "Federated", "CanonicalUser"}
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:.+", re.DOTALL)
_AWS_PRINCIPAL = re.compile(
    r"\*|\d{12}|arn:aws:iam::\d{12}:(root|(user|role)/[\w+=,.@/-]+)"
    r"|arn:aws:sts::\d{12}:(assumed-role|federated-user)/[\w+=,.@/-]+"
    # IAM shows a deleted principal by its unique id.
    r"|A(ID|RO)A[A-Z0-9]+"
)
_SID = re.compile(r"[A-Za-z0-9]*")


class MalformedPolicy(ValueError):
    """A document that AWS refuses; the text says why."""


@dataclass(frozen=True)
class Condition:
    """One test of one condition key.

    Attributes:
        operator: as written, e.g. ``ForAnyValue:StringLikeIfExists``.
        key: in lower case.
        values: as text; matched with OR, or with NOR for a negated operator.
    """

    operator: conditions.Operator
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """A statement. Of each pair, ``actions`` and ``not_actions``, one is empty.

    Attributes:
        principals: (kind, name) pairs, ``("AWS", "*")`` for everyone; empty in an identity policy.
        principals_are_excluded: whether the element is NotPrincipal.
        variables: whether ``${...}`` is expanded: not in the Version of 2008, which is the default.
    """

    allows: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: tuple[tuple[str, str], ...]
    principals_are_excluded: bool
    conditions: tuple[Condition, ...]
    variables: bool


Policy = tuple[Statement, ...]


def parse(document: str | Mapping[str, Any], kind: Kind) -> Policy:
    """Parses a policy document.

    Args:
        document: its JSON text, or the decoded object.
        kind: which elements it must have.

    Raises:
        MalformedPolicy: AWS refuses the document.
    """
    text = document if isinstance(document, str) else json.dumps(document)
    return _parse(text, kind)


@functools.lru_cache(maxsize=4096)
def _parse(text: str, kind: Kind) -> Policy:
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as problem:
        raise MalformedPolicy(f"the document is not valid JSON: {problem}") from None
    if not isinstance(document, dict):
        raise MalformedPolicy("the document is not a JSON object")
    _require_known(document, _DOCUMENT_ELEMENTS, "the document")
    version = document.get("Version", "2008-10-17")
    if version not in _VERSIONS:
        raise MalformedPolicy(f"Version {version!r} is none of {', '.join(_VERSIONS)}")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicy("the document has no Statement")
    sids = [s.get("Sid") for s in statements if isinstance(s, dict) and s.get("Sid")]
    if len(set(sids)) < len(sids):
        raise MalformedPolicy("two statements have the same Sid")
    return tuple(_statement(statement, kind, version) for statement in statements)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice in one object")
    return dict(pairs)


def _require_known(element: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(element) - known)
    if unknown:
        raise MalformedPolicy(f"{where} has the unknown element {', '.join(unknown)}")


def _statement(statement: object, kind: Kind, version: str) -> Statement:
    if not isinstance(statement, dict):
        raise MalformedPolicy("a Statement is not a JSON object")
    _require_known(statement, _STATEMENT_ELEMENTS, "a Statement")
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise MalformedPolicy(f"Effect is {effect!r}; it must be Allow or Deny")
    sid = statement.get("Sid", "")
    if not isinstance(sid, str) or (kind == "identity" and not _SID.fullmatch(sid)):
        raise MalformedPolicy(f"Sid {sid!r} may contain letters and digits only")
    actions, not_actions = _either(statement, "Action", "NotAction", _ACTION)
    resources: tuple[str, ...] = ("*",)
    not_resources: tuple[str, ...] = ()
    if kind == "trust":
        for name in ("Resource", "NotResource"):
            if name in statement:
                raise MalformedPolicy(f"a trust policy has no {name}")
    else:
        resources, not_resources = _either(statement, "Resource", "NotResource", _RESOURCE)
    principals, excluded = _principals(statement, kind, effect)
    return Statement(
        allows=effect == "Allow",
        actions=actions,
        not_actions=not_actions,
        resources=resources,
        not_resources=not_resources,
        principals=principals,
        principals_are_excluded=excluded,
        conditions=_conditions(statement.get("Condition", {})),
        variables=version == "2012-10-17",
    )


def _either(
    statement: Mapping[str, Any], name: str, negated: str, form: re.Pattern[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if (name in statement) == (negated in statement):
        raise MalformedPolicy(f"a Statement needs either {name} or {negated}")
    element = name if name in statement else negated
    values = _texts(statement[element], element)
    for value in values:
        if not form.fullmatch(value):
            raise MalformedPolicy(f"{element} {value!r} is not valid")
    return (values, ()) if element == name else ((), values)


def _texts(value: object, where: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise MalformedPolicy(f"{where} must be a string or a list of strings")
    if not values:
        raise MalformedPolicy(f"{where} must not be empty")
    return tuple(values)


def _principals(
    statement: Mapping[str, Any], kind: Kind, effect: str
) -> tuple[tuple[tuple[str, str], ...], bool]:
    given = [name for name in ("Principal", "NotPrincipal") if name in statement]
    if kind == "identity":
        if given:
            raise MalformedPolicy(f"an identity policy has no {given[0]}")
        return (), False
    if len(given) != 1:
        raise MalformedPolicy("a Statement needs either Principal or NotPrincipal")
    excluded = given == ["NotPrincipal"]
    if excluded and effect == "Allow":
        raise MalformedPolicy("NotPrincipal cannot be used with Allow")
    if excluded and kind == "trust":
        raise MalformedPolicy("a trust policy has no NotPrincipal")
    element = statement[given[0]]
    if element == "*":
        return (("AWS", "*"),), excluded
    if not isinstance(element, dict) or not element:
        raise MalformedPolicy(f"{given[0]} must be * or an object")
    _require_known(element, _PRINCIPAL_KINDS, given[0])
    principals = []
    for name, value in element.items():
        for principal in _texts(value, f"{given[0]} {name}"):
            if name == "AWS" and not _AWS_PRINCIPAL.fullmatch(principal):
                raise MalformedPolicy(f"invalid principal in policy: AWS {principal!r}")
            principals.append((name, principal))
    return tuple(principals), excluded


def _conditions(element: object) -> tuple[Condition, ...]:
    if not isinstance(element, dict):
        raise MalformedPolicy("Condition must be an object")
    parsed = []
    for operator, tests in element.items():
        known = conditions.operator(operator)
        if known is None:
            raise MalformedPolicy(f"Condition has the unknown operator {operator!r}")
        if not isinstance(tests, dict) or not tests:
            raise MalformedPolicy(f"Condition {operator} must be an object with condition keys")
        for key, value in tests.items():
            values = value if isinstance(value, list) else [value]
            if not values or not all(isinstance(v, str | int | float | bool) for v in values):
                raise MalformedPolicy(f"Condition {operator} {key}: values must be strings")
            if ":" not in key:
                raise MalformedPolicy(f"Condition {operator} has the invalid key {key!r}")
            texts = tuple(_text(item) for item in values)
            parsed.append(Condition(known, key.lower(), texts))
    return tuple(parsed)


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def principal_arns(policy: Policy) -> Sequence[str]:
    """The ARNs of users and roles that a policy names as principals."""
    return [
        name
        for statement in policy
        for kind, name in statement.principals
        if kind == "AWS" and ":iam::" in name and not name.endswith(":root")
    ]
