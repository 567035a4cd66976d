"""Redshift's expressions as PostgreSQL's: edits of tokens, for any statement or procedure body.

A rule edits a few tokens and leaves comments, parameters and layout as they are. The module is one
thing, a table of rules: each function below is one row of ``_CALLS`` or ``_WORDS``.
"""

from __future__ import annotations

from collections.abc import Callable

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.data_types import type_edit
from xacct_sandbox.redshift.sql.errors import not_supported, sandbox_lacks
from xacct_sandbox.redshift.sql.lexer import Edit, Token, word_at

_DATE_PART_FIRST = {"DATEADD", "DATEDIFF", "DATE_ADD", "DATE_DIFF", "DATE_PART", "PGDATE_PART"}
_RENAMED_CALLS = {
    "NVL": "COALESCE",
    "DATE_DIFF": "DATEDIFF",
    "PGDATE_PART": "DATE_PART",
}
# Functions that PostgreSQL has and Redshift lacks -> what to use instead.
_POSTGRESQL_CALLS = {
    "STRING_AGG": "LISTAGG(expression, delimiter) WITHIN GROUP (ORDER BY …)",
    "ARRAY_AGG": "LISTAGG, or a SUPER array",
    "JSON_AGG": "LISTAGG, or a SUPER array",
    "JSONB_AGG": "LISTAGG, or a SUPER array",
    "ROW_TO_JSON": "an OBJECT(…) of SUPER, or build the text",
    "TO_JSONB": "JSON_PARSE",
    "JSONB_BUILD_OBJECT": "OBJECT(…)",
    "JSON_BUILD_OBJECT": "OBJECT(…)",
    "GEN_RANDOM_UUID": "MD5 of something unique",
    "CLOCK_TIMESTAMP": "GETDATE()",
    "STATEMENT_TIMESTAMP": "GETDATE()",
    "TRANSACTION_TIMESTAMP": "SYSDATE",
    "MAKE_DATE": "TO_DATE",
    "MAKE_TIMESTAMP": "TO_TIMESTAMP",
    "AGE": "DATEDIFF",
    "FORMAT": "||",
    "PG_READ_FILE": "COPY from S3",
    "PG_LS_DIR": "COPY from S3",
    "QUERY_TO_XML": "UNLOAD",
    "SET_CONFIG_FILE": "SET",
}
_LACKING_CALLS = {
    "PIVOT",
    "UNPIVOT",
    "RATIO_TO_REPORT",
    "HLL",
    "FNV_HASH",
    "APPROXIMATE",
    "SHA1",
    "FUNC_SHA1",
    "OBJECT_TRANSFORM",
}


def rewrite_expressions(sql: str, tokens: list[Token]) -> list[Edit]:
    """The edits that turn expressions of Redshift into PostgreSQL's.

    Raises:
        RedshiftError: Redshift or the sandbox does not have an expression.
    """
    edits: list[Edit] = []
    count = len(tokens)
    index = 0
    while index < count:
        token = tokens[index]
        if token.kind == lexer.QUOTED:
            folded = lexer.quote_name(token.name)
            if folded != token.text:
                edits.append((token.start, token.end, folded))
        elif token.kind == lexer.WORD:
            following = tokens[index + 1].text if index + 1 < count else ""
            rule = _CALLS.get(token.upper) if following == "(" else _WORDS.get(token.upper)
            previous = tokens[index - 1].text if index else ""
            if rule is not None and previous != ".":
                skip_to = rule(sql, tokens, index, edits)
                if skip_to is not None:
                    index = skip_to
                    continue
            if following == "(" and previous != ".":
                _refuse_postgresql_call(token)
        elif token.text == "::" and index + 1 < count:
            _cast_type(tokens, index + 1, edits)
        elif token.text in ("->", "->>"):
            raise not_supported(
                f'operator "{token.text}"', "Use JSON_EXTRACT_PATH_TEXT, or SUPER's dot notation."
            )
        index += 1
    _refuse_clauses(tokens)
    return edits


def rewritten(sql: str) -> str:
    """A fragment of SQL with its expressions rewritten."""
    return lexer.edited(sql, rewrite_expressions(sql, lexer.tokenize(sql)))


def slice_rewritten(sql: str, tokens: list[Token], start: int, end: int) -> str:
    """The text of tokens [start, end) with its expressions rewritten."""
    if start >= end:
        return ""
    return rewritten(sql[tokens[start].start : tokens[end - 1].end])


# -- refusals --------------------------------------------------------------------------------


def _refuse_postgresql_call(token: Token) -> None:
    instead = _POSTGRESQL_CALLS.get(token.upper)
    if instead is not None:
        raise not_supported(f"function {token.text.lower()}()", f"Use {instead}.")
    if token.upper in _LACKING_CALLS:
        raise sandbox_lacks(f"{token.upper}(…)", "Write it in other words.")


