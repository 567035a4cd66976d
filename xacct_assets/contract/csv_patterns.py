r"""Regular expressions for the fields and records of a CSV dialect, over bytes.

The quantifiers are possessive: nothing is tried twice, however a text is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class CsvPatterns:
    """The patterns of a dialect.

    Attributes:
        field: one field; group "open" matches if it is quoted, "shut" if its closing quote is
            there too.
        inside: the rest of a quoted field that began earlier, with the same groups.
        record: a whole record with its line end, all of whose quotes are closed.
        misplaced: a quote that is not at the start of a field.
    """

    field: re.Pattern[bytes]
    inside: re.Pattern[bytes]
    record: re.Pattern[bytes]
    misplaced: re.Pattern[bytes]


@lru_cache
def patterns_of(quote: bytes, delimiter: bytes) -> CsvPatterns:
    """The patterns of the dialect with these characters."""
    names = {b"Q": re.escape(quote), b"D": re.escape(delimiter)}

    def compiled(pattern: bytes) -> re.Pattern[bytes]:
        return re.compile(re.sub(b"[QD]", lambda found: names[found[0]], pattern))

    field = rb"(?:Q(?:[^Q]++|QQ)*+Q[^D\n]*+|[^QD\n][^D\n]*+|)"
    return CsvPatterns(
        field=compiled(rb"(?:(?P<open>Q)(?:[^Q]++|QQ)*+(?P<shut>Q)?)?+[^D\n]*+"),
        inside=compiled(rb"(?P<open>)(?:[^Q]++|QQ)*+(?P<shut>Q)?+[^D\n]*+"),
        record=compiled(rb"%b(?:D%b)*+\n" % (field, field)),
        misplaced=compiled(rb"Q(?<=[^D\n]Q)"),
    )
