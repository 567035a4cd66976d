"""How a day is written in S3 keys and catalog partitions, and how it is read back from a key."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

#: Column of the staging and fact tables that holds the day.
PARTITION_COLUMN = "partition_date"


class DayLayout(StrEnum):
    """How the day is written as folders below a prefix."""

    PLAIN = "YYYY/MM/DD"
    KEY_VALUE = "year=YYYY/month=MM/day=DD"


_FOLDERS = {DayLayout.PLAIN: "%Y/%m/%d", DayLayout.KEY_VALUE: "year=%Y/month=%m/day=%d"}


def day_folder(layout: DayLayout, day: date) -> str:
    """The day's folders without slashes at the ends: ``2026/01/31`` or ``year=2026/…``."""
    return format(day, _FOLDERS[layout])


def day_prefix(prefix: str, layout: DayLayout, day: date) -> str:
    """Key prefix of the day, with the slash at its end that keeps 2026/01/1 out of 2026/01/10."""
    return f"{prefix}/{day_folder(layout, day)}/"


def day_values(day: date) -> list[str]:
    """The values of the day's catalog partition (the same for both layouts)."""
    return [f"{day:%Y}", f"{day:%m}", f"{day:%d}"]


class DayFolders:
    """Maps between the days of a feed and their key prefixes.

    Args:
        prefix: folder that holds the days, without a slash at its end.
        layout: how the days are written below it.
    """

    def __init__(self, prefix: str, layout: DayLayout) -> None:
        self._prefix = prefix
        self._layout = layout
        folder = re.escape(_FOLDERS[layout])
        for directive, digits in (("%Y", 4), ("%m", 2), ("%d", 2)):
            folder = folder.replace(directive, rf"(\d{{{digits}}})")
        self._pattern = re.compile(f"{re.escape(prefix)}/{folder}/", re.ASCII)

    def prefix(self, day: date) -> str:
        """Key prefix of the day, with a slash at its end."""
        return day_prefix(self._prefix, self._layout, day)

    def day_of(self, key: str) -> date | None:
        """The day whose folder holds the key; None if no day's folder does."""
        match = self._pattern.match(key)
        if not match:
            return None
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            return None
