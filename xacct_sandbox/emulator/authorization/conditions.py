"""Condition operators and policy variables (IAM user guide, "IAM JSON policy elements: Condition
operators", "Set operators for multivalued context keys", "Variables and tags")."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Values = str | Sequence[str]
"""The value of a condition key; a sequence for a key with several values."""

Compare = Callable[[str, str], bool]

_SET_PREFIXES: dict[str, Literal["all", "any"]] = {"forallvalues:": "all", "foranyvalue:": "any"}


@dataclass(frozen=True)
class Operator:
    """A condition operator.

    Attributes:
        compare: compares a value of the request with one of the policy; None for ``Null``.
        negated: whether it must hold for none of the policy's values.
        if_exists: whether a missing key passes.
        quantifier: ``all`` for ForAllValues, ``any`` for ForAnyValue, ``one`` without.
    """

    compare: Compare | None
    negated: bool
    if_exists: bool
    quantifier: Literal["one", "all", "any"]

    def holds(self, actual: Values | None, expected: Sequence[str]) -> bool:
        """Whether the test passes.

        Args:
            actual: the value of the key; None if the request has no such key.
            expected: the values of the policy.
        """
        if self.compare is None:
            return (actual is None) == (expected[0].lower() == "true")
        if actual is None:
            if self.quantifier == "any":
                # "ForAnyValue … returns false if the key is not there", IfExists or not: the
                # request's set of values is empty.
                return False
            return self.if_exists or self.quantifier == "all" or self.negated
        values = [actual] if isinstance(actual, str) else list(actual)
        if self.quantifier == "all":
            return all(self._matches(value, expected) for value in values)
        return any(self._matches(value, expected) for value in values)

    def _matches(self, value: str, expected: Sequence[str]) -> bool:
        assert self.compare is not None
        found = any(self.compare(value, item) for item in expected)
        return found != self.negated


def operator(name: str) -> Operator | None:
    """The operator with a name, in any case; None if IAM has none of this name."""
    return _operator(name.lower())


@functools.cache
def _operator(name: str) -> Operator | None:
    quantifier: Literal["one", "all", "any"] = "one"
    for prefix, meaning in _SET_PREFIXES.items():
        if name.startswith(prefix):
            quantifier, name = meaning, name.removeprefix(prefix)
    if name == "null":
        return None if quantifier != "one" else Operator(None, False, False, "one")
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    known = _OPERATORS.get(name)
    if known is None:
        return None
    compare, negated = known
    return Operator(compare, negated, if_exists, quantifier)


# -- comparisons -------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8192)
def pattern(text: str, ignore_case: bool = False) -> re.Pattern[str]:
    """The regular expression of a text with ``*`` and ``?``; ``LITERAL`` characters are literal."""
    parts = []
    for character in text:
        if character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        else:
            parts.append(re.escape(_LITERALS.get(character, character)))
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


# Stand for the characters *, ? and $ that came out of a variable: they are no wildcards.
_LITERALS = {"\ue001": "*", "\ue002": "?", "\ue003": "$"}  # private use: in no ARN
_PLACEHOLDERS = {character: placeholder for placeholder, character in _LITERALS.items()}


def _like(value: str, expected: str) -> bool:
    return pattern(expected).fullmatch(value) is not None


def _equals(value: str, expected: str) -> bool:
    return value == literal(expected)


def literal(text: str) -> str:
    """A text after the expansion of variables, compared without wildcards."""
    for placeholder, character in _LITERALS.items():
        text = text.replace(placeholder, character)
    return text


def _equals_ignoring_case(value: str, expected: str) -> bool:
    return value.casefold() == literal(expected).casefold()


def matches_arn(value: str, expected: str) -> bool:
    """Each of the six parts of an ARN is compared by itself, so ``*`` does not cross a colon."""
    ours, theirs = value.split(":", 5), expected.split(":", 5)
    return len(ours) == len(theirs) == 6 and all(
        pattern(b).fullmatch(a) is not None for a, b in zip(ours, theirs, strict=True)
    )


def without_resource(arn: str) -> str:
    """An ARN, or its pattern, with ``*`` for its last part, which is where variables are."""
    return ":".join([*arn.split(":")[:5], "*"])


def _in_network(value: str, expected: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(expected, strict=False)
    except ValueError:
        return False


def _numeric(test: Callable[[float, float], bool]) -> Compare:
    def compare(value: str, expected: str) -> bool:
        try:
            return test(float(value), float(expected))
        except ValueError:
            return False

    return compare


def _date(test: Callable[[float, float], bool]) -> Compare:
    def compare(value: str, expected: str) -> bool:
        a, b = _seconds(value), _seconds(expected)
        return a is not None and b is not None and test(a, b)

    return compare


def _seconds(text: str) -> float | None:
    """A date as IAM writes it: ISO 8601, or seconds since the epoch."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_EQUAL: Callable[[float, float], bool] = lambda a, b: a == b  # noqa: E731
