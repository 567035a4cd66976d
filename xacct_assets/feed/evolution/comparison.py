"""Compares a feed's columns with those of sample files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xacct_assets.feed.evolution.fitting import type_that_fits
from xacct_assets.feed.proposal import Sample, SampleProblem
from xacct_assets.feed.proposal.columns import ColumnProposal, ColumnReader
from xacct_assets.feed.proposal.decisions import Decisions, Doubt, Question, quoted
from xacct_assets.feed.proposal.encodings import decode
from xacct_assets.feed.proposal.evidence import Evidence
from xacct_assets.feed.proposal.names import column_names
from xacct_assets.feed.proposal.records import Dialect, read_records
from xacct_assets.feed.spec import Column, FeedSpec


@dataclass(frozen=True)
class Widened:
    """A column some of whose values do not fit its type.

    Attributes:
        type: which they fit.
        example: one of the values.
    """

    column: Column
    type: str
    example: str


@dataclass
class Comparison:
    """How sample files differ from a feed.

    Attributes:
        new: columns that the feed does not have.
        gone: columns that no sample has.
        renamed: header in the samples -> the column that it names from now on.
        widened: columns whose values do not fit their type.
        empty: columns without a value in some rows, which are not nullable.
        questions: about new columns.
        doubts: about new columns.
    """

    new: list[ColumnProposal] = field(default_factory=list)
    gone: list[Column] = field(default_factory=list)
    renamed: dict[str, Column] = field(default_factory=dict)
    widened: list[Widened] = field(default_factory=list)
    empty: list[Column] = field(default_factory=list)
    questions: Sequence[Question] = ()
    doubts: Sequence[Doubt] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the feed loads the samples as it is."""
        return not (self.new or self.gone or self.renamed or self.widened or self.empty)


def compare(
    feed: FeedSpec,
    samples: Sequence[Sample],
    renamed: Mapping[str, str],
    answers: Mapping[str, str],
    *,
    take_likely: bool = False,
) -> Comparison:
    """Compare a feed with samples that are written as its files are.

    Args:
        feed: the feed.
        samples: one or more files.
        renamed: header in the samples -> name of the column that it names from now on.
        answers: to questions about new columns, by their name.
        take_likely: whether questions that have a likely answer are answered with it.

    Raises:
        SampleProblem: the samples cannot be read as files of the feed.
    """
    decisions = Decisions({**answers, "encoding": feed.source.csv.encoding}, take_likely)
    values = _columns_of(feed, samples, decisions)
    csv = feed.source.csv
    by_header = {csv.folded(column.header_name): column for column in feed.columns}
    by_name = {column.name: column for column in feed.columns}
    found = Comparison()
    readers = []
    evidence = Evidence()
    seen = set()
    for header, name in zip(values, column_names(list(values)), strict=True):
        column = by_header.get(csv.folded(header))
        if column is None and header in renamed:
            column = _renamed_column(renamed[header], by_name)
            found.renamed[header] = column
        reader = ColumnReader(column.name if column else name, header, values[header])
        _keep_evidence(reader, evidence)
        if column is None:
            readers.append(reader)
        else:
            seen.add(column.name)
            _compare_values(feed, column, values[header], found)
    for header in renamed:
        if header not in found.renamed:
            raise SampleProblem(f"--rename: no new column {quoted(header)} is in the samples")
    found.new = [_proposal(reader, by_name, evidence, decisions) for reader in readers]
    found.gone = [
        column for column in feed.columns if column.name not in seen and not column.optional
    ]
    found.questions, found.doubts = decisions.questions, decisions.doubts
    return found


def _columns_of(
    feed: FeedSpec, samples: Sequence[Sample], decisions: Decisions
) -> dict[str, list[str | None]]:
    """The values of each column of the samples, by its header."""
    csv = feed.source.csv
    if not csv.header_row:
        raise SampleProblem(
            f"the files of {feed.name} have no header row, so that their columns are told by "
            "their position: change columns in defs.yaml, then `xacct feed sql`, and write the "
            "migration by hand"
        )
    _, texts = decode(samples, decisions)
    values: dict[str, list[str | None]] = {}
    dialect = Dialect(csv.delimiter, csv.quote, csv.quote)
    for text in texts:
        read = read_records(text.text, dialect, is_whole=text.is_whole, skip=csv.preamble_lines)
        if len(read.rows) < 2:
            raise SampleProblem(f"{text.name} has no rows: give a file with some")
        header, rows = read.rows[0], read.rows[1:]
        if csv.delimiter not in text.text.partition("\n")[0] and len(feed.columns) > 1:
            raise SampleProblem(
                f"the first line of {text.name} has no {quoted(csv.delimiter)}, by which the feed "
                "divides fields: it is no file of this feed"
            )
        for at, name in enumerate(header):
            column = values.setdefault(name or "", [])
            column += [row[at] for row in rows if len(row) == len(header)]
    return values


def _keep_evidence(reader: ColumnReader, evidence: Evidence) -> None:
    if reader.decimal_evidence:
        evidence.decimals.setdefault(reader.decimal_evidence, reader.name)
    if reader.order_evidence:
        evidence.orders.setdefault(reader.order_evidence, reader.name)


def _renamed_column(name: str, by_name: Mapping[str, Column]) -> Column:
    if name not in by_name:
        raise SampleProblem(f"--rename: {name!r} is no column of the feed ({', '.join(by_name)})")
    return by_name[name]


def _proposal(
    reader: ColumnReader, by_name: Mapping[str, Column], evidence: Evidence, decisions: Decisions
) -> ColumnProposal:
    """A new column, under a name that no column of the feed has."""
    base, count = reader.name, 1
    while reader.name in by_name:
        count += 1
        reader.name = f"{base[:120]}_{count}"
    proposal = reader.propose(evidence, decisions)
    if proposal.header != proposal.name:
        proposal.settings = {"header": proposal.header, **proposal.settings}
    return proposal


def _compare_values(
    feed: FeedSpec, column: Column, values: Sequence[str | None], found: Comparison
) -> None:
    nulls = {*feed.source.csv.null_values, *column.null_values}
    given = [value.strip() if column.trim else value for value in values if value is not None]
    given = [value for value in dict.fromkeys(given) if value not in nulls]
    if "" in given and (column.trim or not column.type.startswith(("varchar", "char"))):
        given.remove("")
    has_nulls = any(value is None or value in nulls for value in values)
    if has_nulls and not column.nullable and column.default is None:
        found.empty.append(column)
    misfit = type_that_fits(column, given)
    if misfit is not None:
        found.widened.append(Widened(column, *misfit))
