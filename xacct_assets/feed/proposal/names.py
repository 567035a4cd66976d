"""Clean column names from the headers of a file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.spec.columns import LOADED_AT_COLUMN, SYSTEM_COLUMNS

#: Letters that Unicode does not take apart into a letter and an accent.
_LETTERS = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l",
        "ı": "i", "%": " percent ", "&": " and ", "#": " number ", "€": " eur ", "$": " usd ",
        "£": " gbp ", "№": " number ",
    }
)  # fmt: skip
#: Columns that the pipeline, the crawler or Redshift adds (see `FeedSpec`).
_TAKEN = SYSTEM_COLUMNS | frozenset(
    {PARTITION_COLUMN, LOADED_AT_COLUMN, "partition_0", "partition_1", "partition_2"}
)
_LONGEST = 127


def clean_name(header: str) -> str:
    """A SQL name for a header: ``Variant SKU`` becomes ``variant_sku``. Empty if none is left."""
    text = header.strip().translate(_LETTERS)
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", text)  # camelCase
    text = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    text = re.sub("['\u2019]", "", "".join(c for c in text if not unicodedata.combining(c)))
    name = re.sub(r"[^a-z0-9]+", "_", text).strip("_")
    return f"col_{name}"[:_LONGEST] if name[:1].isdigit() else name[:_LONGEST].rstrip("_")


def column_names(headers: Sequence[str], also_taken: Collection[str] = ()) -> list[str]:
    """A SQL name for each header, all different and none that the pipeline adds.

    Args:
        headers: of the file.
        also_taken: names that this feed's folders add.
    """
    names: list[str] = []
    for number, header in enumerate(headers, start=1):
        name = clean_name(header) or f"column_{number}"
        if name in _TAKEN or name in also_taken:
            name = f"{name}_in_file"
        base, count = name, 1
        while name in names:
            count += 1
            name = f"{base[: _LONGEST - 5]}_{count}"
        names.append(name)
    return names
