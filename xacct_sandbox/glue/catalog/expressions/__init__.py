"""The filter language of GetPartitions: SQL-like predicates over partition keys.

Operators: ``= <> != < > <= >= AND OR NOT IN BETWEEN LIKE IS NULL`` and parentheses, over keys of
type string, varchar, char, date, timestamp, int, integer, bigint, long, smallint, tinyint and
decimal (Glue API reference, GetPartitions, ``Expression``). Keywords and key names are not
case-sensitive. Comparing a value that does not parse as the key's type (Hive's default partition)
gives unknown, as in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xacct_sandbox.glue.catalog.expressions.errors import InvalidExpression
from xacct_sandbox.glue.catalog.expressions.key_types import key_type
from xacct_sandbox.glue.catalog.expressions.parser import Parser

__all__ = ["MAX_EXPRESSION_LENGTH", "InvalidExpression", "Matcher", "compile_expression"]

MAX_EXPRESSION_LENGTH = 2048

Matcher = Callable[[Sequence[str]], bool]


def compile_expression(expression: str, keys: Sequence[tuple[str, str]]) -> Matcher:
    """Compile an expression to a function of a partition's values.

    Args:
        expression: the predicate; an empty one matches every partition.
        keys: name and Hive type of each partition key, in the table's order.

    Returns:
        True for the values of a partition that the expression selects.

    Raises:
        InvalidExpression: it is too long, cannot be parsed, names an unknown key, or uses an
            operator or literal that the key's type does not have.
    """
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise InvalidExpression(
            f"the expression has {len(expression)} characters, the limit is {MAX_EXPRESSION_LENGTH}"
        )
    columns = {name.lower(): key_type(name, hive_type) for name, hive_type in keys}
    names = [name.lower() for name, _ in keys]
    if not expression.strip():
        return lambda values: True
    predicate = Parser(expression, columns).parse()

    def matches(values: Sequence[str]) -> bool:
        row = {name: columns[name].read(value) for name, value in zip(names, values, strict=False)}
        return predicate(row) is True

    return matches