def _refuse_clauses(tokens: list[Token]) -> None:
    words = [token.upper for token in tokens]
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if word == "RETURNING" and tokens[index].kind == lexer.WORD and index:
            raise not_supported("RETURNING", "Select the rows in a statement of its own.")
        if word == "ON" and following == "CONFLICT":
            raise not_supported(
                "INSERT … ON CONFLICT", "Use MERGE, or DELETE and INSERT in one transaction."
            )
        if word == "LATERAL":
            raise not_supported("LATERAL", "Join a subquery, or unnest SUPER in FROM.")
        if word == "DISTINCT" and following == "ON" and words[index + 2 : index + 3] == ["("]:
            raise not_supported("SELECT DISTINCT ON", "Use ROW_NUMBER() OVER (PARTITION BY …).")
        if word == "FILTER" and following == "(" and words[index + 2 : index + 3] == ["WHERE"]:
            raise not_supported("FILTER (WHERE …)", "Use CASE inside the aggregate.")
        if word == "FOR" and (
            following in ("UPDATE", "SHARE")
            or words[index + 1 : index + 3] in (["KEY", "SHARE"], ["NO", "KEY"])
        ):
            raise not_supported(f"SELECT … FOR {following}", "Use LOCK TABLE.")
        if word == "ARRAY" and following == "[":
            raise not_supported("ARRAY[…]", "Use ARRAY(…) of SUPER.")
        if word == "TABLESAMPLE":
            raise not_supported("TABLESAMPLE", "Filter with RANDOM().")
        if word == "QUALIFY":
            raise sandbox_lacks("QUALIFY", "Filter the window function in an outer SELECT.")
        if word == "WITHOUT" and following == "OVERLAPS":
            raise not_supported("WITHOUT OVERLAPS", "Check for overlaps with a query.")


def _cast_type(tokens: list[Token], index: int, edits: list[Edit]) -> None:
    found = type_edit(tokens, index, column=False)
    if found is not None:
        used, text = found
        edits.append((tokens[index].start, tokens[index + used - 1].end, text))


# -- rules for calls -------------------------------------------------------------------------


