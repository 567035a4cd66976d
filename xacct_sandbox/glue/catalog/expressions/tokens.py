"""The tokens of an expression, and a cursor over them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from xacct_sandbox.glue.catalog.expressions.errors import InvalidExpression


@dataclass(frozen=True)
class Token:
    """A piece of the expression and its position in it."""

    kind: str  # word, quoted, string, number, symbol, end
    text: str
    position: int

    @property
    def word(self) -> str:
        """The word in lower case; empty for another kind of token."""
        return self.text.lower() if self.kind == "word" else ""


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


class TokenCursor:
    """Reads the tokens of an expression one by one.

    Raises:
        InvalidExpression: the expression holds a character that starts no token.
    """

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = _tokenize(expression)
        self._index = 0

    @property
    def current(self) -> Token:
        """The token to read next; the last one is of kind ``end``."""
        return self._tokens[self._index]

    @property
    def following(self) -> Token:
        """The token after the current one, which must not be the end."""
        return self._tokens[self._index + 1]

    def advance(self) -> Token:
        """Read the current token."""
        token = self.current
        self._index += 1
        return token

    def accept_word(self, word: str) -> bool:
        """Read the word (in lower case) if it is the current token; whether it was."""
        return self._accept(self.current.word == word)

    def accept_symbol(self, symbol: str) -> bool:
        """Read the symbol if it is the current token; whether it was."""
        return self._accept(self.current.kind == "symbol" and self.current.text == symbol)

    def expect_word(self, word: str) -> None:
        """Read the word, or fail."""
        if not self.accept_word(word):
            self.fail(f"{word.upper()} is expected")

    def expect_symbol(self, symbol: str) -> None:
        """Read the symbol, or fail."""
        if not self.accept_symbol(symbol):
            self.fail(f"{symbol!r} is expected")

    def fail(self, reason: str) -> NoReturn:
        """Refuse the expression at the current position.

        Raises:
            InvalidExpression: always.
        """
        raise InvalidExpression(
            f"{reason} (position {self.current.position} of {self._expression!r})"
        )

    def _accept(self, matches: bool) -> bool:
        if matches:
            self._index += 1
        return matches


def _tokenize(text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise InvalidExpression(
                f"cannot read {text[position:].strip()[:20]!r} at position {position} of {text!r}"
            )
        tokens.append(Token(match.lastgroup, match.group(match.lastgroup), position))
        position = match.end()
    tokens.append(Token("end", "the end", len(text)))
    return tokens
