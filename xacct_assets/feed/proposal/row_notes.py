"""Rows that make a sample no feed, and a last row that is none; with the reason and the fix."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xacct_assets.feed.proposal.decisions import Decisions, SampleProblem, quoted
from xacct_assets.feed.proposal.records import Record, Records

#: First words of a last line that sums or counts the rows before it, in several languages.
_SUM = re.compile(
    r"(?:(?:grand |sub)?total(?:s|e|en|er)?|summe|gesamt\w*|somme|suma|trailer|end of file|eof)\b",
    re.IGNORECASE,
)
_SHOWN = 3


def wrong_width(name: str, width: int, row: Record, line: int, delimiter: str) -> SampleProblem:
    """The problem of a file most of whose rows have another number of fields than its header.

    Args:
        name: of the file.
        width: of the header.
        row: the first such row.
        line: how many lines are before it.
        delimiter: of the file.
    """
    fields = [quoted(value or "", 20) for value in row[:_SHOWN]]
    fields += ["…"] if len(row) > _SHOWN else []
    if delimiter == " ":
        fix = "columns of a fixed width? Ask the supplier for a delimiter between the fields"
    elif len(row) > width:
        fix = (
            "a delimiter in values without quotes (a decimal comma?), or one too many at the rows' "
            "ends. Ask the supplier for quotes around such values, and for as many names as fields"
        )
    else:
        fix = (
            "a delimiter too many at the header's end, or rows that leave out their last fields. "
            "Ask the supplier for as many fields as names"
        )
    return SampleProblem(
        f"{name}: its header has {width} names and most rows have {len(row)} fields, as line "
        f"{line + 1} ({', '.join(fields)}): {fix}"
    )


def refuse_blanks_before_quotes(name: str, records: Records, quote: str) -> None:
    """Refuse a file with blanks before its quotes, which so belong to the value.

    Raises:
        SampleProblem: most rows have such a field.
    """
    pattern = re.compile(rf"[ \t]+{quote}.*", re.DOTALL)
    found = [
        value
        for row in records.rows
        if (value := next((v for v in row if v and pattern.fullmatch(v)), None))
    ]
    if 2 * len(found) > len(records.rows):
        raise SampleProblem(
            f"{name}: blanks stand before the quotes ({quoted(found[-1])}), which so belong to the "
            "value and enclose nothing: ask the supplier for quotes directly behind the delimiter"
        )


def note_last_row(name: str, rows: Sequence[Record], decisions: Decisions) -> None:
    """Keep a doubt if the last row begins as sums do, and no other row does."""
    firsts = [next((value for value in row if value), "") for row in rows]
    sums = [bool(_SUM.match(first.strip())) for first in firsts]
    if len(rows) > 1 and sums[-1] and sum(sums) == 1:
        decisions.doubt(
            f"the last row of {name} ({quoted(firsts[-1])}) looks like a sum of the others, and is "
            "loaded as a row unless it does not fit the columns: ask the supplier to leave it out"
        )
