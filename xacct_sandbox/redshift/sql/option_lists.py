"""The option lists of COPY and UNLOAD: keywords, literals and numbers, each checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    FEATURE_NOT_SUPPORTED,
    SYNTAX_ERROR,
    RedshiftError,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token

_ROLE = re.compile(r"^arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+$")
DEFAULT_ROLE = "default"
CSV = "csv"
JSON = "json"
PARQUET = "parquet"
AUTHORIZATION = frozenset(
    {"IAM_ROLE", "WITH", "CREDENTIALS", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"}
)
"""Keywords that begin the authorization of a COPY or an UNLOAD."""


@dataclass(frozen=True)
class S3Location:
    bucket: str
    key: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class OptionReader:
    """A cursor over the tokens of a statement."""

    def __init__(self, command: str, sql: str, tokens: list[Token], index: int) -> None:
        self.command = command
        self.sql = sql
        self.tokens = tokens
        self.index = index

    def done(self) -> bool:
        return self.index >= len(self.tokens)

    def peek(self) -> str:
        """The next keyword or operator; empty at the end and before a literal."""
        return "" if self.done() else self.tokens[self.index].upper

    def peek_is(self, kind: str) -> bool:
        return not self.done() and self.tokens[self.index].kind == kind

    def next(self) -> Token:
        if self.done():
            raise self.error("end of input")
        self.index += 1
        return self.tokens[self.index - 1]

    def accept(self, *words: str) -> bool:
        """Step over these keywords if they are next."""
        following = [t.upper for t in self.tokens[self.index : self.index + len(words)]]
        if following != list(words):
            return False
        self.index += len(words)
        return True

    def expect(self, word: str) -> None:
        if not self.accept(word):
            near = "end of input" if self.done() else self.tokens[self.index].text
            raise self.error(near)

    def error(self, near: str) -> RedshiftError:
        return RedshiftError(
            f'{self.command}: syntax error at or near "{near}"', sqlstate=SYNTAX_ERROR
        )

    def literal(self, name: str) -> str:
        """A quoted value."""
        if self.peek_is(lexer.STRING) or self.peek_is(lexer.DOLLAR):
            return lexer.unquote_literal(self.next())
        near = "end of input" if self.done() else self.tokens[self.index].text
        raise RedshiftError(
            f'{self.command}: {name} must be a quoted value, not "{near}"', sqlstate=SYNTAX_ERROR
        )

    def as_literal(self, name: str) -> str:
        self.accept("AS")
        return self.literal(name)

    def number(self, name: str) -> float:
        """A number, quoted or not."""
        token = self.next()
        text = lexer.unquote_literal(token) if token.kind == lexer.STRING else token.text
        try:
            return float(text)
        except ValueError:
            raise RedshiftError(
                f'{self.command}: {name} must be a number, not "{text}"', sqlstate=SYNTAX_ERROR
            ) from None

    def on_off(self) -> bool:
        """ON, OFF, TRUE or FALSE; on without any of them."""
        word = self.peek()
        if word in ("ON", "TRUE"):
            self.index += 1
            return True
        if word in ("OFF", "FALSE"):
            self.index += 1
            return False
        return True

    def one_character(self, name: str) -> str:
        """One ASCII character: itself, or an octal escape like ``\\001``."""
        value = self.as_literal(name)
        octal = re.fullmatch(r"\\?([0-7]{3})", value)
        if octal:
            value = chr(int(octal[1], 8))
        if value == "\\t":
            value = "\t"
        if len(value) != 1 or ord(value) > 127:
            raise RedshiftError(
                f"{self.command}: {name} must be a single ASCII character, not {value!r}"
            )
        return value


@dataclass(frozen=True)
class OptionTable:
    """The options of a command whose meaning is one field of its statement.

    Attributes:
        lacking: Options that the sandbox does not have -> what to do instead.
        flags: Options without a value -> the field that becomes True.
        literals: Options with a quoted value -> the field.
        characters: Options with one character -> the field.
        compressions: Options that name a compression.
    """

    command: str
    lacking: Mapping[str, str]
    flags: Mapping[str, str]
    literals: Mapping[str, str]
    characters: Mapping[str, str]
    compressions: Set[str]

    def read(self, reader: OptionReader, word: str, values: dict[str, Any]) -> bool:
        """Read the option that begins with ``word`` into ``values``.

        Returns:
            Whether it is an option of this table.

        Raises:
            RedshiftError: Its value is wrong, or the sandbox does not have it.
        """
        if word in self.lacking:
            raise sandbox_lacks(f"{self.command} option {word}", self.lacking[word])
        if word in AUTHORIZATION:
            values["roles"] = authorization(reader, word)
        elif word in self.flags:
            values[self.flags[word]] = True
        elif word in self.literals:
            values[self.literals[word]] = reader.as_literal("NULL AS" if word == "NULL" else word)
        elif word in self.characters:
            values[self.characters[word]] = reader.one_character(word)
        elif word in self.compressions:
            values["compression"] = word.lower()
        else:
            return False
        return True

    def complete(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values with the defaults that depend on others.

        Raises:
            RedshiftError: There is no authorization.
        """
        if "roles" not in values:
            raise RedshiftError(
                f"{self.command} needs authorization",
                hint="Add IAM_ROLE 'arn:…' or IAM_ROLE default.",
            )
        return {"delimiter": ",", **values} if values.get("format") == CSV else values


