"""Numbers in texts: which decimal and thousands separators, prefix and suffix they have.

A text such as ``1,234`` can be two numbers. All readings are kept until a value of the column, or
of another column of the file, leaves one; if none does, a person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from xacct_assets.contract.value_formats import BLANKS

_NUMBER = re.compile(
    r"(?P<before>[^\d.,+()\-]{0,6}?)(?P<sign>[-+]?)(?P<between>[^\d.,+()\-]{0,6}?)"
    r"(?P<body>[.,]?\d(?:[\d.,'\u2019 \u00a0\u202f]*\d)?)(?P<after>[^\d,+()\-]{0,6})"
)
_CURRENCIES = (
    "€ $ £ ¥ ₹ ₽ ₺ ₩ ₪ zł Kč kr Ft lei R$ Fr. US$ % AUD BRL CAD CHF CNY CZK DKK EUR GBP HUF INR "
    "JPY MXN NOK PLN RON RUB SEK TRY USD ZAR"
)
#: What may stand around a number and belongs to its column as a whole.
_AFFIXES = frozenset(_CURRENCIES.split()) | {""}
#: (thousands, decimal), the plain ones first. A blank stands for each kind of blank.
_SEPARATORS = (
    *(("", "."), ("", ","), (",", "."), (".", ",")),
    *((" ", ","), (" ", "."), ("'", "."), ("\u2019", "."), ("'", ",")),
)
_EXPONENT = re.compile(r"[+-]?\d+(?P<point>[.]\d+)?[eE][+-]?\d+", re.ASCII)
_ANY_BLANK = re.compile(f"[{BLANKS}]")


@dataclass(frozen=True)
class Reading:
    """One way to read all texts of a column as numbers.

    Attributes:
        thousands, decimal: the separators.
        prefix, suffix: around each number.
        values: the numbers, in the order of the texts.
    """

    thousands: str
    decimal: str
    prefix: str
    suffix: str
    values: tuple[Decimal, ...]

    @property
    def has_decimals(self) -> bool:
        """Whether a number has a decimal."""
        return any(_scale(value) > 0 for value in self.values)

    @property
    def scale(self) -> int:
        """The most decimals of a number."""
        return max(_scale(value) for value in self.values)

    @property
    def whole_digits(self) -> int:
        """The most digits before the decimals."""
        return max(len(str(abs(int(value)))) for value in self.values)

    def format(self) -> str | None:
        """The `format` of the column; None if the numbers are written as SQL writes them."""
        decimals = f"{self.decimal}56" if self.has_decimals else ""
        plain = not (self.thousands or self.prefix or self.suffix)
        if plain and (self.decimal == "." or not decimals):
            return None
        before = f"{self.prefix} " if self.prefix.isalpha() else self.prefix
        after = f" {self.suffix}" if self.suffix else ""
        return f"{before}1{self.thousands}234{decimals}{after}"


def readings(texts: Sequence[str]) -> list[Reading]:
    """All ways to read the texts that differ in a number; none if a text is no number.

    Args:
        texts: of a column, each once, without outer blanks.
    """
    matches = [_NUMBER.fullmatch(text) for text in texts]
    parts: list[tuple[str, str]] = []
    affixes = set()
    for match in matches:
        if match is None or (match["before"] and match["between"]):
            return []
        prefix = (match["before"] or match["between"]).strip(BLANKS)
        suffix = match["after"].strip(BLANKS)
        if prefix not in _AFFIXES or suffix not in _AFFIXES:
            return []
        affixes.add((prefix, suffix))
        parts.append((match["sign"], _ANY_BLANK.sub(" ", match["body"])))
    if len(affixes) != 1:
        return []
    prefix, suffix = affixes.pop()
    found: dict[tuple[Decimal, ...], Reading] = {}
    for thousands, decimal in _SEPARATORS:
        values = _values(parts, thousands, decimal)
        if values is not None:
            found.setdefault(values, Reading(thousands, decimal, prefix, suffix, values))
    return list(found.values())


def _values(
    parts: Iterable[tuple[str, str]], thousands: str, decimal: str
) -> tuple[Decimal, ...] | None:
    group = rf"|[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+" if thousands else ""
    pattern = re.compile(rf"(\d+{group})?(?:{re.escape(decimal)}(\d+))?", re.ASCII)
    values = []
    for sign, body in parts:
        match = pattern.fullmatch(body)
        if match is None:
            return None
        whole = (match[1] or "0").replace(thousands, "") if thousands else match[1] or "0"
        values.append(Decimal(f"{sign}{whole}" + (f".{match[2]}" if match[2] else "")))
    return tuple(values)


def is_float(texts: Sequence[str]) -> bool:
    """Whether the texts are plain numbers and some of them have an exponent and decimals."""
    exponents = [match for match in map(_EXPONENT.fullmatch, texts) if match]
    others = [text for text in texts if not _EXPONENT.fullmatch(text)]
    return (
        bool(exponents)
        and all(match["point"] for match in exponents)
        and all(re.fullmatch(r"[+-]?\d+([.]\d+)?", text, re.ASCII) for text in others)
    )


def has_exponent(texts: Sequence[str]) -> str | None:
    """The first text with an exponent, as ``4,00638E+12``."""
    pattern = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+", re.ASCII)
    return next((text for text in texts if pattern.fullmatch(text)), None)


def leading_zero(texts: Iterable[str]) -> str | None:
    """The first text of digits that begin with a zero: a code, or a day without a year (01.10)."""
    pattern = re.compile(r"0\d+(?:[.,]\d+)?", re.ASCII)
    return next((text for text in texts if pattern.fullmatch(text)), None)


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0
