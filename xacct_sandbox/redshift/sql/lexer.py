"""Tokens of Redshift SQL, with their places, so that a text can be edited and not rebuilt.

Literals follow PostgreSQL 8.0, which Redshift descends from: a backslash escapes inside '…'.
White space and comments are no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from xacct_sandbox.redshift.sql.errors import SYNTAX_ERROR, RedshiftError

WORD = "word"
QUOTED = "quoted"
STRING = "string"
DOLLAR = "dollar"
NUMBER = "number"
PARAMETER = "parameter"
OPERATOR = "operator"

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<string>[eEnN]?'(?:[^'\\]|\\.|'')*')
  | (?P<open_string>[eEnN]?')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<open_quoted>")
  | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
  | (?P<parameter>\$\d+)
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
  | (?P<operator>::|:=|<=|>=|<>|!=|\|\||->>|->|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """Of a word: its keyword; of an operator: itself; of anything else: nothing."""
        if self.kind == WORD:
            return self.text.upper()
        return self.text if self.kind == OPERATOR else ""

    def is_name(self) -> bool:
        return self.kind in (WORD, QUOTED)

    @property
    def name(self) -> str:
        """The identifier meant: Redshift folds quoted ones to lower case too."""
        if self.kind == QUOTED:
            return fold(self.text[1:-1].replace('""', '"'))
        return fold(self.text)


def tokenize(sql: str) -> list[Token]:
    """All tokens of a text.

    Raises:
        RedshiftError: a literal, comment, quoted name or body is not closed.
    """
    tokens: list[Token] = []
    position, size = 0, len(sql)
    while position < size:
        match = _TOKEN.match(sql, position)
        assert match is not None  # the last alternative takes any character
        kind = match.lastgroup
        end = match.end()
        if kind == "space":
            position = end
            continue
        if kind == "comment":
            position = _comment_end(sql, position)
            continue
        if kind in ("open_string", "open_quoted"):
            what = "quoted string" if kind == "open_string" else "quoted identifier"
            raise RedshiftError(
                f'unterminated {what} at or near "{sql[position : position + 20]}"',
                sqlstate=SYNTAX_ERROR,
            )
        if kind == DOLLAR:
            close = sql.find(match[0], end)
            if close < 0:
                raise RedshiftError(
                    f'unterminated dollar-quoted string at or near "{match[0]}"',
                    sqlstate=SYNTAX_ERROR,
                )
            end = close + len(match[0])
        tokens.append(Token(kind or OPERATOR, sql[position:end], position, end))
        position = end
    return tokens


def fold(name: str) -> str:
    """Lower case of ASCII letters only, as the server folds names."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


def unquote_literal(token: Token) -> str:
    """The value of a '…' or $$…$$ token."""
    if token.kind == DOLLAR:
        return dollar_body(token)[1]
    body = token.text[token.text.index("'") + 1 : -1]
    return _ESCAPE.sub(_unescape, body)


def dollar_body(token: Token) -> tuple[str, str]:
    """($tag$, the text between) of a dollar-quoted token."""
    tag = token.text[: token.text.index("$", 1) + 1]
    return tag, token.text[len(tag) : -len(tag)]


def quote_literal(value: str) -> str:
    """A literal that means ``value`` where backslashes escape."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def split_statements(sql: str) -> list[str]:
    """The statements of a script, without their semicolons; empty ones are dropped."""
    statements, start, depth = [], 0, 0
    begin: int | None = None
    for token in tokenize(sql):
        if token.text == ";" and depth == 0:
            if begin is not None:
                statements.append(sql[start : token.start])
            start, begin = token.end, None
            continue
        if begin is None:
            begin = token.start
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth = max(0, depth - 1)
    if begin is not None:
        statements.append(sql[start:])
    return [statement.strip() for statement in statements]


def edited(sql: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """``sql`` with (start, end, replacement) applied; edits must not overlap."""
    parts, position = [], 0
    for start, end, replacement in sorted(edits, key=lambda edit: (edit[0], edit[1])):
        parts.append(sql[position:start])
        parts.append(replacement)
        position = end
    parts.append(sql[position:])
    return "".join(parts)


def closing(tokens: list[Token], opening: int) -> int:
    """The index of the parenthesis that closes the one at ``opening``.

    Raises:
        RedshiftError: there is none.
    """
    depth = 0
    for index in range(opening, len(tokens)):
        text = tokens[index].text
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
            if depth == 0:
                return index
    raise RedshiftError('syntax error at end of input: ")" is missing', sqlstate=SYNTAX_ERROR)


def split_on_commas(tokens: list[Token], start: int, end: int) -> list[tuple[int, int]]:
    """Ranges of token indices between commas at the outer level of [start, end)."""
    ranges, depth, begin = [], 0, start
    for index in range(start, end):
        text = tokens[index].text
        if text in ("(", "["):
            depth += 1
        elif text in (")", "]"):
            depth -= 1
        elif text == "," and depth == 0:
            ranges.append((begin, index))
            begin = index + 1
    ranges.append((begin, end))
    return ranges


def _comment_end(sql: str, position: int) -> int:
    depth = 0
    for match in _COMMENT_EDGE.finditer(sql, position):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise RedshiftError("unterminated /* comment", sqlstate=SYNTAX_ERROR)


def _unescape(match: re.Match[str]) -> str:
    if match[0] == "''":
        return "'"
    return _ESCAPED.get(match[1], match[1])