_LESS: Callable[[float, float], bool] = lambda a, b: a < b  # noqa: E731
_LESS_EQUAL: Callable[[float, float], bool] = lambda a, b: a <= b  # noqa: E731
_GREATER: Callable[[float, float], bool] = lambda a, b: a > b  # noqa: E731
_GREATER_EQUAL: Callable[[float, float], bool] = lambda a, b: a >= b  # noqa: E731

# Name: comparison, negated.
_OPERATORS: Mapping[str, tuple[Compare, bool]] = {
    "stringequals": (_equals, False),
    "stringnotequals": (_equals, True),
    "stringequalsignorecase": (_equals_ignoring_case, False),
    "stringnotequalsignorecase": (_equals_ignoring_case, True),
    "stringlike": (_like, False),
    "stringnotlike": (_like, True),
    "numericequals": (_numeric(_EQUAL), False),
    "numericnotequals": (_numeric(_EQUAL), True),
    "numericlessthan": (_numeric(_LESS), False),
    "numericlessthanequals": (_numeric(_LESS_EQUAL), False),
    "numericgreaterthan": (_numeric(_GREATER), False),
    "numericgreaterthanequals": (_numeric(_GREATER_EQUAL), False),
    "dateequals": (_date(_EQUAL), False),
    "datenotequals": (_date(_EQUAL), True),
    "datelessthan": (_date(_LESS), False),
    "datelessthanequals": (_date(_LESS_EQUAL), False),
    "dategreaterthan": (_date(_GREATER), False),
    "dategreaterthanequals": (_date(_GREATER_EQUAL), False),
    "bool": (_equals_ignoring_case, False),
    "binaryequals": (_equals, False),
    "ipaddress": (_in_network, False),
    "notipaddress": (_in_network, True),
    "arnequals": (matches_arn, False),
    "arnlike": (matches_arn, False),
    "arnnotequals": (matches_arn, True),
    "arnnotlike": (matches_arn, True),
}

# -- variables ---------------------------------------------------------------------------------

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def expand(text: str, value_of: Callable[[str], Values | None]) -> str | None:
    """Replaces the policy variables of a text.

    Wildcard characters in their values, and ``${*}``, ``${?}``, ``${$}``, become literal.

    Args:
        text: a resource or a condition value of a policy.
        value_of: the value of a condition key, in lower case.

    Returns:
        The text; None if a variable has no single value, so that the text matches nothing.
    """
    if "${" not in text:
        return text
    missing = False

    def replacement(match: re.Match[str]) -> str:
        nonlocal missing
        name = match[1].strip()
        if name in _PLACEHOLDERS:
            return _PLACEHOLDERS[name]
        name, _, default = (part.strip() for part in name.partition(","))
        value = value_of(name.lower())
        if value is None and len(default) >= 2 and default[0] == default[-1] == "'":
            value = default[1:-1]
        if not isinstance(value, str):
            missing = True
            return ""
        return "".join(_PLACEHOLDERS.get(character, character) for character in value)

    expanded = _VARIABLE.sub(replacement, text)
    return None if missing else expanded
