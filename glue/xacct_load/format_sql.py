"""Spark SQL that brings numbers, dates and times of a feed's `format` into SQL's way of writing.

The SQL is NULL where a text is not written so.
"""

from __future__ import annotations

import re

from xacct_assets.contract.value_formats import BLANKS, MomentFormat, NumberFormat
from xacct_load.sql_texts import matches, sql_text

_MONTHS = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"


def plain_number(number: NumberFormat, text: str, *, is_whole: bool) -> str:
    """SQL of a number with a decimal point and nothing else but digits and a sign.

    Args:
        number: how it is written.
        text: SQL of the text.
        is_whole: whether only zeros may follow its decimal character, which are dropped.
    """
    any_blank = f"[{BLANKS}]*"
    decimal, thousands = _literal(number.decimal), _literal(number.thousands)
    grouped = f"[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|" if thousands else ""
    begin = f"(?=[0-9]|{decimal}[0-9])" if decimal else "(?=[0-9])"
    end = f"(?:{decimal}{'0' if is_whole else '[0-9]'}*)?" if decimal else ""
    prefix, suffix = _literal(number.prefix), _literal(number.suffix)
    signed = "[+-]?"
    if prefix:
        signed = f"(?:[+-]?{any_blank}{prefix}{any_blank}|{prefix}{any_blank}[+-]?)"
    if suffix:
        suffix = any_blank + suffix
    pattern = f"{signed}{begin}(?:{grouped}[0-9]*){end}{suffix}"
    bare = text
    for affix in (number.prefix, number.suffix):
        bare = f"REPLACE({bare}, {sql_text(affix)}, '')" if affix else bare
    dropped = number.thousands + BLANKS
    if number.decimal:
        bare = f"TRANSLATE({bare}, {sql_text(number.decimal + dropped)}, '.')"
    else:
        bare = f"TRANSLATE({bare}, {sql_text(dropped)}, '')"
    if is_whole:
        bare = f"SUBSTRING_INDEX({bare}, '.', 1)"
    return f"CASE WHEN {matches(text, pattern)} THEN {bare} END"


def plain_moment(moment: MomentFormat, text: str) -> str:
    """SQL of a date, time or timestamp with the parts in SQL's order, some without leading zeros.

    A time comes behind the first day of 1970.
    """
    parts = {name: _part(moment, name, text) for name in moment.tokens}
    year = parts.get("YYYY") or parts.get("YY")
    pieces = ["'1970-01-01'"]
    if year is not None:
        pieces = [year, "'-'", parts.get("MM") or parts["MON"], "'-'", parts["DD"]]
    if "HH" in parts:
        hour = _hour_of_day(parts["HH"], parts["AM"]) if "AM" in parts else parts["HH"]
        pieces += ["' '", hour, "':'", parts.get("MI", "'00'"), "':'", parts.get("SS", "'00'")]
    if "FF" in parts:
        pieces += ["'.'", parts["FF"]]
    if "TZ" in parts:
        pieces.append(parts["TZ"])
    return f"CASE WHEN {matches(text, moment.pattern)} THEN CONCAT({', '.join(pieces)}) END"


def _part(moment: MomentFormat, name: str, text: str) -> str:
    """SQL of a token's text, as SQL writes it."""
    pattern = sql_text(f"^(?:{moment.pattern})" + r"\z")
    found = f"REGEXP_EXTRACT({text}, {pattern}, {moment.tokens.index(name) + 1})"
    if name == "YY":
        return f"CONCAT(IF({found} < '70', '20', '19'), {found})"
    if name == "MON":
        return f"CAST((INSTR('{_MONTHS}', UPPER({found})) + 2) DIV 3 AS STRING)"
    if name == "TZ":
        digits = f"REPLACE({found}, ':', '')"
        offset = f"CONCAT(LEFT({digits}, 3), ':', RPAD(SUBSTRING({digits}, 4), 2, '0'))"
        return f"IF({found} = 'Z', 'Z', {offset})"
    return found


def _hour_of_day(hour: str, half: str) -> str:
    """SQL of the hour of a day with 24; NULL if it is not one of 12."""
    number = f"CAST({hour} AS INT)"
    return (
        f"CASE WHEN {number} BETWEEN 1 AND 12 THEN "
        f"CAST({number} % 12 + IF(UPPER({half}) = 'PM', 12, 0) AS STRING) END"
    )


def _literal(text: str) -> str:
    """A regular expression that matches just this text; its blanks match each other."""
    return "".join(f"[{BLANKS}]" if mark in BLANKS else re.escape(mark) for mark in text)
