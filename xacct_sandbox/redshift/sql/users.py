"""CREATE USER, ALTER USER, DROP USER and groups, as calls of the sandbox's functions.

A superuser of Redshift is not one of PostgreSQL, who could read files. Functions owned by rdsdb do
what the caller is allowed to do (``sql/internal.sql``).
"""

from __future__ import annotations

import re

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    SYNTAX_ERROR,
    RedshiftError,
    not_supported,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token
from xacct_sandbox.redshift.sql.plans import Plan, Steps

_PASSWORD = re.compile(r"(?is)\b(password\s+)('(?:[^'\\]|\\.|'')*')")
_MD5 = re.compile(r"^md5[0-9a-f]{32}$")


def redacted(sql: str) -> str:
    """The text without its passwords, for the query history."""
    return _PASSWORD.sub(r"\1'***'", sql) if "assword" in sql or "ASSWORD" in sql else sql


def create_user(tokens: list[Token]) -> Plan:
    name = tokens[2].name
    options, superuser, groups = _clauses(tokens, 3, "CREATE USER")
    array = ", ".join(lexer.quote_literal(group) for group in groups)
    return Steps(
        (
            "SELECT pg_catalog.sandbox_create_user("
            f"{lexer.quote_literal(name)}, {lexer.quote_literal(options)}, "
            f"{'true' if superuser else 'false'}, ARRAY[{array}]::text[])",
        ),
        "CREATE USER",
    )


def alter_user(sql: str, tokens: list[Token]) -> Plan:
    name = tokens[2].name
    word = tokens[3].upper if len(tokens) > 3 else ""
    if word in ("SET", "RESET"):
        return Steps((sql,), "ALTER USER")
    if word == "RENAME":
        raise sandbox_lacks("ALTER USER … RENAME", "Create the new user and drop the old one.")
    options, superuser, groups = _clauses(tokens, 3, "ALTER USER")
    if groups:
        raise RedshiftError("ALTER USER takes no IN GROUP: use ALTER GROUP", sqlstate=SYNTAX_ERROR)
    flag = {None: "NULL", True: "true", False: "false"}[superuser]
    return Steps(
        (
            "SELECT pg_catalog.sandbox_alter_user("
            f"{lexer.quote_literal(name)}, {lexer.quote_literal(options)}, {flag})",
        ),
        "ALTER USER",
    )


def drop_user(tokens: list[Token]) -> Plan:
    index, if_exists = 2, "false"
    if [token.upper for token in tokens[2:4]] == ["IF", "EXISTS"]:
        index, if_exists = 4, "true"
    names = [tokens[s].name for s, _ in lexer.split_on_commas(tokens, index, len(tokens))]
    return Steps(
        tuple(
            f"SELECT pg_catalog.sandbox_drop_user({lexer.quote_literal(name)}, {if_exists})"
            for name in names
        ),
        "DROP USER",
    )


def create_group(tokens: list[Token]) -> Plan:
    """CREATE GROUP name [WITH USER a, b] or CREATE ROLE name."""
    kind = tokens[1].upper
    name = tokens[2].name
    steps = [f"SELECT pg_catalog.sandbox_create_group({lexer.quote_literal(name)})"]
    rest = [token.upper for token in tokens[3:]]
    if rest[:1] == ["WITH"]:
        rest = rest[1:]
    if rest:
        if rest[0] != "USER":
            raise sandbox_lacks(f"CREATE {kind} … {rest[0]}", "Leave the clause out.")
        start = len(tokens) - len(rest) + 1
        for begin, _ in lexer.split_on_commas(tokens, start, len(tokens)):
            member = lexer.quote_name(tokens[begin].name)
            steps.append(f"GRANT {lexer.quote_name(name)} TO {member}")
    return Steps(tuple(steps), f"CREATE {kind}")


