"""The rule for which keys below a day's prefix are data files, and which only look like it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache


def is_hidden(key: str) -> bool:
    """True if the last part of the key starts with ``_`` or ``.``, which Spark and Glue skip.

    Also true of a key that ends in a slash: consoles create such objects for folders.
    """
    name = key.rsplit("/", 1)[-1]
    return not name or name[0] in "_."


class FilePatterns:
    """Patterns for the path below a day's folder; ``*``, ``?`` and ``[…]`` never match a slash.

    Args:
        patterns: of the data files.
        marker: name of the file that marks a day as complete, if the feed has one.

    Raises:
        ValueError: there is no pattern, or one cannot be used.
    """

    def __init__(self, patterns: Sequence[str], marker: str | None = None) -> None:
        if not patterns:
            raise ValueError("no file pattern given: at least one is needed, e.g. *.csv")
        self._compiled = tuple(_compile(pattern) for pattern in patterns)
        self._marker = marker

    def match(self, relative_key: str) -> bool:
        """True if a pattern matches the whole path below the day's folder.

        Hidden files are not excluded; see `is_hidden`.
        """
        return any(compiled.fullmatch(relative_key) for compiled in self._compiled)

    def is_data_file(self, relative_key: str) -> bool:
        """True if the key below the day's folder is one of the feed's data files."""
        return not is_hidden(relative_key) and self.match(relative_key)

    def is_unmatched(self, relative_key: str) -> bool:
        """True for a file that is not loaded although it may be meant to be: no pattern matches it.

        False for the marker and for what is hidden, files in hidden folders included.
        """
        folders_and_name = relative_key.split("/")
        hidden = (part for part in folders_and_name if part[:1] in ("_", ".") and part.strip("."))
        if not folders_and_name[-1] or any(hidden):
            return False
        return relative_key != self._marker and not self.match(relative_key)


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    if not pattern or "**" in pattern:
        raise ValueError(
            f"{pattern!r} is not a file pattern: * does not cross folders and ** is not known; "
            "name the levels, e.g. */*.csv"
        )
    parts, position = [], 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "[":
            # As in a shell, a ] right after the opening (or after !) is a member, not the end.
            end = pattern.find(
                "]", position + (2 if pattern[position : position + 1] == "!" else 1)
            )
            if end < 0:
                raise ValueError(f"{pattern!r} is not a file pattern: a [ is never closed")
            members = pattern[position:end]
            negated = members.startswith("!")
            members = re.sub(r"([\\\[\]^&~|])", r"\\\1", members.removeprefix("!"))
            try:
                parts.append(f"(?!/)[{'^' if negated else ''}{members}]")
                re.compile(parts[-1])
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a file pattern: {error}") from None
            position = end + 1
        else:
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL)
