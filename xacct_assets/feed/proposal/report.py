"""A proposal as text for a terminal: the file, a line for each column, and reasons of doubts."""

from __future__ import annotations

from collections.abc import Sequence

from xacct_assets.feed.proposal.columns import ColumnProposal
from xacct_assets.feed.proposal.decisions import counted, shown
from xacct_assets.feed.proposal.propose import Proposal

_SAMPLE_WIDTH = 24
_NAME_WIDTH = 30


def table(proposal: Proposal) -> str:
    """The proposal as a table with three sample values a column."""
    csv = proposal.csv
    names = [_cut(column.header or "", _NAME_WIDTH) for column in proposal.columns]
    rows = [("column", "in the file", "type", "NULL", "samples")] + [
        (_cut(column.name, _NAME_WIDTH), header, _type(column), _null(column), _samples(column))
        for column, header in zip(proposal.columns, names, strict=True)
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    lines = [
        f"{counted(proposal.rows, 'row')}, {counted(len(proposal.columns), 'column')}, delimiter "
        f"{shown(csv['delimiter'])}, {csv.get('encoding', 'utf-8')}"
        + ("" if csv.get("header_row", True) else ", no header row"),
        *(f"  ? {doubt.text}" for doubt in proposal.doubts if doubt.column is None),
        "",
        _line(rows[0], widths),
    ]
    for column, row in zip(proposal.columns, rows[1:], strict=True):
        lines.append(_line(row, widths))
        lines += [f"    ? {doubt.text}" for doubt in proposal.doubts if doubt.column == column.name]
    lines.append(f"\nkey: {', '.join(proposal.key) or 'none'}")
    return "\n".join(lines)


def open_questions(proposal: Proposal) -> str:
    """The questions that are open, with the flags that answer them."""
    several = "s" if len(proposal.questions) > 1 else ""
    texts = [question.describe() for question in proposal.questions]
    likely = all(question.likely is not None for question in proposal.questions)
    hint = " (or all likely answers: --yes)" if likely else ""
    return "\n  ".join([f"{len(texts)} question{several} only you can answer{hint}:", *texts])


def _type(column: ColumnProposal) -> str:
    written = column.settings.get("format")
    return f"{column.type} {shown(written)}" if written else column.type


def _null(column: ColumnProposal) -> str:
    return "yes" if column.settings.get("nullable", True) else "no"


def _samples(column: ColumnProposal) -> str:
    return " | ".join(_cut(shown(value), _SAMPLE_WIDTH) for value in column.samples)


def _cut(text: str, width: int) -> str:
    text = shown(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
    return "  ".join([*cells, row[4]]).rstrip()