def drop_group(tokens: list[Token]) -> Plan:
    """DROP GROUP name or DROP ROLE name [FORCE]."""
    kind = tokens[1].upper
    if len(tokens) > 3:
        raise sandbox_lacks(f"DROP {kind} … {tokens[3].text}", "Revoke its grants first.")
    name = lexer.quote_literal(tokens[2].name)
    return Steps((f"SELECT pg_catalog.sandbox_drop_group({name})",), f"DROP {kind}")


def _clauses(tokens: list[Token], index: int, command: str) -> tuple[str, bool | None, list[str]]:
    """The clauses from ``index`` on.

    Returns:
        PostgreSQL's options, whether the user becomes a superuser (None: not given), the groups.
    """
    options: list[str] = []
    superuser: bool | None = None
    groups: list[str] = []
    if index < len(tokens) and tokens[index].upper == "WITH":
        index += 1
    while index < len(tokens):
        word = tokens[index].upper
        value = tokens[index + 1] if index + 1 < len(tokens) else None
        if word == "PASSWORD" and value is not None:
            options.append(_password(value, command))
            index += 2
        elif word in ("CREATEUSER", "NOCREATEUSER"):
            superuser = word == "CREATEUSER"
            index += 1
        elif word in ("CREATEDB", "NOCREATEDB"):
            index += 1  # there is one database; CREATE DATABASE is refused
        elif word == "SYSLOG":
            index += 3  # SYSLOG ACCESS RESTRICTED | UNRESTRICTED has no effect in the sandbox
        elif word == "IN" and value is not None and value.upper == "GROUP":
            names = lexer.split_on_commas(tokens, index + 2, len(tokens))
            for start, end in names:
                groups.append(tokens[start].name)
                index = start + 1
                if end - start > 1:
                    break
        elif word == "VALID" and value is not None and value.upper == "UNTIL":
            text = lexer.unquote_literal(tokens[index + 2])
            options.append(f"VALID UNTIL {lexer.quote_literal(text)}")
            index += 3
        elif word == "CONNECTION" and value is not None and value.upper == "LIMIT":
            limit = tokens[index + 2]
            number = "-1" if limit.upper == "UNLIMITED" else limit.text
            if not re.fullmatch(r"-?\d+", number):
                raise RedshiftError(f"{command}: CONNECTION LIMIT {number}", sqlstate=SYNTAX_ERROR)
            options.append(f"CONNECTION LIMIT {number}")
            index += 3
        elif word in ("SESSION", "EXTERNALID", "RESET"):
            raise sandbox_lacks(f"{command} … {word}", "Leave the clause out.")
        else:
            raise RedshiftError(
                f'{command}: syntax error at or near "{tokens[index].text}"', sqlstate=SYNTAX_ERROR
            )
    return " ".join(options), superuser, groups


def _password(token: Token, command: str) -> str:
    if token.upper == "DISABLE":
        return "PASSWORD NULL"
    if token.kind != lexer.STRING:
        raise RedshiftError(f"{command}: PASSWORD must be quoted", sqlstate=SYNTAX_ERROR)
    value = lexer.unquote_literal(token)
    if _MD5.match(value):  # md5 of password and user name
        return f"PASSWORD {lexer.quote_literal(value)}"
    if value.startswith("sha256|"):
        raise sandbox_lacks(f"{command} with a sha256 digest", "Give the password or its md5.")
    if not 8 <= len(value) <= 64:
        raise RedshiftError("Password must be between 8 and 64 characters.", sqlstate="22023")
    if not (re.search(r"[A-Z]", value) and re.search(r"[a-z]", value) and re.search(r"\d", value)):
        raise RedshiftError(
            "Password must contain an upper case letter, a lower case letter and a number.",
            sqlstate="22023",
        )
    if re.search(r"['\"\\/@ ]", value):
        raise not_supported(
            "a password with a quote, backslash, slash, at sign or space",
            "Leave these characters out.",
        )
    return f"PASSWORD {lexer.quote_literal(value)}"
