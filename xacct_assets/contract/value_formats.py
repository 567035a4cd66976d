"""How a supplier writes numbers, dates and times, as a feed's `format` says it.

A number's format is the number 1234.56 (or 1234) as the file writes it: ``"1.234,56"``,
``"1 234,56 €"``, ``"$1,234.56"``, ``"1234,56 %"``. A date's is made of tokens and of what stands
between them: YYYY, YY (00 to 69 are 2000 to 2069), MM, MON (Jan to Dec), DD, HH (12 hours if there
is an AM), MI, SS, FF (1 to 6 digits of a second), AM, TZ (Z, +01:00, +0100 or +01).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xacct_assets.contract.column_types import ColumnType

NUMBERS = frozenset(
    {"bigint", "integer", "smallint", "decimal", "double precision", "real"},
)
MOMENTS = frozenset({"date", "timestamp", "timestamptz", "time"})
#: Blanks that separate thousands, all alike: space, no-break space, narrow no-break space.
BLANKS = " \u00a0\u202f"

_SAMPLE = re.compile(
    r"(?P<prefix>\D*?)1(?P<thousands>\D?)234(?:(?P<decimal>\D)56)?(?P<suffix>\D*)", re.DOTALL
)
_THOUSANDS = "., '\u2019_" + BLANKS
_TOKEN = re.compile(r"YYYY|YY|MON|MM|MI|DD|HH|SS|FF|AM|TZ|.", re.DOTALL)
#: The values of a token, as a regular expression for Java and Python. Those of two digits may have
#: one, where no other digits follow or precede.
_PATTERNS = {
    "YYYY": "(?!0000)[0-9]{4}",
    "YY": "[0-9]{2}",
    "MM": "[0-9]{2}",
    "MON": "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
    "DD": "[0-9]{2}",
    "HH": "[0-9]{2}",
    "MI": "[0-9]{2}",
    "SS": "[0-9]{2}",
    "FF": "[0-9]{1,6}",
    "AM": "(?i:[ap]m)",
    "TZ": "Z|[+-][0-9]{2}(?::?[0-9]{2})?",
}
_MAY_BE_SHORT = frozenset({"MM", "DD", "HH"})
_DIGITS = _PATTERNS.keys() - {"MON", "AM", "TZ"}
_DATE_TOKENS = frozenset({"YYYY", "YY", "MM", "MON", "DD"})


@dataclass(frozen=True)
class NumberFormat:
    """The characters of a number; an empty text where there is none.

    Attributes:
        decimal: before the decimals.
        thousands: between groups of three digits. A number may do without.
        prefix, suffix: around each number, e.g. a currency or ``%``; without outer blanks.
    """

    decimal: str = ""
    thousands: str = ""
    prefix: str = ""
    suffix: str = ""

    @classmethod
    def parse(cls, sample: str, column_type: ColumnType) -> NumberFormat:
        """Read a number's format.

        Raises:
            ValueError: naming the format, the reason and the fix.
        """
        found = _SAMPLE.fullmatch(sample)
        if found is None:
            raise ValueError(
                f"format {sample!r} is no number's: write the number 1234.56 (or 1234) as the file "
                "writes it, e.g. '1.234,56' or '$1,234.56'"
            )
        decimal, thousands = found["decimal"] or "", found["thousands"]
        prefix, suffix = (_stripped(found[name]) for name in ("prefix", "suffix"))
        for sign in "+-()":
            if sign in prefix + suffix:
                raise ValueError(f"format {sample!r}: write a positive number, without {sign!r}")
        if decimal not in ("", ".", ","):
            raise ValueError(f"format {sample!r}: decimals follow '.' or ',', not {decimal!r}")
        if thousands and thousands not in _THOUSANDS:
            raise ValueError(
                f"format {sample!r}: {thousands!r} separates no thousands; one of . , ' _ and a "
                "blank does"
            )
        if thousands and thousands == decimal:
            raise ValueError(f"format {sample!r}: thousands and decimals follow the same character")
        if not decimal and column_type.name not in ("bigint", "integer", "smallint"):
            raise ValueError(
                f"format {sample!r} has no decimals, and a {column_type} has: write 1234.56 as the "
                "file writes it"
            )
        return cls(decimal, thousands, prefix, suffix)


@dataclass(frozen=True)
class MomentFormat:
    """The parts of a date or time in the order in which they are written.

    Attributes:
        parts: (token, pattern) of each; the token is empty for a text between two.
    """

    parts: tuple[tuple[str, str], ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens in order."""
        return tuple(token for token, _ in self.parts if token)

    @property
    def pattern(self) -> str:
        """A regular expression of the whole text, with a group for each token, in order."""
        return "".join(f"({pattern})" if token else pattern for token, pattern in self.parts)

    @classmethod
    def parse(cls, text: str, column_type: ColumnType) -> MomentFormat:
        """Read a date's or time's format.

        Raises:
            ValueError: naming the format, the reason and the fix.
        """
        pieces = _TOKEN.findall(text)
        for piece in pieces:
            if piece not in _PATTERNS and (
                (piece.isascii() and piece.isalpha() and piece != "T") or piece == "%"
            ):
                raise ValueError(
                    f"format {text!r}: {piece!r} is no token; there are {', '.join(_PATTERNS)}, in "
                    "upper case, e.g. DD/MM/YYYY or YYYY-MM-DD HH:MI:SS"
                )
        _check_tokens(text, [piece for piece in pieces if piece in _PATTERNS], column_type)
        return cls(tuple(_part(pieces, number) for number in range(len(pieces))))


def _part(pieces: list[str], number: int) -> tuple[str, str]:
    piece = pieces[number]
    if piece not in _PATTERNS:
        return "", f"[{BLANKS}]" if piece in BLANKS else re.escape(piece)
    beside = (*pieces[max(0, number - 1) : number], *pieces[number + 1 : number + 2])
    if piece in _MAY_BE_SHORT and not any(other in _DIGITS or other.isdigit() for other in beside):
        return piece, "[0-9]{1,2}"
    return piece, _PATTERNS[piece]


def _check_tokens(text: str, tokens: list[str], column_type: ColumnType) -> None:
    name = column_type.name
    found = set(tokens)

    def refuse(reason: str) -> ValueError:
        return ValueError(f"format {text!r} of a {name}: {reason}")

    if len(found) != len(tokens):
        raise refuse("a token is there twice; remove one")
    has_year, has_month = len(found & {"YYYY", "YY"}), len(found & {"MM", "MON"})
    if name == "time":
        if found & _DATE_TOKENS or "TZ" in found:
            raise refuse("it holds a date or a time zone; a time has HH MI SS FF AM only")
    elif has_year != 1 or has_month != 1 or "DD" not in found:
        raise refuse("it needs one year (YYYY or YY), one month (MM or MON) and a day (DD)")
    if name == "date":
        if found - _DATE_TOKENS:
            raise refuse(
                f"{min(found - _DATE_TOKENS)} belongs to a timestamp; write a time that is always "
                "midnight as it stands, e.g. DD/MM/YYYY 00:00:00"
            )
        return
    if name == "time" and not {"HH", "MI"} <= found:
        raise refuse("it needs HH and MI")
    order = ("HH", "MI", "SS", "FF")
    times = [token in found for token in order]
    if sorted(times, reverse=True) != times:
        raise refuse("MI needs HH, SS needs MI, and FF needs SS")
    if "AM" in found and "HH" not in found:
        raise refuse("AM needs HH")


def _stripped(text: str) -> str:
    return text.strip(BLANKS)
