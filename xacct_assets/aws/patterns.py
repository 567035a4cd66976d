"""Which keys under a day's prefix are data files of a feed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.DOTALL)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """True if the name below the prefix fits one of the patterns.

    `*` is any run of characters except `/`, `?` is one such character; everything else stands for
    itself. A last part that starts with `_` or `.` never matches: Spark and Glue leave such files
    out.
    """
    if is_hidden(name):
        return False
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


def is_hidden(name: str) -> bool:
    """True for keys whose last part starts with `_` or `.`, and for folder markers."""
    last = name.rpartition("/")[2]
    return last == "" or last.startswith(("_", "."))
