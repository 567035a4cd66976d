"""Proposes a feed from samples: dialect, columns, key; with questions and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xacct_assets.feed.proposal.columns import ColumnProposal, ColumnReader
from xacct_assets.feed.proposal.decisions import Decisions, Doubt, Question
from xacct_assets.feed.proposal.dialects import find_layout
from xacct_assets.feed.proposal.encodings import Sample, decode
from xacct_assets.feed.proposal.evidence import Evidence
from xacct_assets.feed.proposal.key_choice import choose_key
from xacct_assets.feed.proposal.names import column_names
from xacct_assets.feed.proposal.patterns import file_patterns, folder_columns
from xacct_assets.feed.proposal.tables import Table, read_tables

#: NULL texts that hold for the whole file if one column has them.
_OF_THE_FILE = frozenset({"\\N", "NULL", "(null)", "#N/A"})


@dataclass(frozen=True)
class Proposal:
    """What the samples propose for a feed.

    Attributes:
        csv: the fields of ``source.csv`` that differ from their defaults, and the delimiter.
        columns: in the file's order.
        key: names of its columns; none if no key is known.
        patterns: of file names, as the samples have them.
        rows: how many were read.
        questions: what only a person can say. While there is one, the rest is provisional, and
            empty if it depends on the answer.
        doubts: choices that a person should look at.
    """

    csv: Mapping[str, Any]
    columns: Sequence[ColumnProposal]
    key: Sequence[str]
    patterns: Sequence[str]
    rows: int
    questions: Sequence[Question] = field(default_factory=list)
    doubts: Sequence[Doubt] = field(default_factory=list)


def propose(
    samples: Sequence[Sample],
    answers: Mapping[str, str] | None = None,
    *,
    take_likely: bool = False,
) -> Proposal:
    """Propose a feed.

    Args:
        samples: one file or several; of several, each may be of a day of its own.
        answers: to questions, by their name.
        take_likely: whether questions that have a likely answer are answered with it.

    Raises:
        SampleProblem: the samples are no CSV that a feed can have; with the fix.
    """
    names = [sample.name for sample in samples]
    decisions = Decisions(answers or {}, take_likely)
    csv: dict[str, Any] = {}
    columns: Sequence[ColumnProposal] = []
    key: Sequence[str] = []
    rows = 0
    table = _read(samples, csv, decisions)
    if table is not None:
        rows = table.count
        columns = _columns(table, folder_columns(names), decisions)
        if nulls := _nulls_of_the_file(columns):
            csv["null_values"] = nulls
        key = choose_key(columns, table, decisions)
    patterns = file_patterns(names)
    if "*" in patterns:
        decisions.doubt("its name has no suffix: every file of the folder is loaded (patterns)")
    return Proposal(csv, columns, key, patterns, rows, decisions.questions, decisions.doubts)


def _read(samples: Sequence[Sample], csv: dict[str, Any], decisions: Decisions) -> Table | None:
    """The rows of the samples, and fields of ``source.csv``; None if a question is open."""
    encoding, texts = decode(samples, decisions)
    for text in texts:
        if not text.is_whole:
            decisions.doubt(f"of {text.name} only the first {len(text.text):,} characters are read")
    if decisions.questions:
        return None
    layout = find_layout(texts, decisions)
    if decisions.questions:
        return None
    csv["delimiter"] = layout.dialect.delimiter
    if layout.dialect.quote != '"':
        csv["quote"] = layout.dialect.quote
    if encoding != "utf-8":
        csv["encoding"] = encoding
    table = read_tables(texts, layout, decisions)
    if table is not None:
        csv.update(table.settings)
    return table


def _columns(
    table: Table, of_folders: frozenset[str], decisions: Decisions
) -> list[ColumnProposal]:
    names = column_names(table.headers, of_folders)
    readers = [
        ColumnReader(name, header if table.header_row else None, table.values(at))
        for at, (name, header) in enumerate(zip(names, table.headers, strict=True))
    ]
    evidence = Evidence()
    for reader in readers:
        if reader.decimal_evidence:
            evidence.decimals.setdefault(reader.decimal_evidence, reader.name)
        if reader.order_evidence:
            evidence.orders.setdefault(reader.order_evidence, reader.name)
    columns = [reader.propose(evidence, decisions) for reader in readers]
    for column in columns:
        if column.header is not None and column.header != column.name:
            column.settings["header"] = column.header
        if column.header is not None and column.header in table.optional:
            column.settings["optional"] = True
            column.settings.pop("nullable", None)
    return columns


def _nulls_of_the_file(columns: Sequence[ColumnProposal]) -> list[str]:
    """Moves the NULL texts that programs write from the columns to the file."""
    found: dict[str, None] = {}
    for column in columns:
        nulls = column.settings.get("null_values", [])
        found.update(dict.fromkeys(word for word in nulls if word in _OF_THE_FILE))
        rest = [word for word in nulls if word not in _OF_THE_FILE]
        if nulls and rest:
            column.settings["null_values"] = rest
        elif nulls:
            del column.settings["null_values"]
    return sorted(found)
