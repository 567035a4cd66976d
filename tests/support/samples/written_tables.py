"""Tables and the dialects they are written in, for a property test; what a proposal reads back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.value_formats import BLANKS, MomentFormat, NumberFormat
from xacct_assets.feed.proposal import Proposal, Sample, propose
from xacct_assets.feed.proposal.records import Dialect, read_records

WORDS = ("sku", "Product Name", "Größe", "price", "Menge (Stk.)", "valid from", "Note", "Ref")
ENCODINGS = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-16", "cp1252": "windows-1252"}
ORDERS = {
    "dmy": "{0.day:02}{s}{0.month:02}{s}{0.year}",
    "mdy": "{0.month:02}{s}{0.day:02}{s}{0.year}",
}


@dataclass(frozen=True)
class WrittenTable:
    """A table and how it is written.

    Attributes:
        headers: of its columns.
        kinds: text, integer, decimal or date, for each column.
        rows: the values.
        data: the file.
        truth: the right answers to questions that may be asked.
        traits: how it is written.
    """

    headers: Sequence[str]
    kinds: Sequence[str]
    rows: Sequence[Sequence[Any]]
    data: bytes
    truth: dict[str, str]
    traits: frozenset[str]

    def proposed(self) -> Proposal:
        """The proposal, after each question has got its true answer.

        A wrong proposal without a question is what the tests look for.
        """
        answers: dict[str, str] = {}
        while True:
            proposal = propose([Sample("table.csv", self.data)], answers)
            if not proposal.questions:
                return proposal
            question = proposal.questions[0]
            assert question.about in self.truth, question
            answer = self.truth[question.about]
            assert answer in question.choices, question
            answers[question.about] = answer


@st.composite
def written_tables(draw: st.DrawFn, widths: tuple[int, int] = (2, 5)) -> WrittenTable:
    """Any table in any dialect that a feed can have.

    Args:
        draw: of hypothesis.
        widths: least and largest number of columns.
    """
    encoding = draw(st.sampled_from(sorted(ENCODINGS)))
    delimiter = draw(st.sampled_from(",;\t|^~"))
    quote = draw(st.sampled_from('"""\''))
    decimal = draw(st.sampled_from(",."))
    order = draw(st.sampled_from(sorted(ORDERS)))
    has_header = draw(st.sampled_from((True, True, True, False)))
    least, most = widths
    kind = st.sampled_from(("text", "integer", "decimal", "date"))
    kinds = draw(st.lists(kind, min_size=least, max_size=most))
    columns = [draw(_values(kind)) for kind in kinds]
    rows = list(zip(*columns, strict=True))
    further = [f"{word} {number}" for number in range(2, 2 + most // len(WORDS)) for word in WORDS]
    headers = [*draw(st.permutations(WORDS)), *further][: len(kinds)]
    line_end = draw(st.sampled_from(("\n", "\r\n")))
    all_quoted = draw(st.booleans())

    def written(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, date):
            text = ORDERS[order].format(value, s="/")
        elif isinstance(value, Decimal):
            text = f"{value:,}".translate(str.maketrans(",.", ".," if decimal == "," else ",."))
        else:
            text = str(value)
        special = (delimiter, "\n", "\r", quote, '"', "'")
        if all_quoted or text == "" or any(character in text for character in special):
            text = f"{quote}{text.replace(quote, quote * 2)}{quote}"
        return text

    lines = [delimiter.join(map(written, row)) for row in ([headers] if has_header else [])]
    lines += [delimiter.join(map(written, row)) for row in rows]
    if draw(st.booleans()):
        lines.insert(0, f"sep={delimiter}")
    text = line_end.join(lines) + draw(st.sampled_from(("", line_end)))
    # A file whose first line end is a carriage return alone is refused, as by raw_partition.
    assume(not re.match(r"[^\n]*\r(?!\n)", text))
    data = text.encode(encoding)
    # "é€€" in Windows-1252 has the bytes of a Chinese character in UTF-8. No word has.
    assume(encoding != "cp1252" or data.isascii() or not _is_utf8(data))
    truth = {
        "encoding": ENCODINGS[encoding],
        "delimiter": delimiter,
        "quote": quote,
        "decimal": decimal,
        "date-order": order,
        "header": "yes" if has_header else "no",
        "key": "none",
    }
    traits = {*truth.items(), ("end", line_end), ("mark", encoding), ("all quoted", all_quoted)}
    traits |= {("preamble", text.startswith("sep=")), *(("kind", kind) for kind in kinds)}
    return WrittenTable(headers, kinds, rows, data, truth, frozenset(map(str, traits)))


def varied_tables(number: int, widths: tuple[int, int]) -> list[WrittenTable]:
    """So many tables, the same at each call, chosen so that each trait is soon among them."""
    found: list[WrittenTable] = []

    @settings(
        max_examples=10 * number,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(table=written_tables(widths))
    def collect(table: WrittenTable) -> None:
        found.append(table)

    collect()
    chosen: list[WrittenTable] = []
    seen: set[str] = set()
    while len(chosen) < number:
        best = max(found, key=lambda table: len(table.traits - seen))
        if not best.traits - seen:
            seen = set()
            continue
        found.remove(best)
        chosen.append(best)
        seen |= best.traits
    return chosen


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


_ROWS = 6
_TEXT = st.text(st.sampled_from("ab Zé€ß,;|^~\t\"'.-12\\\r\n"), max_size=12).map(
    lambda text: text.strip()
)


def _values(kind: str) -> st.SearchStrategy[list[Any]]:
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "text": _TEXT,
        "integer": st.integers(-9999, 99999),
        "decimal": st.decimals("-9999.99", "99999.99", places=2),
        "date": st.dates(date(1990, 1, 1), date(2049, 12, 31)),
    }
    values = st.lists(st.one_of(st.none(), strategies[kind]), min_size=_ROWS, max_size=_ROWS)
    if kind == "text":
        # Digits only are numbers, in a column of texts as well.
        return values.map(lambda found: [*found[:-1], "Brass, old"])
    return values.filter(lambda found: any(value is not None for value in found))


def read_back(data: bytes, proposal: Proposal) -> list[list[Any]]:
    """The values of a file, read by nothing but the proposal."""
    csv = proposal.csv
    encoding = csv.get("encoding", "utf-8")
    text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    quote = csv.get("quote", '"')
    records = read_records(
        text, Dialect(csv["delimiter"], quote, quote), skip=csv.get("preamble_lines", 0)
    )
    rows = records.rows[1:] if csv.get("header_row", True) else records.rows
    return [
        [_value(field, column) for field, column in zip(row, proposal.columns, strict=True)]
        for row in rows
    ]


def _value(field: str | None, column: Any) -> Any:
    if field is not None and column.settings.get("trim"):
        field = field.strip(" \t\u00a0")
    if field is None or field in column.settings.get("null_values", ()):
        return None
    kind = ColumnType.parse(column.type)
    written = column.settings.get("format")
    if kind.name == "date":
        if written is None:
            return date.fromisoformat(field)
        moment = MomentFormat.parse(written, kind)
        match = re.fullmatch(moment.pattern, field)
        assert match is not None
        parts = dict(zip(moment.tokens, map(int, match.groups()), strict=True))
        return date(parts["YYYY"], parts["MM"], parts["DD"])
    if kind.name in ("integer", "bigint", "decimal"):
        number = NumberFormat.parse(written, kind) if written else NumberFormat(".")
        for blank in BLANKS if number.thousands in BLANKS else number.thousands:
            field = field.replace(blank, "")
        if number.decimal == ",":
            assert "." not in field
            field = field.replace(",", ".")
        value = Decimal(field)
        return int(value) if kind.name != "decimal" else value
    assert kind.length is None or len(field.encode()) <= kind.length
    return field
