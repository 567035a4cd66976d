"""SQL text: quotes identifiers and literals, and splits scripts. Other values are parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import resources

from xacct_assets.aws.redshift.reserved_words import RESERVED_WORDS

# Redshift's standard identifiers, ASCII only. The server silently truncates names above 127 bytes;
# they are refused here.
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,126}")
# IAM user and role names: letters, digits and +=,.@_- (IAM guide, "IAM and AWS STS quotas").
_IAM_USER = re.compile(r"IAMR?:[\w+=,.@-]{1,128}", re.ASCII)


def identifier(name: str) -> str:
    """Quote a name, folded to lower case as Redshift folds it.

    Raises:
        ValueError: it has other characters than letters, digits, `_` and `$`, so that none can end
            the quoting.

    >>> identifier("Products")
    '"products"'
    """
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a usable SQL name: use up to 127 ASCII letters, digits, _ and $, "
            "not starting with a digit"
        )
    return f'"{name.lower()}"'


def qualified(name: str) -> str:
    """Quote each part of a dotted name: table, schema.table or database.schema.table.

    >>> qualified("public.products")
    '"public"."products"'
    """
    parts = name.split(".")
    if len(parts) > 3:
        raise ValueError(f"{name!r} has {len(parts)} parts; a SQL name has at most three")
    return ".".join(identifier(part) for part in parts)


def plain_identifier(name: str) -> str:
    """A name for SQL that people read: quoted only if it must be.

    Raises:
        ValueError: as `identifier`.

    >>> plain_identifier("price"), plain_identifier("order")
    ('price', '"order"')
    """
    quoted = identifier(name)
    return quoted if name.lower() in RESERVED_WORDS else name.lower()


def plain_qualified(name: str) -> str:
    """A dotted name for SQL that people read: parts are quoted only if they must be."""
    return ".".join(map(plain_identifier, name.split(".")))


def database_user(name: str) -> str:
    """Quote the name of a database user; that of an IAM identity keeps its case.

    >>> database_user("IAMR:Loader")
    '"IAMR:Loader"'
    """
    return f'"{name}"' if _IAM_USER.fullmatch(name) else identifier(name)


def load_statement(package: str, name: str, **names: str | Sequence[str]) -> str:
    """Read ``sql/<name>.sql`` of a package and fill in the names of tables and columns.

    Comments before the statement are dropped. Values are left as the parameters that they are.

    Args:
        package: such as ``xacct_assets.feed``.
        name: of the file, without its suffix.
        names: for the placeholders ``{...}`` of the file: a table name, or several column names;
            for ``{user}`` a database user.

    Raises:
        ValueError: a name cannot be quoted.
        KeyError: a placeholder has no name.
    """
    text = resources.files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return _trim(text).format(
        **{placeholder: _quoted(placeholder, value) for placeholder, value in names.items()}
    )


def _quoted(placeholder: str, value: str | Sequence[str]) -> str:
    if placeholder == "user":
        return database_user(str(value))
    return qualified(value) if isinstance(value, str) else ", ".join(map(identifier, value))


def literal(text: str) -> str:
    """A SQL string literal, for statements that take no parameters (UNLOAD, COPY).

    Raises:
        ValueError: the text has a backslash (an escape for Redshift but not for PostgreSQL) or a
            NUL.

    >>> literal("it's")
    "'it''s'"
    """
    for bad, name in (("\\", "a backslash"), ("\0", "a NUL character")):
        if bad in text:
            raise ValueError(f"{name} cannot stand in a SQL literal; it is in {text[:60]!r}")
    return "'" + text.replace("'", "''") + "'"


# Tokens that may contain a semicolon that ends no statement. Alternatives are tried in this order.
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* )
    | (?P<block> /\*.*?(?:\*/|\Z) )
    | (?P<string> '(?:[^']|'')*(?:'|\Z) )
    | (?P<name> "(?:[^"]|"")*(?:"|\Z) )
    | (?P<dollar> (?<![\w$]) (?P<tag> \$(?:[A-Za-z_]\w*)?\$ ) (?: .*? (?P=tag) | .*\Z ) )
    | (?P<end> ; )
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> Iterator[tuple[str | None, str]]:
    """The parts of SQL text: comments, strings, names, bodies, semicolons, and others (None).

    Raises:
        ValueError: a string, comment or body is not closed.
    """
    cursor = 0
    for match in _TOKEN.finditer(text):
        if match.start() > cursor:
            yield None, text[cursor : match.start()]
        cursor = match.end()
        kind = match.lastgroup if match.lastgroup != "tag" else "dollar"
        _require_closed(match, kind, text)
        yield kind, match.group()
    if cursor < len(text):
        yield None, text[cursor:]


def split_statements(text: str) -> list[str]:
    """The statements of a script, without final semicolons and without comments between them.

    Semicolons inside strings, quoted names, comments and ``$$`` bodies end no statement.

    Raises:
        ValueError: a string, comment or body is not closed.
    """
    statements: list[str] = []
    whole: list[str] = []
    bare: list[str] = []  # the statement without its comments
    for kind, part in (*tokens(text), ("end", ";")):
        if kind == "end":
            if "".join(bare).strip():
                statements.append(_trim("".join(whole)))
            whole, bare = [], []
            continue
        whole.append(part)
        if kind not in ("comment", "block"):
            bare.append(part)
    return statements


def _require_closed(match: re.Match[str], kind: str | None, text: str) -> None:
    body = match.group()
    closed = {
        "block": body.endswith("*/") and len(body) >= 4,
        "string": len(body) >= 2 and body.endswith("'"),
        "name": len(body) >= 2 and body.endswith('"'),
        "dollar": len(body) >= 2 * len(match["tag"] or "") and body.endswith(match["tag"] or ""),
    }.get(kind or "", True)
    if not closed:
        line = text.count("\n", 0, match.start()) + 1
        raise ValueError(f"the {kind} that starts on line {line} with {body[:20]!r} is not closed")


_LEADING = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)


def _trim(statement: str) -> str:
    match = _LEADING.match(statement)
    return statement[match.end() if match else 0 :].strip()
