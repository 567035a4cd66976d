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
_WITH_UNIT = re.compile(r"[(€$£¥₹₽₺]?[-+]?[\d.,' ]+[)]?-?\s?[A-Za-z]{0,4}[)]?")


def note_text(
    name: str, texts: Sequence[str], counts: Mapping[str, int], decisions: Decisions
) -> None:
    """Keep a doubt about a column of texts if there is one, and none is kept yet.

    Args:
        name: of the column.
        texts: its different values.
        counts: how often each is there.
        decisions: where the doubt is kept.
    """
    if decisions.of_column(name):
        return
    exponent = numbers.has_exponent(texts)
    if exponent is not None:
        decisions.doubt(
            f"{quoted(exponent)} may be a code, or a long number that Excel has shortened (its "
            "digits are lost then: ask the supplier); kept as a text",
            name,
        )
        return
    total = sum(counts[text] for text in texts)
    for what, is_typed in (("numbers", numbers.readings), ("dates", moments.readings)):
        first = texts[:_FIRST]
        if sum(bool(is_typed([text])) for text in first) * 2 < len(first):
            continue  # plain text, as most columns: not worth a look at all values
        odd = [text for text in texts if not is_typed([text])]
        typed = total - sum(counts[text] for text in odd)
        if typed >= _MOSTLY * total:
            why = f"{quoted(odd[0])} is none" if odd else "they are written in different ways"
            decisions.doubt(f"{what}, but {why}: kept as a text", name)
            return
    if all(text[0] in "{[" and text[-1] in "}]" for text in texts):
        decisions.doubt(
            f"looks like JSON: kept as a text; --type {name}=super to store it as such", name
        )
    elif all(_WITH_UNIT.fullmatch(text) and re.search(r"\d", text) for text in texts):
        decisions.doubt(
            f"numbers with something around them ({quoted(texts[0])}): kept as a text", name
        )