def _date_part_call(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    """DATEADD(day, …): the date part is a word in Redshift and a literal in PostgreSQL.

    A literal or parameter among the other arguments is a TIMESTAMP. PostgreSQL would take it for
    a TIMESTAMP WITH TIME ZONE.
    """
    _renamed_call(sql, tokens, index, edits)
    close = lexer.closing(tokens, index + 1)
    ranges = lexer.split_on_commas(tokens, index + 2, close)
    first = tokens[index + 2]
    if len(ranges) < 2 or ranges[0][1] - ranges[0][0] != 1:
        return None
    if first.is_name():
        edits.append((first.start, first.end, lexer.quote_literal(first.name)))
    adding = tokens[index].upper in ("DATEADD", "DATE_ADD")
    for start, end in ranges[2 if adding else 1 :]:
        argument = tokens[start]
        if end - start == 1 and argument.kind in (lexer.STRING, lexer.PARAMETER):
            edits.append((argument.end, argument.end, "::timestamp"))
    return index + 3


def _renamed_call(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    name = _RENAMED_CALLS.get(tokens[index].upper)
    if name is not None:
        edits.append((tokens[index].start, tokens[index].end, name))
    return None


def _arguments(
    sql: str, tokens: list[Token], index: int, count: tuple[int, int]
) -> tuple[int, list[str]] | None:
    """The arguments of the call at ``index``, rewritten.

    Args:
        count: The fewest and the most arguments.

    Returns:
        The index of the closing parenthesis and the arguments; None if there are more or fewer.
    """
    close = lexer.closing(tokens, index + 1)
    ranges = lexer.split_on_commas(tokens, index + 2, close)
    if not count[0] <= len(ranges) <= count[1]:
        return None
    return close, [slice_rewritten(sql, tokens, start, end) for start, end in ranges]


def _replace_call(tokens: list[Token], index: int, close: int, text: str, edits: list[Edit]) -> int:
    edits.append((tokens[index].start, tokens[close].end, text))
    return close + 1


def _nvl2(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    found = _arguments(sql, tokens, index, (3, 3))
    if found is None:
        return None
    close, (value, present, absent) = found
    text = f"CASE WHEN ({value}) IS NOT NULL THEN {present} ELSE {absent} END"
    return _replace_call(tokens, index, close, text, edits)


def _decode(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    """DECODE(expression, search, result, …, default): NULL equals NULL."""
    found = _arguments(sql, tokens, index, (3, 10_000))
    if found is None:
        return None
    close, (value, *rest) = found
    pairs = [
        f"WHEN ({value}) IS NOT DISTINCT FROM ({rest[i]}) THEN {rest[i + 1]}"
        for i in range(0, len(rest) - 1, 2)
    ]
    default = f" ELSE {rest[-1]}" if len(rest) % 2 else ""
    return _replace_call(tokens, index, close, f"(CASE {' '.join(pairs)}{default} END)", edits)


def _convert(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    """CONVERT(type, expression) is CAST(expression AS type)."""
    close = lexer.closing(tokens, index + 1)
    ranges = lexer.split_on_commas(tokens, index + 2, close)
    if len(ranges) != 2:
        return None
    (type_start, type_end), (value_start, value_end) = ranges
    type_text = sql[tokens[type_start].start : tokens[type_end - 1].end]
    value = slice_rewritten(sql, tokens, value_start, value_end)
    cast = rewritten(f"CAST({'0'} AS {type_text})")
    return _replace_call(tokens, index, close, cast.replace("(0 ", f"({value} ", 1), edits)


def _listagg(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    """LISTAGG([DISTINCT] x [, d]) [WITHIN GROUP (ORDER BY y)] is STRING_AGG(x, d ORDER BY y)."""
    close = lexer.closing(tokens, index + 1)
    start = index + 2
    distinct = ""
    if tokens[start].upper in ("DISTINCT", "ALL"):
        distinct = "DISTINCT " if tokens[start].upper == "DISTINCT" else ""
        start += 1
    ranges = lexer.split_on_commas(tokens, start, close)
    value = slice_rewritten(sql, tokens, *ranges[0])
    delimiter = slice_rewritten(sql, tokens, *ranges[1]) if len(ranges) > 1 else "''"
    order, end = "", close
    if word_at(tokens, close + 1) == "WITHIN" and word_at(tokens, close + 2) == "GROUP":
        group_close = lexer.closing(tokens, close + 3)
        order = " " + slice_rewritten(sql, tokens, close + 4, group_close)
        if distinct:
            order = order.replace(value, f"({value})::text")
        end = group_close
    if word_at(tokens, end + 1) == "OVER":
        raise sandbox_lacks("LISTAGG(…) OVER (…)", "Aggregate in a subquery and join it.")
    text = f"string_agg({distinct}({value})::text, {delimiter}{order})"
    return _replace_call(tokens, index, end, text, edits)


def _median(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    found = _arguments(sql, tokens, index, (1, 1))
    if found is None:
        return None
    close, (value,) = found
    if word_at(tokens, close + 1) == "OVER":
        raise sandbox_lacks("MEDIAN(…) OVER (…)", "Aggregate in a subquery and join it.")
    text = f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {value})"
    return _replace_call(tokens, index, close, text, edits)


def _cast_call(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    """CAST(x AS type): the type may need a change."""
    close = lexer.closing(tokens, index + 1)
    depth = 0
    for position in range(close - 1, index + 1, -1):
        text = tokens[position].text
        if text == ")":
            depth += 1
        elif text == "(":
            depth -= 1
        elif depth == 0 and tokens[position].upper == "AS":
            _cast_type(tokens, position + 1, edits)
            break
    return None


def _try_cast(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    raise sandbox_lacks("TRY_CAST", "Test the text with a regular expression before the cast.")


# -- rules for words -------------------------------------------------------------------------


def _sysdate(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    if index and tokens[index - 1].upper == "AS":
        return None
    edits.append((tokens[index].start, tokens[index].end, "sysdate()"))
    return None


def _minus(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    if word_at(tokens, index + 1) in ("SELECT", "(", "ALL"):
        edits.append((tokens[index].start, tokens[index].end, "EXCEPT"))
    return None


def _approximate(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    """APPROXIMATE COUNT(DISTINCT x): an exact count is an allowed approximation."""
    if word_at(tokens, index + 1) == "COUNT" or word_at(tokens, index + 1) == "PERCENTILE_DISC":
        edits.append((tokens[index].start, tokens[index + 1].start, ""))
    return None


def _top(sql: str, tokens: list[Token], index: int, edits: list[Edit]) -> int | None:
    """SELECT TOP n … is SELECT … LIMIT n, at the end of the same SELECT."""
    previous = word_at(tokens, index - 1) if index else ""
    if previous not in ("SELECT", "DISTINCT", "ALL") or index + 1 >= len(tokens):
        return None
    number = tokens[index + 1]
    if number.kind not in (lexer.NUMBER, lexer.PARAMETER):
        return None
    depth, position = 0, index + 2
    while position < len(tokens):
        text, word = tokens[position].text, tokens[position].upper
        if text == "(":
            depth += 1
        elif text == ")":
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and text == ";":
            break
        elif depth == 0 and word in ("UNION", "EXCEPT", "INTERSECT", "MINUS"):
            raise sandbox_lacks(
                f"SELECT TOP with {word}", "Put the SELECT TOP in parentheses, or use LIMIT."
            )
        position += 1
    end = tokens[position - 1].end
    edits.append((tokens[index].start, number.end, ""))
    edits.append((end, end, f" LIMIT {number.text}"))
    return index + 2


Rule = Callable[[str, list[Token], int, list[Edit]], int | None]
"""Adds edits for the call or word at an index; returns the index to go on from, None: the next."""

_CALLS: dict[str, Rule] = {
    **dict.fromkeys(_DATE_PART_FIRST, _date_part_call),
    "NVL": _renamed_call,
    "NVL2": _nvl2,
    "DECODE": _decode,
    "CONVERT": _convert,
    "LISTAGG": _listagg,
    "MEDIAN": _median,
    "CAST": _cast_call,
    "TRY_CAST": _try_cast,
}
_WORDS: dict[str, Rule] = {
    "SYSDATE": _sysdate,
    "MINUS": _minus,
    "APPROXIMATE": _approximate,
    "TOP": _top,
}
