"""A feed's day folders in the raw bucket: from a day to its prefix, and from a key to its day."""

from __future__ import annotations

import re
from datetime import date

from xacct_assets.feed.partitions import day_folder, day_prefix
from xacct_assets.feed.spec import DayLayout


class DayFolders:
    """Maps days to key prefixes and keys to days.

    Args:
        prefix: the feed's prefix in the bucket, without a slash at its end.
        layout: how the folders of a day are spelled.
    """

    def __init__(self, prefix: str, layout: DayLayout) -> None:
        self._prefix = prefix
        self._layout = layout
        # Derived from the folder of a sample day, so that one function alone spells days.
        folder = re.escape(day_folder(layout, date(1234, 11, 22)))
        for digits in ("1234", "11", "22"):
            folder = folder.replace(digits, rf"(\d{{{len(digits)}}})")
        self._pattern = re.compile(f"{re.escape(prefix)}/{folder}/", re.ASCII)

    def prefix(self, day: date) -> str:
        """Key prefix of the day, with a slash at its end."""
        return day_prefix(self._prefix, self._layout, day)

    def day_of(self, key: str) -> date | None:
        """The day whose folder contains the key; None if no day's folder of this feed does."""
        match = self._pattern.match(key)
        if not match:
            return None
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            return None
