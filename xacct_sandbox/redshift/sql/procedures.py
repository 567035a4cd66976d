"""CREATE PROCEDURE and CREATE FUNCTION: Redshift's PL/pgSQL as PostgreSQL runs it.

Statements of the body that begin with CREATE, COPY and the like are translated. The rest gets the
rules of ``rewriting``. Text that the body runs with EXECUTE is not translated.
"""

from __future__ import annotations

from collections.abc import Callable

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.data_types import type_edit
from xacct_sandbox.redshift.sql.errors import (
    SYNTAX_ERROR,
    RedshiftError,
    not_supported,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Edit, Token
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Refuse, Steps
from xacct_sandbox.redshift.sql.rewriting import rewrite_expressions, slice_rewritten

Translate = Callable[[str], Plan]

_STATEMENT_STARTS = frozenset({"BEGIN", "THEN", "ELSE", "LOOP", ";"})
_TRANSLATED = frozenset(
    {"CREATE", "ALTER", "DROP", "TRUNCATE", "COPY", "UNLOAD", "ANALYZE", "VACUUM"}
)
_WRITING = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "CALL"}
)


def create_procedure(sql: str, tokens: list[Token], translate: Translate) -> Plan:
    """Translate CREATE [OR REPLACE] PROCEDURE.

    Raises:
        RedshiftError: It is wrong or not supported, or a statement of the body is.
    """
    edits: list[Edit] = []
    start = next(i for i, token in enumerate(tokens) if token.upper == "PROCEDURE")
    opening = start + 1
    while opening < len(tokens) and tokens[opening].text != "(":
        opening += 1
    close = lexer.closing(tokens, opening)
    _arguments(sql, tokens, opening, close, edits)
    non_atomic = False
    body: Token | None = None
    for index in range(close + 1, len(tokens)):
        token = tokens[index]
        if token.upper == "NONATOMIC":
            non_atomic = True
            edits.append((token.start, token.end, ""))
        elif token.upper == "LANGUAGE" and index + 1 < len(tokens):
            language = tokens[index + 1]
            name = (
                lexer.unquote_literal(language) if language.kind == lexer.STRING else language.name
            )
            if name.lower() != "plpgsql":
                raise not_supported(f"a procedure in LANGUAGE {name}", "Write it in plpgsql.")
        elif (
            token.kind in (lexer.DOLLAR, lexer.STRING)
            and body is None
            and tokens[index - 1].upper == "AS"
        ):
            body = token
    if body is None:
        raise RedshiftError("CREATE PROCEDURE has no body: AS $$ … $$", sqlstate=SYNTAX_ERROR)
    text = lexer.unquote_literal(body)
    translated = translate_body(text, translate, non_atomic=non_atomic)
    if translated != text or body.kind == lexer.STRING:
        edits.append((body.start, body.end, _quoted_body(translated)))
    for token in tokens:
        if token.kind == lexer.QUOTED and not any(s <= token.start < e for s, e, _ in edits):
            edits.append((token.start, token.end, lexer.quote_name(token.name)))
    return Pass(lexer.edited(sql, edits))


def _quoted_body(text: str) -> str:
    tag = "$body$"
    while tag in text:
        tag = tag[:-1] + "_$"
    return f"{tag}{text}{tag}"


def _arguments(sql: str, tokens: list[Token], opening: int, close: int, edits: list[Edit]) -> None:
    """Translate the types of arguments, and OUT arguments.

    Redshift's CALL does not pass OUT arguments and PostgreSQL's does. OUT becomes INOUT with a
    default, which works for the last arguments; OUT before IN is refused.
    """
    ranges = lexer.split_on_commas(tokens, opening + 1, close) if close > opening + 1 else []
    out_seen: str | None = None
    for start, end in ranges:
        mode_at = next(
            (
                i
                for i in (start, start + 1)
                if i < end and tokens[i].upper in ("IN", "OUT", "INOUT")
            ),
            None,
        )
        mode = tokens[mode_at].upper if mode_at is not None else "IN"
        if mode == "OUT":
            out_seen = tokens[start].text
            assert mode_at is not None
            edits.append((tokens[mode_at].start, tokens[mode_at].end, "INOUT"))
            edits.append((tokens[end - 1].end, tokens[end - 1].end, " DEFAULT NULL"))
        elif out_seen is not None:
            raise sandbox_lacks(
                "an OUT argument before an IN argument", f"Put OUT argument {out_seen} last."
            )
        for index in range(start, end):
            if index == start and end - start > 1 and mode_at != start:
                continue  # the argument's name
            if index == mode_at:
                continue
            found = type_edit(tokens, index, column=False)
            if found is not None:
                used, text = found
                edits.append((tokens[index].start, tokens[index + used - 1].end, text))
                break


