"""Personal values, whatever their column is called: e-mail addresses, IBANs, card numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_MAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[A-Za-z]{2,}")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_CARD = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{3,4}", re.ASCII)
#: Values that are looked at.
_FIRST = 200


def is_personal(texts: Sequence[str]) -> bool:
    """Whether most of a column's values are e-mail addresses, account or card numbers.

    Account and card numbers have check digits, which other numbers hardly ever all have.
    """
    first = texts[:_FIRST]
    return any(2 * sum(map(fits, first)) > len(first) for fits in _KINDS)


def _is_mail(text: str) -> bool:
    return bool(_MAIL.fullmatch(text))


def _is_iban(text: str) -> bool:
    """ISO 13616: the rest of its digits, divided by 97, is 1."""
    plain = text.replace(" ", "")
    if not _IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: Luhn's sum is divisible by 10."""
    if not _CARD.fullmatch(text):
        return False
    digits = [int(one) for one in text if one.isdecimal()][::-1]
    return sum(digits[::2] + [sum(divmod(2 * one, 10)) for one in digits[1::2]]) % 10 == 0


_KINDS: tuple[Callable[[str], bool], ...] = (_is_mail, _is_iban, _is_card)
