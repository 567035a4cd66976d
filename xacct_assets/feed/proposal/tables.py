"""The rows of all samples under their common headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xacct_assets.feed.proposal.decisions import Decisions, SampleProblem, quoted
from xacct_assets.feed.proposal.dialects import Layout
from xacct_assets.feed.proposal.encodings import SampleText
from xacct_assets.feed.proposal.header_row import has_header_row
from xacct_assets.feed.proposal.records import Record, Records, read_records
from xacct_assets.feed.proposal.row_notes import (
    note_last_row,
    refuse_blanks_before_quotes,
    wrong_width,
)


@dataclass
class Table:
    """The rows of the samples.

    Attributes:
        headers: of the columns; without a header row, made-up ones.
        header_row: whether the files name their columns.
        files: the rows of each sample, with a field for each of `headers`.
        settings: further fields of ``source.csv``.
        optional: headers that some samples lack.
    """

    headers: list[str]
    header_row: bool
    files: list[list[Record]]
    settings: dict[str, Any] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """Rows of all samples."""
        return sum(map(len, self.files))

    def values(self, at: int) -> list[str | None]:
        """The values of a column in all samples that have it."""
        return [row[at] for rows in self.files for row in rows]


def read_tables(texts: Sequence[SampleText], layout: Layout, decisions: Decisions) -> Table | None:
    """Read all samples; None if a question is open.

    Raises:
        SampleProblem: there are no rows, or the header has another number of fields than they.
    """
    read = [
        read_records(text.text, layout.dialect, is_whole=text.is_whole, skip=layout.preamble_lines)
        for text in texts
    ]
    for text, records in zip(texts, read, strict=True):
        if not records.rows:
            raise SampleProblem(f"{text.name} has no rows")
        refuse_blanks_before_quotes(text.name, records, layout.dialect.quote)
    firsts = [records.rows[0] for records in read]
    has_header = has_header_row(firsts, [records.rows[1:] for records in read], decisions)
    if decisions.questions:
        return None
    if not has_header:
        return _by_position(texts, read, layout, decisions, named=False)
    headers = [[value or "" for value in first] for first in firsts]
    is_unnamed = _is_unnamed(headers, read, decisions)
    if decisions.questions:
        return None
    if is_unnamed:
        return _by_position(texts, read, layout, decisions, named=True)
    return _by_name(texts, read, headers, layout, decisions)


def _by_position(
    texts: Sequence[SampleText],
    read: Sequence[Records],
    layout: Layout,
    decisions: Decisions,
    *,
    named: bool,
) -> Table:
    """Rows whose columns are known by their position.

    Args:
        named: whether there is a header row, which cannot be used.
    """
    width = len(read[0].rows[0])
    if any(len(records.rows[0]) != width for records in read):
        raise SampleProblem("the samples have no usable header row and differ in their columns")
    headers = [f"column_{number}" for number in range(1, width + 1)]
    settings: dict[str, Any] = {"header_row": False}
    preamble = layout.preamble_lines
    if named:
        headers = [value or f"column {at}" for at, value in enumerate(read[0].rows[0], start=1)]
        preamble = read[0].lines[1] if len(read[0].lines) > 1 else preamble + 1
    else:
        decisions.doubt("no header row: columns are known by their position; give them names")
    if preamble:
        settings["preamble_lines"] = preamble
    files = [
        _rows(
            *(text, records, width, None, decisions),
            skip=1 if named else 0,
            delimiter=layout.dialect.delimiter,
        )
        for text, records in zip(texts, read, strict=True)
    ]
    return _checked(Table(headers, header_row=False, files=files, settings=settings))


def _is_unnamed(
    headers: Sequence[Sequence[str]], read: Sequence[Records], decisions: Decisions
) -> bool:
    """Whether columns must be known by their position, since their names are not usable."""
    doubled = [name for name, count in Counter(headers[0]).items() if count > 1 and name]
    if doubled:
        decisions.doubt(
            f"several columns are named {quoted(doubled[0])}: the header row is skipped "
            "(preamble_lines) and columns are known by their position, which must stay"
        )
        return True
    unnamed = [at for at, name in enumerate(headers[0]) if not name.strip()]
    filled = [at for at in unnamed if any(at < len(row) and row[at] for row in read[0].rows[1:])]
    if not filled:
        return False
    answer = decisions.ask(
        "unnamed",
        f"Column {filled[0] + 1} has values and no name in the header. Is it wanted?",
        {"ignore": "no: it is left out", "position": "yes: all columns go by their position"},
        likely="ignore",
    )
    return answer == "position"


def _by_name(
    texts: Sequence[SampleText],
    read: Sequence[Records],
    headers: Sequence[Sequence[str]],
    layout: Layout,
    decisions: Decisions,
) -> Table:
    settings: dict[str, Any] = {}
    if layout.preamble_lines:
        settings["preamble_lines"] = layout.preamble_lines
    is_relaxed = _is_relaxed(headers)
    if is_relaxed:
        settings["header_match"] = "relaxed"
        decisions.doubt(
            "headers have blanks around them or differ in upper and lower case: compared without "
            "(header_match: relaxed)"
        )
    if any(not name.strip() for names in headers for name in names):
        settings["extra_columns"] = "ignore"
        decisions.doubt(
            "a column without a name is left out (extra_columns: ignore); a new column of the "
            "supplier's will be left out too, without a word"
        )
    folded = [[_fold(name, is_relaxed) for name in names] for names in headers]
    wanted: dict[str, str] = {}
    for names in headers:
        for name in names:
            if name.strip():
                wanted.setdefault(_fold(name, is_relaxed), name.strip() if is_relaxed else name)
    optional = {shown for key, shown in wanted.items() if any(key not in one for one in folded)}
    if optional:
        decisions.doubt(
            f"only some samples have {', '.join(map(quoted, sorted(optional)))}: optional"
        )
    files = []
    for text, records, names in zip(texts, read, folded, strict=True):
        at = {name: position for position, name in enumerate(names)}
        rows = _rows(
            *(text, records, len(names), records.rows[0], decisions),
            skip=1,
            delimiter=layout.dialect.delimiter,
        )
        files.append([[row[at[key]] if key in at else None for key in wanted] for row in rows])
    return _checked(Table(list(wanted.values()), True, files, settings, optional))


def _is_relaxed(headers: Sequence[Sequence[str]]) -> bool:
    every = [name for names in headers for name in names if name.strip()]
    if len({name.strip().lower() for name in headers[0] if name.strip()}) < len(
        [name for name in headers[0] if name.strip()]
    ):
        return False  # names that differ in case only
    exact, folded = set(every), {name.strip().lower() for name in every}
    return len(exact) != len(folded) or any(name != name.strip() for name in every)


def _fold(name: str, is_relaxed: bool) -> str:
    return name.strip().lower() if is_relaxed else name


def _rows(
    text: SampleText,
    records: Records,
    width: int,
    header: Record | None,
    decisions: Decisions,
    *,
    skip: int,
    delimiter: str,
) -> list[Record]:
    """The rows that have the right number of fields and are not the header again."""
    rows: list[Record] = []
    numbered = list(zip(records.rows, records.lines, strict=True))[skip:]
    wrong = [(row, line) for row, line in numbered if len(row) != width]
    if len(wrong) * 2 > len(numbered):
        raise wrong_width(text.name, width, *wrong[0], delimiter)
    again = 0
    blank = 0
    for row, _ in numbered:
        if len(row) != width:
            continue
        if header is not None and row == header:
            again += 1
        elif not any(row):
            blank += 1
        else:
            rows.append(row)
    if wrong:
        row, line = wrong[0]
        start = next((value for value in row if value), "")
        decisions.doubt(
            f"{len(wrong)} of {len(numbered)} rows of {text.name} have another number of fields, "
            f"as line {line + 1} ({quoted(start)}…): they will be rejected"
        )
    if again:
        decisions.doubt(
            f"the header row is in {text.name} {again + 1} times (files put together?): the second "
            "will be rejected as a row"
        )
    if blank:
        decisions.doubt(f"{blank} rows of {text.name} are delimiters only")
    if text.is_whole:
        note_last_row(text.name, rows, decisions)
    return rows


def _checked(table: Table) -> Table:
    if not table.count:
        raise SampleProblem("the samples have a header and no rows: give a file with some rows")
    return table
