"""Named parameters: ``:name`` in SQL text becomes a bound parameter of the wire protocol.

Names are searched only outside string literals, quoted identifiers, dollar-quoted bodies and
comments; ``::`` is a cast (Data API guide, "Running SQL statements with parameters").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

# What a `:name` cannot be part of, then the name itself.
_SCANNER = re.compile(
    r"""
      '(?:[^'\\]|\\.|'')*'            # string literal; Redshift reads backslash escapes
    | "(?:[^"]|"")*"                  # quoted identifier
    | \$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?(tag)(?P=tag))\$   # dollar-quoted body
    | --[^\n]*                        # comment to the end of the line
    | /\*.*?\*/                       # comment
    | ::                              # cast
    | :(?P<name>[0-9a-zA-Z_]+)        # a parameter
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[0-9a-zA-Z_]+")


class ParameterError(ValueError):
    """The parameters do not fit the statement. The text is the Data API's."""


def check_parameters(parameters: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The parameters of a request by name.

    Raises:
        ParameterError: A name is malformed or repeated, or a value is missing or empty.
    """
    found: dict[str, str] = {}
    for parameter in parameters:
        name, value = parameter.get("name"), parameter.get("value")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ParameterError(f"Parameter name {name!r} must satisfy [0-9a-zA-Z_]+")
        if name in found:
            raise ParameterError(f"Parameter {name} is given twice")
        if not isinstance(value, str) or not value:
            raise ParameterError(f"Parameter {name}: the value cannot be NULL or empty")
        found[name] = value
    return found


def names_in(sql: str) -> set[str]:
    """The parameters a statement refers to."""
    return {found["name"] for found in _SCANNER.finditer(sql) if found["name"]}


def check_references(sqls: Iterable[str], parameters: Mapping[str, str]) -> None:
    """Check that every name has a value, and that every value is used.

    Raises:
        ParameterError: They do not match.
    """
    used: set[str] = set()
    for sql in sqls:
        used |= names_in(sql)
    for name in sorted(used - set(parameters)):
        raise ParameterError(f"Cannot find parameter: {name}")
    unused = sorted(set(parameters) - used)
    if unused:
        raise ParameterError(
            f"Parameters list contains unused parameters. Unused parameters: [{', '.join(unused)}]"
        )


def bind(sql: str, parameters: Mapping[str, str]) -> tuple[str, list[str]]:
    """Replace the names in a text.

    Returns:
        The text with ``$1``, ``$2`` and so on, and their values. A parameter that occurs more than
        once is bound once.
    """
    order: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name not in order:
            order.append(name)
        return f"${order.index(name) + 1}"

    text = _SCANNER.sub(number, sql)
    return text, [parameters[name] for name in order]