def first_given(options: Mapping[str, object]) -> str | None:
    """The name of the first option that was given a value."""
    return next((name for name, value in options.items() if value), None)


def s3_location(command: str, url: str) -> S3Location:
    """The bucket and key of an ``s3://`` URL.

    Raises:
        RedshiftError: It is another URL.
    """
    parts = urlsplit(url, allow_fragments=False)
    if parts.scheme != "s3" or not parts.netloc or parts.query:
        raise RedshiftError(
            f"{command}: {url!r} is not an Amazon S3 location",
            hint="The sandbox reads and writes s3://bucket/key; other sources are not supported.",
        )
    return S3Location(parts.netloc, parts.path.lstrip("/"))


def role_chain(command: str, text: str) -> tuple[str, ...]:
    """The roles of IAM_ROLE, in the order in which they are assumed.

    Raises:
        RedshiftError: It is not a list of role ARNs, separated by commas, without spaces.
    """
    roles = tuple(text.split(","))
    for role in roles:
        if not _ROLE.match(role):
            raise RedshiftError(
                f"{command}: Invalid IAM role {role!r} in IAM_ROLE",
                hint="Give one literal: role ARNs, separated by commas, without spaces.",
            )
    return roles


def authorization(reader: OptionReader, word: str) -> tuple[str, ...] | str:
    """The roles that IAM_ROLE, or the older CREDENTIALS 'aws_iam_role=…', names.

    Raises:
        RedshiftError: It names none, or holds access keys.
    """
    if word == "IAM_ROLE":
        if reader.accept("DEFAULT"):
            return DEFAULT_ROLE
        text = reader.literal("IAM_ROLE")
        if text.lower() == DEFAULT_ROLE:
            return DEFAULT_ROLE
    else:
        if word == "WITH":
            reader.expect("CREDENTIALS")
        if word not in ("WITH", "CREDENTIALS"):
            raise _refuse_keys(reader.command, word)
        name, _, text = reader.as_literal("CREDENTIALS").partition("=")
        if name.strip().lower() != "aws_iam_role":
            raise _refuse_keys(reader.command, "CREDENTIALS with access keys")
    return role_chain(reader.command, text)


def _refuse_keys(command: str, option: str) -> RedshiftError:
    return RedshiftError(
        f"{command}: {option} is refused by the sandbox: credentials do not belong in SQL text",
        sqlstate=FEATURE_NOT_SUPPORTED,
        hint="Use IAM_ROLE 'arn:aws:iam::…:role/…' with a role attached to the namespace.",
    )
