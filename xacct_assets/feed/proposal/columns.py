"""The column that a header and its values propose: type with room, format, NULLs, and doubts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from xacct_assets.feed.proposal import moments, numbers
from xacct_assets.feed.proposal.decisions import Decisions, quoted, shown
from xacct_assets.feed.proposal.evidence import Evidence
from xacct_assets.feed.proposal.personal import is_personal
from xacct_assets.feed.proposal.text_notes import note_text

#: Texts that people and programs write where there is no value.
_NULL_WORDS = frozenset(
    {
        *("n/a", "na", "null", "nil", "none", "(null)", "\\n", "#n/a", "nan", "-", "--", "—", "–"),
        *("?", "k.a.", "k. a.", "n.v.", "s/o", "n.d.", "nd", "н/д", "0000-00-00", "00.00.0000"),
        *("0000-00-00 00:00:00", "00/00/0000", "unknown", "missing"),
    }
)
#: Of these, those that no text column holds as a text.
_ONLY_NULL = frozenset({"\\N", "(null)", "#N/A", "NULL"})
_BOOLEANS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
_CODE = re.compile(
    r"(?:^|_)(?:zip|postal|postcode|postleitzahl|plz|cep|phone|tel|telefon|telefono|telephone|mobile"
    r"|fax|ean\d*|gtin\d*|upc|isbn|barcode|iban|bic|swift|konto|account|sku|artikelnr|artnr|code"
    r"|codigo|vat|vat_id|tax_id|nif|cif|siret|cnpj|cpf|hs_code|ssn|serial|imei|mpn)(?:_|$)"
)
_PERSONAL = re.compile(
    r"(?:^|_)(?:e?_?mail|phone|tel|telefon|mobile|iban|birth\w*|born|geboren|geburtsdatum|ssn|cpf"
    r"|passport|credit_card|card_number|password|tax_id)(?:_|$)"
)
_DATE_WORD = re.compile(
    r"(?:^|_)(?:(?:order|ship|birth|start|end|due|sale|invoice)?date|\w*datum|dato|fecha|data|day"
    r"|(?:buchungs|geburts|liefer|rechnungs)?tag|jour|giorno|dia|dt|time|zeit|at|on|valid\w*"
    r"|created|updated|modified)(?:_|$)"
)
_OUTER_BLANKS = " \t\u00a0"
_TEXT_SIZES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65535)
#: Bytes of a text from which on it is prose, whose length varies most.
_LONG_TEXT = 256
#: Rows without an empty field from which on a column is not nullable.
ENOUGH_ROWS = 50


@dataclass
class ColumnProposal:
    """A proposed column.

    Attributes:
        name: in the feed.
        header: in the file; None without a header row.
        type: Redshift type.
        settings: further fields of the column in ``defs.yaml``.
        samples: up to three different values, as in the file.
        nulls: rows without a value.
        longest: bytes of the longest value.
    """

    name: str
    header: str | None
    type: str
    settings: dict[str, Any] = field(default_factory=dict)
    samples: tuple[str, ...] = ()
    nulls: int = 0
    longest: int = 0


class ColumnReader:
    """What a column's values tell, before choices that need other columns are made.

    Args:
        name: of the column in the feed.
        header: in the file; None without a header row.
        values: of all rows; None where a field is empty and unquoted.
    """

    def __init__(self, name: str, header: str | None, values: Sequence[str | None]) -> None:
        self.name, self.header = name, header
        self.rows = len(values)
        self._given = Counter(value for value in values if value is not None)
        trimmed: Counter[str] = Counter()
        for value, count in self._given.items():
            trimmed[value.strip(_OUTER_BLANKS)] += count
        self.blank = trimmed.pop("", 0)
        self.words = {value: n for value, n in trimmed.items() if value.lower() in _NULL_WORDS}
        self.core = [value for value in trimmed if value not in self.words]
        self.counts = trimmed
        self.moments = moments.readings(self.core) if self.core else []
        self.numbers = [] if self.moments or not self.core else numbers.readings(self.core)
        if any(len(text) == 8 for text in self.core) and self.moments:
            # Eight digits may be days as well as numbers.
            self.numbers = numbers.readings(self.core)
        self.has_outer_blanks = any(
            value != value.strip(_OUTER_BLANKS) and value.strip(_OUTER_BLANKS)
            for value in self._given
        )

    @property
    def decimal_evidence(self) -> str | None:
        """The decimal separator that the column proves; None if it proves none."""
        proven = {reading.decimal for reading in self.numbers}
        return proven.pop() if len(proven) == 1 and self._has_separator() else None

    def _has_separator(self) -> bool:
        return any(re.search(r"[.,]", text) for text in self.core)

    @property
    def order_evidence(self) -> str | None:
        """The order of the dates that the column proves: ``dmy`` or ``mdy``; else None."""
        orders = {reading.order for reading in self.moments}
        order = orders.pop() if len(orders) == 1 else None
        return order if order in ("dmy", "mdy") else None

    def propose(self, evidence: Evidence, decisions: Decisions) -> ColumnProposal:
        """The column; choices that nothing in the file settles become questions."""
        column = ColumnProposal(
            self.name,
            self.header,
            "varchar(256)",
            samples=tuple(value for value, _ in self._given.most_common() if value.strip())[:3],
            nulls=self.rows - sum(self._given.values()),
            longest=max((len(value.encode()) for value in self._given), default=0),
        )
        chosen = decisions.answers.get(f"type:{self.name}")
        if not self.core:
            kept = f" but {_list(list(self.words))}" if self.words else ""
            decisions.doubt(f"no value{kept} in the samples: taken for a text", self.name)
        elif chosen in (None, "date", "number") and self._typed(column, evidence, decisions):
            self._add_nulls(column, decisions)
        else:
            self._text(column, decisions)
        if chosen not in (None, "date", "number"):
            column.type, _, written = str(chosen).partition(":")
            if written:
                column.settings["format"] = written
        self._nullable(column)
        if _PERSONAL.search(self.name) or is_personal(self.core):
            column.settings["sensitive"] = True
            decisions.doubt("looks personal: masked wherever rows are shown", self.name)
        return column

    def _typed(self, column: ColumnProposal, evidence: Evidence, decisions: Decisions) -> bool:
        return (
            self._boolean(column, decisions)
            or self._moment(column, evidence, decisions)
            or self._number(column, evidence, decisions)
        )

    def _boolean(self, column: ColumnProposal, decisions: Decisions) -> bool:
        folded = {text.lower() for text in self.core}
        pair = next((pair for pair in _BOOLEANS if folded <= pair), None)
        if pair is None:
            return False
        if folded != pair and len(next(iter(folded))) < 4:
            decisions.doubt(
                f"only {quoted(self.core[0])} in the samples: taken for a text; --type "
                f"{self.name}=boolean if it is yes or no",
                self.name,
            )
            return False
        column.type = "boolean"
        return True

    def _moment(self, column: ColumnProposal, evidence: Evidence, decisions: Decisions) -> bool:
        found = self.moments
        if not found or not self._is_of_our_time(found[0], decisions):
            return False
        if self.numbers and not self._is_day(decisions):
            return False
        reading = found[0]
        if len(found) > 1:
            reading = evidence.choose_order(self.name, self.core, found, decisions)
        column.type = reading.type
        if reading.format is not None:
            column.settings["format"] = reading.format
        if "YY" in (reading.format or "").replace("YYYY", ""):
            decisions.doubt(
                "years have two digits: 00 to 69 are 2000 to 2069, 70 to 99 are 1970 to 1999",
                self.name,
            )
        if reading.type == "time" and not re.search("time|zeit|heure|hora|ora|uhr", self.name):
            decisions.doubt(
                f"{quoted(self.core[0])} is taken for a time of day; --type "
                f"'{self.name}=varchar(16)' if it is something else",
                self.name,
            )
        return True

    def _is_of_our_time(self, reading: moments.MomentReading, decisions: Decisions) -> bool:
        if reading.type == "time":
            return True
        years = sorted(value.year for value in reading.values)
        middle = years[len(years) // 2]
        if 1900 <= middle <= 2100 or middle == 9999:
            return True
        decisions.doubt(
            f"its years are around {middle}: another calendar? Taken for a text", self.name
        )
        return False

    def _is_day(self, decisions: Decisions) -> bool:
        """Whether eight digits are days."""
        if _DATE_WORD.search(self.name):
            return True
        if numbers.leading_zero(self.core) or not 1950 <= self.moments[0].years[0] <= 2100:
            return False
        about = f"type:{self.name}"
        answer = decisions.ask(
            about,
            f"Is {self.core[0]} in column {self.name} a day or a number?",
            {"date": "a day", "number": "a number"},
            likely=None,
            flag=f"--type {self.name}=",
            column=self.name,
        )
        return answer == "date"

    def _number(self, column: ColumnProposal, evidence: Evidence, decisions: Decisions) -> bool:
        if numbers.is_float(self.core):
            column.type = "double precision"
            decisions.doubt("some numbers have an exponent", self.name)
            return True
        found = self.numbers
        if not found or self._is_code(decisions):
            return False
        reading = found[0]
        if len(found) > 1:
            reading = evidence.choose_decimal(self.name, self.core, found, decisions)
        column.type = _number_type(reading, self.name)
        written = reading.format()
        if written is not None:
            column.settings["format"] = written
        if reading.scale > 0 and max(map(abs, reading.values)) == 0:
            decisions.doubt("all numbers are zero", self.name)
        low, high = min(reading.values), max(reading.values)
        if reading.scale == 0 and {low, high} == {Decimal(0), Decimal(1)}:
            decisions.doubt(
                f"0 and 1 only: kept as a number; --type {self.name}=boolean if it is yes or no",
                self.name,
            )
        if reading.scale == 0 and _DATE_WORD.search(self.name):
            decisions.doubt(_why_no_date(low, high), self.name)
        return True

    def _is_code(self, decisions: Decisions) -> bool:
        """Whether digits are a code, of which leading zeros and signs must be kept."""
        zero = numbers.leading_zero(self.core)
        if zero is not None:
            decisions.doubt(f"a code, not a number: {quoted(zero)} has a leading zero", self.name)
            return True
        if any(text.startswith("+") for text in self.core):
            decisions.doubt("a code, not a number: a plus sign stands before it", self.name)
            return True
        is_whole = all(re.fullmatch(r"\d+", text, re.ASCII) for text in self.core)
        if is_whole and _CODE.search(self.name):
            decisions.doubt(
                "digits only, and named like a code: kept as a text, so that leading zeros stay",
                self.name,
            )
            return True
        if is_whole and max(map(len, self.core)) > 18:
            decisions.doubt("more digits than a bigint has: kept as a text", self.name)
            return True
        return False

    def _text(self, column: ColumnProposal, decisions: Decisions) -> None:
        longest = max(len(value.encode()) for value in self.core)
        need = longest * (2 if longest <= _LONG_TEXT else 4)
        column.type = f"varchar({next((n for n in _TEXT_SIZES if n >= need), _TEXT_SIZES[-1])})"
        if longest > _TEXT_SIZES[-1]:
            decisions.doubt(
                "a value is longer than 65,535 bytes, the most that Redshift holds: its row will "
                "be rejected",
                self.name,
            )
        note_text(
            *(self.name, self.core, self.counts, decisions),
            named_as_date=bool(_DATE_WORD.search(self.name)),
        )
        nulls = [word for word in self.words if word in _ONLY_NULL]
        if nulls:
            column.settings["null_values"] = nulls
            decisions.doubt(f"{_list(nulls)} is loaded as NULL", self.name)
        kept = [word for word in self.words if word not in nulls]
        if kept:
            decisions.doubt(f"{_list(kept)} is kept as a text, not NULL", self.name)
        padded = [value for value in self._given if value != value.strip(_OUTER_BLANKS)]
        if self.has_outer_blanks and sum(map(self._given.__getitem__, padded)) * 2 > self.rows:
            column.settings["trim"] = True
            decisions.doubt("most values have blanks around them: trimmed", self.name)
        elif self.has_outer_blanks:
            decisions.doubt(
                f"{len(padded)} of its values have blanks around them, which are kept", self.name
            )

    def _add_nulls(self, column: ColumnProposal, decisions: Decisions) -> None:
        """Settings of a number, date or boolean for fields without a value."""
        if self.has_outer_blanks or any(value and not value.strip() for value in self._given):
            column.settings["trim"] = True
        nulls = sorted(self.words)
        if nulls:
            decisions.doubt(f"{_list(nulls)} is loaded as NULL", self.name)
        if "" in self._given:
            nulls = ["", *nulls]
        if nulls:
            column.settings["null_values"] = nulls

    def _nullable(self, column: ColumnProposal) -> None:
        missing = column.nulls + self.blank
        missing += sum(self.words[word] for word in column.settings.get("null_values", ()) if word)
        column.nulls = missing
        if missing == 0 and self.rows >= ENOUGH_ROWS and self.core:
            column.settings["nullable"] = False


def _number_type(reading: numbers.Reading, name: str) -> str:
    digits = reading.whole_digits
    if not reading.has_decimals:
        if digits > 18:
            return "decimal(38,0)"
        is_large = digits > 8 or re.search(r"(?:^|_)id(?:_|$)", name)
        return "bigint" if is_large else "integer"
    # Prices have two decimals; what has more, such as a coordinate, has more tomorrow.
    scale = 2 if reading.scale <= 2 else reading.scale + 2
    precision = max(12, digits + 4 + scale)
    return f"decimal({min(precision, 38)},{scale})" if scale <= 20 else "double precision"


def _why_no_date(low: Decimal, high: Decimal) -> str:
    if low >= 20_000 and high <= 80_000:
        return f"{low} may be a day as Excel counts them: kept as a number; ask for dates"
    if low >= 100_000_000:
        unit = "seconds" if low < 100_000_000_000 else "milliseconds"
        return f"{low} may be {unit} since 1970: kept as a number"
    return "named like a date, but its values are whole numbers: kept as such"


def _list(words: Sequence[str]) -> str:
    return ", ".join(f"'{shown(word)}'" for word in words)
