"""Writes sample files as suppliers' programs do."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(
    rows: Iterable[Sequence[object]],
    delimiter: str = ",",
    *,
    quoting: int = csv.QUOTE_MINIMAL,
    quote: str = '"',
    line_end: str = "\r\n",
) -> str:
    """Rows as CSV."""
    file = io.StringIO(newline="")
    writer = csv.writer(
        file, delimiter=delimiter, quotechar=quote, quoting=quoting, lineterminator=line_end
    )
    writer.writerows(rows)
    return file.getvalue()


def excel_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as a European Excel saves them: semicolons, CRLF, quotes only where needed."""
    return csv_text(rows, ";")
