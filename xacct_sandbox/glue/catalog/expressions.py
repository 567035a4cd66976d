"""The filter language of GetPartitions: SQL-like predicates over partition keys.

Operators: ``= <> != < > <= >= AND OR NOT IN BETWEEN LIKE IS NULL`` and parentheses, over keys of
type string, varchar, char, date, timestamp, int, integer, bigint, long, smallint, tinyint and
decimal (Glue API reference, GetPartitions, ``Expression``). Keywords and key names are read
without regard to case. A comparison with a value that does not parse as the key's type (Hive's
default partition) is unknown, as in SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

MAX_EXPRESSION_LENGTH = 2048

Ternary = bool | None
Evaluate = Callable[[Mapping[str, Any]], Ternary]
Matcher = Callable[[Sequence[str]], bool]


class InvalidExpression(ValueError):
    """The expression cannot be read, or compares things that cannot be compared."""


@dataclass(frozen=True)
class _Token:
    kind: str  # word, quoted, string, number, symbol, end
    text: str
    at: int


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")+"|`[^`]+`)
      | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))
      | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
      | (?P<symbol><>|!=|<=|>=|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)

_KEYWORDS = {"and", "or", "not", "in", "between", "like", "is", "null", "date", "timestamp"}

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_MIRROR = {"=": "=", "<>": "<>", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


def compile_expression(expression: str, keys: Sequence[tuple[str, str]]) -> Matcher:
    """A matcher for the values of a partition.

    Args:
        expression: the predicate; an empty one matches every partition.
        keys: name and Hive type of each partition key, in the table's order.

    Raises:
        InvalidExpression: it is too long, cannot be parsed, names an unknown key, or uses an
            operator or literal that the key's type does not have.
    """
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise InvalidExpression(
            f"the expression has {len(expression)} characters, the limit is {MAX_EXPRESSION_LENGTH}"
        )
    columns = {name.lower(): _key_type(name, hive_type) for name, hive_type in keys}
    names = [name.lower() for name, _ in keys]
    if not expression.strip():
        return lambda values: True
    evaluate = _Parser(expression, columns).parse()

    def matches(values: Sequence[str]) -> bool:
        row = {name: columns[name].read(value) for name, value in zip(names, values, strict=False)}
        return evaluate(row) is True

    return matches


# -- types -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _KeyType:
    name: str
    parse: Callable[[str], Any]
    is_text: bool

    def read(self, value: str) -> Any:
        """The typed value, None for one that is not of the type (SQL's unknown)."""
        try:
            return self.parse(value)
        except (ValueError, InvalidOperation):
            return None


def _parse_timestamp(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=None)


def _key_type(name: str, hive_type: str) -> _KeyType:
    base = hive_type.strip().lower().split("(")[0]
    if base in {"string", "varchar", "char"}:
        return _KeyType(base, str, is_text=True)
    if base in {"int", "integer", "bigint", "long", "smallint", "tinyint"}:
        return _KeyType(base, int, is_text=False)
    if base == "decimal":
        return _KeyType(base, Decimal, is_text=False)
    if base == "date":
        return _KeyType(base, lambda text: date.fromisoformat(text.strip()), is_text=False)
    if base == "timestamp":
        return _KeyType(base, _parse_timestamp, is_text=False)
    raise InvalidExpression(f"partition key {name!r} has type {hive_type!r}, which has no filter")


# -- parser ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    name: str


@dataclass(frozen=True)
class _Literal:
    text: str


class _Parser:
    """Recursive descent over the tokens; each rule returns an evaluator."""

    def __init__(self, expression: str, columns: Mapping[str, _KeyType]) -> None:
        self._source = expression
        self._columns = columns
        self._tokens = self._tokenize(expression)
        self._next = 0

    def parse(self) -> Evaluate:
        result = self._or()
        if self._peek().kind != "end":
            self._fail(f"{self._peek().text!r} is not expected here")
        return result

    # rules

    def _or(self) -> Evaluate:
        terms = [self._and()]
        while self._accept_word("or"):
            terms.append(self._and())
        return terms[0] if len(terms) == 1 else lambda row: _any(term(row) for term in terms)

    def _and(self) -> Evaluate:
        terms = [self._not()]
        while self._accept_word("and"):
            terms.append(self._not())
        return terms[0] if len(terms) == 1 else lambda row: _all(term(row) for term in terms)

    def _not(self) -> Evaluate:
        if self._accept_word("not"):
            return _negate(self._not())
        if self._accept_symbol("("):
            inner = self._or()
            self._expect_symbol(")")
            return inner
        return self._predicate()

    def _predicate(self) -> Evaluate:
        left = self._operand()
        if self._accept_word("is"):
            negated = self._accept_word("not")
            self._expect_word("null")
            column = self._column_of(left, "IS NULL")
            return lambda row: (row[column.name] is None) != negated
        negated = self._accept_word("not")
        if self._accept_word("between"):
            test = self._between(self._column_of(left, "BETWEEN"))
        elif self._accept_word("in"):
            test = self._in(self._column_of(left, "IN"))
        elif self._accept_word("like"):
            test = self._like(self._column_of(left, "LIKE"))
        elif negated:
            self._fail("NOT is followed by BETWEEN, IN or LIKE here")
        else:
            return self._comparison(left)
        return _negate(test) if negated else test

    def _comparison(self, left: _Column | _Literal) -> Evaluate:
        token = self._peek()
        if token.kind != "symbol" or token.text not in _COMPARE:
            self._fail("a comparison operator is expected")
        self._next += 1
        right = self._operand()
        if isinstance(left, _Column) and isinstance(right, _Column):
            return self._compare_columns(left, token.text, right)
        if isinstance(left, _Column) and isinstance(right, _Literal):
            return self._compare(left, token.text, right)
        if isinstance(left, _Literal) and isinstance(right, _Column):
            return self._compare(right, _MIRROR[token.text], left)
        self._fail("a comparison needs a partition key on one side")

    def _compare(self, column: _Column, operator: str, literal: _Literal) -> Evaluate:
        wanted = self._convert(column, literal)
        compare = _COMPARE[operator]

        def evaluate(row: Mapping[str, Any]) -> Ternary:
            value = row[column.name]
            return None if value is None else compare(value, wanted)

        return evaluate

    def _compare_columns(self, left: _Column, operator: str, right: _Column) -> Evaluate:
        if self._columns[left.name].name != self._columns[right.name].name:
            self._fail(f"{left.name} and {right.name} are of different types")
        compare = _COMPARE[operator]

        def evaluate(row: Mapping[str, Any]) -> Ternary:
            one, other = row[left.name], row[right.name]
            return None if one is None or other is None else compare(one, other)

        return evaluate

    def _between(self, column: _Column) -> Evaluate:
        low = self._convert(column, self._literal())
        self._expect_word("and")
        high = self._convert(column, self._literal())

        def evaluate(row: Mapping[str, Any]) -> Ternary:
            value = row[column.name]
            return None if value is None else low <= value <= high

        return evaluate

    def _in(self, column: _Column) -> Evaluate:
        self._expect_symbol("(")
        members = {self._convert(column, self._literal())}
        while self._accept_symbol(","):
            members.add(self._convert(column, self._literal()))
        self._expect_symbol(")")

        def evaluate(row: Mapping[str, Any]) -> Ternary:
            value = row[column.name]
            return None if value is None else value in members

        return evaluate

    def _like(self, column: _Column) -> Evaluate:
        if not self._columns[column.name].is_text:
            self._fail(
                f"LIKE needs a string key, {column.name} is {self._columns[column.name].name}"
            )
        pattern = _like_pattern(self._literal().text)

        def evaluate(row: Mapping[str, Any]) -> Ternary:
            value = row[column.name]
            return None if value is None else pattern.fullmatch(value) is not None

        return evaluate

    # operands

    def _operand(self) -> _Column | _Literal:
        token = self._peek()
        if token.kind == "word" and token.text.lower() in {"date", "timestamp"}:
            following = self._tokens[self._next + 1]
            if following.kind == "string":
                return self._literal()
        if token.kind == "quoted" or (
            token.kind == "word"
            and (token.text.lower() not in _KEYWORDS or token.text.lower() in self._columns)
        ):
            self._next += 1
            name = token.text
            if token.kind == "quoted":
                name = name[1:-1].replace('""', '"')
            if name.lower() not in self._columns:
                self._fail(
                    f"{name!r} is not a partition key of the table "
                    f"({', '.join(self._columns) or 'it has none'})"
                )
            return _Column(name.lower())
        return self._literal()

    def _literal(self) -> _Literal:
        token = self._peek()
        if (
            token.kind == "word"
            and token.text.lower() in {"date", "timestamp"}
            and self._tokens[self._next + 1].kind == "string"
        ):
            self._next += 1
            token = self._peek()
        if token.kind == "string":
            self._next += 1
            return _Literal(token.text[1:-1].replace("''", "'"))
        if token.kind == "number":
            self._next += 1
            return _Literal(token.text)
        self._fail("a literal is expected")

    def _convert(self, column: _Column, literal: _Literal) -> Any:
        key_type = self._columns[column.name]
        value = key_type.read(literal.text)
        if value is None:
            self._fail(f"{literal.text!r} is no {key_type.name}, the type of key {column.name}")
        return value

    def _column_of(self, operand: _Column | _Literal, operator: str) -> _Column:
        if not isinstance(operand, _Column):
            self._fail(f"{operator} needs a partition key on its left")
        return operand

    # tokens

    def _tokenize(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise InvalidExpression(
                    f"cannot read {text[at:].strip()[:20]!r} at position {at} of {text!r}"
                )
            tokens.append(_Token(found.lastgroup, found.group(found.lastgroup), at))
            at = found.end()
        tokens.append(_Token("end", "the end", len(text)))
        return tokens

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _accept_word(self, word: str) -> bool:
        token = self._peek()
        if token.kind == "word" and token.text.lower() == word:
            self._next += 1
            return True
        return False

    def _expect_word(self, word: str) -> None:
        if not self._accept_word(word):
            self._fail(f"{word.upper()} is expected")

    def _accept_symbol(self, symbol: str) -> bool:
        token = self._peek()
        if token.kind == "symbol" and token.text == symbol:
            self._next += 1
            return True
        return False

    def _expect_symbol(self, symbol: str) -> None:
        if not self._accept_symbol(symbol):
            self._fail(f"{symbol!r} is expected")

    def _fail(self, reason: str) -> NoReturn:
        raise InvalidExpression(f"{reason} (position {self._peek().at} of {self._source!r})")


# -- three-valued logic ----------------------------------------------------------------------


def _all(values: Any) -> Ternary:
    seen_unknown = False
    for value in values:
        if value is False:
            return False
        seen_unknown = seen_unknown or value is None
    return None if seen_unknown else True


def _any(values: Any) -> Ternary:
    seen_unknown = False
    for value in values:
        if value is True:
            return True
        seen_unknown = seen_unknown or value is None
    return None if seen_unknown else False


def _negate(inner: Evaluate) -> Evaluate:
    def evaluate(row: Mapping[str, Any]) -> Ternary:
        value = inner(row)
        return None if value is None else not value

    return evaluate


def _like_pattern(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(char, re.escape(char)) for char in pattern), re.DOTALL)
