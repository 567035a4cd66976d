"""Why a column that looks like numbers, dates or JSON is kept as a text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from xacct_assets.feed.proposal import moments, numbers
from xacct_assets.feed.proposal.decisions import Decisions, quoted

#: A text column of which this share of values has a type has exceptions worth a look.
_MOSTLY = 0.8
#: Values that are looked at first.
_FIRST = 200
_WITH_UNIT = re.compile(r"[(€$£¥₹₽₺]?[-+−]?[\d.,' ]+[)]?-?\s?[A-Za-z]{0,4}[)]?")
_FORMULA = re.compile(r"=.*", re.DOTALL)
_APOSTROPHE = re.compile(r"'[^']*")


def note_text(
    name: str,
    texts: Sequence[str],
    counts: Mapping[str, int],
    decisions: Decisions,
    *,
    named_as_date: bool,
) -> None:
    """Keep a doubt about a column of texts if there is one, and none is kept yet.

    Args:
        name: of the column.
        texts: its different values.
        counts: how often each is there.
        decisions: where the doubt is kept.
        named_as_date: whether the column is named as those with dates are.
    """
    if decisions.of_column(name):
        return
    doubt = (
        _exponent(texts)
        or _mark(texts)
        or _misread(texts)
        or _exceptions(texts, counts)
        or _form(name, texts)
    )
    if doubt is None and named_as_date and re.search(r"\d", texts[0]):
        doubt = (
            f"named like a date, but {quoted(texts[0])} is written in a way that a feed cannot "
            "read: kept as a text"
        )
    if doubt is not None:
        decisions.doubt(doubt, name)


def _exponent(texts: Sequence[str]) -> str | None:
    exponent = numbers.has_exponent(texts)
    if exponent is None:
        return None
    return (
        f"{quoted(exponent)} may be a code, or a long number that Excel has shortened (its digits "
        "are lost then: ask the supplier); kept as a text"
    )


def _mark(texts: Sequence[str]) -> str | None:
    """Marks with which Excel is told that a value is a text."""
    for pattern, what in (
        (_FORMULA, "written as a formula, for Excel"),
        (_APOSTROPHE, "an apostrophe stands before each, for Excel"),
    ):
        first = texts[:_FIRST]
        if all(pattern.fullmatch(text) for text in first):
            return f"{what} ({quoted(first[0])}): kept so; ask the supplier for the plain values"
    return None


def _misread(texts: Sequence[str]) -> str | None:
    """Signs of a file that was read in a wrong encoding before it came here."""
    if any("\0" in text for text in texts):
        return "some values hold a NUL character, which Redshift cannot: their rows are rejected"
    if any("\ufffd" in text for text in texts):
        return "some letters are lost (U+FFFD stands in their place): ask the supplier"
    for text in texts[:_FIRST]:
        if not text.isascii():
            try:
                meant = text.encode("windows-1252").decode("utf-8")
            except UnicodeError:
                continue
            return (
                f"{quoted(text)} looks like {quoted(meant)} written in UTF-8 twice: ask the "
                "supplier; kept so"
            )
    return None


def _exceptions(texts: Sequence[str], counts: Mapping[str, int]) -> str | None:
    """Numbers or dates, but for some values."""
    total = sum(counts[text] for text in texts)
    for what, is_typed in (("numbers", numbers.readings), ("dates", moments.readings)):
        first = texts[:_FIRST]
        if sum(bool(is_typed([text])) for text in first) * 2 < len(first):
            continue  # plain text, as most columns: not worth a look at all values
        odd = [text for text in texts if not is_typed([text])]
        typed = total - sum(counts[text] for text in odd)
        if typed >= _MOSTLY * total:
            why = f"{quoted(odd[0])} is none" if odd else "they are written in different ways"
            return f"{what}, but {why}: kept as a text"
    return None


def _form(name: str, texts: Sequence[str]) -> str | None:
    if all(text[0] in "{[" and text[-1] in "}]" for text in texts):
        return f"looks like JSON: kept as a text; --type {name}=super to store it as such"
    if all(_WITH_UNIT.fullmatch(text) and re.search(r"\d", text) for text in texts):
        odd = next((text for text in texts if not numbers.readings([text])), texts[0])
        minus = ", a minus sign that is no hyphen (U+2212)" if "−" in odd else ""
        return f"numbers with something around them ({quoted(odd)}{minus}): kept as a text"
    return None
