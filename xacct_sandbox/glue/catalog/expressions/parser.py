"""Recursive descent over the tokens of an expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.glue.catalog.expressions.key_types import KeyType
from xacct_sandbox.glue.catalog.expressions.predicates import (
    COMPARISONS,
    MIRRORED,
    Predicate,
    compare_columns,
    every,
    is_null,
    like_pattern,
    negate,
    some,
    when_known,
)
from xacct_sandbox.glue.catalog.expressions.tokens import TokenCursor

_KEYWORDS = {"and", "or", "not", "in", "between", "like", "is", "null", "date", "timestamp"}


@dataclass(frozen=True)
class _Column:
    name: str


@dataclass(frozen=True)
class _Literal:
    text: str


class Parser:
    """Parses one expression; each method of the grammar returns a predicate.

    Args:
        expression: the text.
        columns: the type of each partition key, by its name in lower case.

    Raises:
        InvalidExpression: the expression holds a character that starts no token.
    """

    def __init__(self, expression: str, columns: Mapping[str, KeyType]) -> None:
        self._columns = columns
        self._tokens = TokenCursor(expression)

    def parse(self) -> Predicate:
        """The predicate of the whole expression.

        Raises:
            InvalidExpression: naming the position and what is wrong there.
        """
        predicate = self._disjunction()
        if self._tokens.current.kind != "end":
            self._tokens.fail(f"{self._tokens.current.text!r} is not expected here")
        return predicate

    # -- grammar -----------------------------------------------------------------------------

    def _disjunction(self) -> Predicate:
        terms = [self._conjunction()]
        while self._tokens.accept_word("or"):
            terms.append(self._conjunction())
        return some(terms)

    def _conjunction(self) -> Predicate:
        terms = [self._negation()]
        while self._tokens.accept_word("and"):
            terms.append(self._negation())
        return every(terms)

    def _negation(self) -> Predicate:
        if self._tokens.accept_word("not"):
            return negate(self._negation())
        if self._tokens.accept_symbol("("):
            inner = self._disjunction()
            self._tokens.expect_symbol(")")
            return inner
        return self._predicate()

    def _predicate(self) -> Predicate:
        left = self._operand()
        if self._tokens.accept_word("is"):
            negated = self._tokens.accept_word("not")
            self._tokens.expect_word("null")
            test = is_null(self._column_of(left, "IS NULL"))
            return negate(test) if negated else test
        negated = self._tokens.accept_word("not")
        if self._tokens.accept_word("between"):
            test = self._between(self._column_of(left, "BETWEEN"))
        elif self._tokens.accept_word("in"):
            test = self._in(self._column_of(left, "IN"))
        elif self._tokens.accept_word("like"):
            test = self._like(self._column_of(left, "LIKE"))
        elif negated:
            self._tokens.fail("NOT is followed by BETWEEN, IN or LIKE here")
        else:
            return self._comparison(left)
        return negate(test) if negated else test

    def _comparison(self, left: _Column | _Literal) -> Predicate:
        token = self._tokens.current
        if token.kind != "symbol" or token.text not in COMPARISONS:
            self._tokens.fail("a comparison operator is expected")
        self._tokens.advance()
        right = self._operand()
        if isinstance(left, _Column) and isinstance(right, _Column):
            if self._columns[left.name].name != self._columns[right.name].name:
                self._tokens.fail(f"{left.name} and {right.name} are of different types")
            return compare_columns(left.name, token.text, right.name)
        if isinstance(left, _Column) and isinstance(right, _Literal):
            return self._compare(left.name, token.text, right)
        if isinstance(left, _Literal) and isinstance(right, _Column):
            return self._compare(right.name, MIRRORED[token.text], left)
        self._tokens.fail("a comparison needs a partition key on one side")

    def _compare(self, column: str, operator: str, literal: _Literal) -> Predicate:
        operand = self._convert(column, literal)
        compare = COMPARISONS[operator]
        return when_known(column, lambda value: compare(value, operand))

    def _between(self, column: str) -> Predicate:
        low = self._convert(column, self._literal())
        self._tokens.expect_word("and")
        high = self._convert(column, self._literal())
        return when_known(column, lambda value: bool(low <= value <= high))

    def _in(self, column: str) -> Predicate:
        self._tokens.expect_symbol("(")
        members = {self._convert(column, self._literal())}
        while self._tokens.accept_symbol(","):
            members.add(self._convert(column, self._literal()))
        self._tokens.expect_symbol(")")
        return when_known(column, lambda value: value in members)

    def _like(self, column: str) -> Predicate:
        if not self._columns[column].is_text:
            self._tokens.fail(f"LIKE needs a string key, {column} is {self._columns[column].name}")
        pattern = like_pattern(self._literal().text)
        return when_known(column, lambda value: pattern.fullmatch(value) is not None)

    # -- operands ----------------------------------------------------------------------------

    def _operand(self) -> _Column | _Literal:
        token = self._tokens.current
        names_column = token.word and (token.word not in _KEYWORDS or token.word in self._columns)
        if token.kind != "quoted" and (self._at_typed_literal() or not names_column):
            return self._literal()
        self._tokens.advance()
        name = token.text
        if token.kind == "quoted":
            name = name[1:-1].replace('""', '"')
        if name.lower() not in self._columns:
            self._tokens.fail(
                f"{name!r} is not a partition key of the table "
                f"({', '.join(self._columns) or 'it has none'})"
            )
        return _Column(name.lower())

    def _at_typed_literal(self) -> bool:
        """Whether ``date '...'`` or ``timestamp '...'`` is next."""
        return (
            self._tokens.current.word in {"date", "timestamp"}
            and self._tokens.following.kind == "string"
        )

    def _literal(self) -> _Literal:
        if self._at_typed_literal():
            self._tokens.advance()
        token = self._tokens.current
        if token.kind == "string":
            self._tokens.advance()
            return _Literal(token.text[1:-1].replace("''", "'"))
        if token.kind == "number":
            self._tokens.advance()
            return _Literal(token.text)
        self._tokens.fail("a literal is expected")

    def _convert(self, column: str, literal: _Literal) -> Any:
        key_type = self._columns[column]
        value = key_type.read(literal.text)
        if value is None:
            self._tokens.fail(f"{literal.text!r} is no {key_type.name}, the type of key {column}")
        return value

    def _column_of(self, operand: _Column | _Literal, operator: str) -> str:
        if not isinstance(operand, _Column):
            self._tokens.fail(f"{operator} needs a partition key on its left")
        return operand.name
