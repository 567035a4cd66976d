"""Named parameters: ``:name`` in SQL text becomes a bound parameter of the wire protocol.

A name is looked for only outside string literals, quoted identifiers, dollar-quoted bodies and
comments; ``::`` is a cast (Data API guide, "Running SQL statements with parameters").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

# Whatever a `:name` may not be inside of, then the name itself.
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
    """The parameters do not fit the statement; the text is the Data API's."""


def check_parameters(parameters: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The parameters of a request by name.

    Raises:
        ParameterError: a malformed or repeated name, or a value that is missing or empty.
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
    """Every name in the text has a value, every value is used by at least one statement.

    Raises:
        ParameterError
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
    """The text with ``$1``, ``$2``, ... and their values.

    A parameter that occurs more than once is bound once.
    """
    order: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name not in order:
            order.append(name)
        return f"${order.index(name) + 1}"

    text = _SCANNER.sub(place, sql)
    return text, [parameters[name] for name in order]