def translate_body(body: str, translate: Translate, *, non_atomic: bool) -> str:
    """The translation of a PL/pgSQL block.

    Args:
        translate: Translates a statement.
        non_atomic: Every statement commits itself.
    """
    tokens = lexer.tokenize(body)
    edits: list[Edit] = []
    skipped: list[tuple[int, int]] = []
    index = 0
    in_block = False
    while index < len(tokens):
        token = tokens[index]
        if token.upper == "BEGIN":
            in_block = True
        begins = index == 0 or tokens[index - 1].upper in _STATEMENT_STARTS
        if token.upper == "WHEN" and index and tokens[index - 1].upper == "EXCEPTION":
            _check_handler(tokens, index)
            if not non_atomic:
                # An error in an atomic procedure ends the call after its handler has run.
                end = _block_end(tokens, index)
                edits.append((tokens[end].start, tokens[end].start, "RAISE; "))
        if not (begins and in_block):
            index += 1
            continue
        end = _statement_end(tokens, index)
        word = token.upper
        if word in _TRANSLATED:
            edits.append(
                (
                    token.start,
                    tokens[end - 1].end,
                    _statement(body[token.start : tokens[end - 1].end], translate, non_atomic),
                )
            )
            skipped.append((token.start, tokens[end - 1].end))
            index = end
            continue
        if non_atomic and word in _WRITING:
            edits.append((tokens[end - 1].end, tokens[end - 1].end, "; COMMIT"))
        index += 1
    rest = [
        edit
        for edit in rewrite_expressions(body, tokens)
        if not any(start <= edit[0] < end for start, end in skipped)
    ]
    return lexer.edited(body, rest + edits)


def _statement(text: str, translate: Translate, non_atomic: bool) -> str:
    plan = translate(text)
    if isinstance(plan, Refuse):
        raise plan.error
    if isinstance(plan, Pass):
        return plan.sql + ("; COMMIT" if non_atomic else "")
    if isinstance(plan, Steps) and not plan.alone:
        joined = "; ".join(plan.statements) or "NULL"
        return joined + ("; COMMIT" if plan.commits or non_atomic else "")
    first = text.split(None, 1)[0].upper()
    raise sandbox_lacks(
        f"{first} inside a stored procedure", f"Run {first} as a statement of its own."
    )


def _statement_end(tokens: list[Token], index: int) -> int:
    depth = 0
    while index < len(tokens):
        text = tokens[index].text
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
        elif text == ";" and depth <= 0:
            return index
        index += 1
    return index


def _block_end(tokens: list[Token], index: int) -> int:
    """The index of the END of the block around ``index``."""
    depth = 0
    while index < len(tokens):
        word, before = tokens[index].upper, tokens[index - 1].upper
        if word == "END":
            if depth == 0:
                return index
            depth -= 1
        elif before != "END" and (
            word in ("BEGIN", "LOOP", "CASE") or (word == "IF" and before in _STATEMENT_STARTS)
        ):
            depth += 1
        index += 1
    raise RedshiftError("syntax error: a block has no END", sqlstate=SYNTAX_ERROR)


def _check_handler(tokens: list[Token], index: int) -> None:
    condition = tokens[index + 1].upper if index + 1 < len(tokens) else ""
    if condition != "OTHERS":
        raise not_supported(
            f"EXCEPTION WHEN {condition}", "Redshift has only WHEN OTHERS; test SQLERRM in it."
        )


def create_function(sql: str, tokens: list[Token]) -> Plan:
    """Translate CREATE FUNCTION in SQL; its arguments are $1, $2 … in both systems."""
    for index, token in enumerate(tokens):
        if token.upper == "LANGUAGE" and index + 1 < len(tokens):
            name = tokens[index + 1].name
            if name == "plpythonu":
                raise sandbox_lacks("CREATE FUNCTION … LANGUAGE plpythonu", "Write it in SQL.")
            if name != "sql":
                raise not_supported(f"CREATE FUNCTION … LANGUAGE {name}", "Write it in SQL.")
    edits = [edit for edit in rewrite_expressions(sql, tokens) if edit[0] < len(sql)]
    for token in tokens:
        if token.kind == lexer.DOLLAR:
            tag, body = lexer.dollar_body(token)
            inner = lexer.tokenize(body)
            edits.append(
                (token.start, token.end, f"{tag}{slice_rewritten(body, inner, 0, len(inner))}{tag}")
            )
    return Pass(lexer.edited(sql, edits))
