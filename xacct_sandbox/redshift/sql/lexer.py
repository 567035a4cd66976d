"""The tokens of Redshift SQL with their positions, so that a text can be edited in place.

Literals are those of PostgreSQL 8.0, from which Redshift descends: a backslash escapes inside '…'.
White space and comments are not tokens.
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
_LEADING_SPACE = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_IAM_USER = re.compile(r"IAMR?:.")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


Edit = tuple[int, int, str]
"""The start and end of a piece of SQL text, and what replaces it."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """The keyword of a word, the text of an operator, empty for anything else."""
        if self.kind == WORD:
            return self.text.upper()
        return self.text if self.kind == OPERATOR else ""

    def is_name(self) -> bool:
        return self.kind in (WORD, QUOTED)

    @property
    def name(self) -> str:
        """The identifier. Redshift folds quoted ones to lower case too.

        Names of IAM identities stay as they are: CREATE USER and GRANT with ``"IAMR:Role"`` are
        about the user that GetCredentials logs in (Bedrock guide, "Set up a query engine ... for
        creating a knowledge base with a structured data store").
        """
        if self.kind == QUOTED:
            name = self.text[1:-1].replace('""', '"')
            return name if _IAM_USER.match(name) else fold(name)
        return fold(self.text)


def tokenize(sql: str) -> list[Token]:
    """All tokens of a text.

    Raises:
        RedshiftError: A literal, comment, quoted name or body is not closed.
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
            literal = "quoted string" if kind == "open_string" else "quoted identifier"
            raise RedshiftError(
                f'unterminated {literal} at or near "{sql[position : position + 20]}"',
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
    """A name in lower case. Only ASCII letters are folded, as in the server."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


def unquote_literal(token: Token) -> str:
    """The value of a '…' or $$…$$ token."""
    if token.kind == DOLLAR:
        return dollar_body(token)[1]
    body = token.text[token.text.index("'") + 1 : -1]
    return _ESCAPE.sub(_unescape, body)


def dollar_body(token: Token) -> tuple[str, str]:
    """The tag and the text of a dollar-quoted token: ``("$tag$", text)``."""
    tag = token.text[: token.text.index("$", 1) + 1]
    return tag, token.text[len(tag) : -len(tag)]


def quote_literal(value: str) -> str:
    """A literal of ``value``, for a server where backslashes escape."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def split_statements(sql: str) -> list[str]:
    """The statements of a script without semicolons. Empty ones are left out."""
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


def edited(sql: str, edits: Iterable[Edit]) -> str:
    """``sql`` with (start, end, replacement) applied; edits must not overlap."""
    parts, position = [], 0
    for start, end, replacement in sorted(edits, key=lambda edit: (edit[0], edit[1])):
        parts.append(sql[position:start])
        parts.append(replacement)
        position = end
    parts.append(sql[position:])
    return "".join(parts)


def word_at(tokens: list[Token], index: int) -> str:
    """The keyword or operator at ``index``; empty after the last token."""
    return tokens[index].upper if index < len(tokens) else ""


def closing(tokens: list[Token], opening: int) -> int:
    """The index of the parenthesis that closes the one at ``opening``.

    Raises:
        RedshiftError: There is none.
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


def column_list(tokens: list[Token], index: int) -> tuple[list[str], int]:
    """The names in the parentheses at ``index``, and the index after them.

    Raises:
        RedshiftError: There is no parenthesis.
    """
    if index >= len(tokens) or tokens[index].text != "(":
        raise RedshiftError("syntax error: a list of columns is missing", sqlstate=SYNTAX_ERROR)
    close = closing(tokens, index)
    names = [tokens[start].name for start, _ in split_on_commas(tokens, index + 1, close)]
    return names, close + 1


def qualified_name_end(tokens: list[Token], index: int) -> int:
    """The index after the name, with or without a schema, that begins at ``index``.

    Raises:
        RedshiftError: There is no name.
    """
    if index >= len(tokens) or not tokens[index].is_name():
        near = tokens[index].text if index < len(tokens) else "end of input"
        raise RedshiftError(f'syntax error at or near "{near}"', sqlstate=SYNTAX_ERROR)
    index += 1
    while index + 1 < len(tokens) and tokens[index].text == ".":
        index += 2
    return index


def qualified_name(tokens: list[Token], start: int, end: int) -> str:
    """The name of tokens [start, end), quoted for PostgreSQL."""
    return ".".join(quote_name(token.name) for token in tokens[start:end] if token.is_name())


def leading_keyword(sql: str) -> str:
    """The first word of a statement in upper case; empty if it does not begin with a word."""
    match = _LEADING_SPACE.match(sql)
    start = match.end() if match else 0
    word = re.match(r"[A-Za-z]+", sql[start : start + 40])
    return word[0].upper() if word else ""


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
