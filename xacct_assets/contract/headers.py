"""The rule for header rows: exactly the feed's columns, in any order."""

from __future__ import annotations

from collections.abc import Sequence

_DELIMITER_NAMES = {";": "semicolon", "\t": "tab", "|": "pipe", ",": "comma", ":": "colon"}
#: A column name from a file is quoted in messages up to this many characters.
_QUOTED_CHARACTERS = 60


def header_problem(header: Sequence[str], columns: Sequence[str], delimiter: str) -> str | None:
    """Describe how a header differs from the feed's columns, and the fix; None if it does not.

    Args:
        header: the fields of the file's header row.
        columns: the feed's column names.
        delimiter: the feed's delimiter, to recognise files that were written with another one.
    """
    if len(header) == len(columns) and set(header) == set(columns):
        return None
    if other := _other_delimiter(header, columns, delimiter):
        return (
            f"its fields seem to be separated by a {_DELIMITER_NAMES[other]} ({other!r}), while "
            f"the feed says {delimiter!r}: write the file with {delimiter!r}, or change the "
            "feed's delimiter"
        )
    missing = [name for name in columns if name not in header]
    extra = [name for name in header if name not in columns]
    repeated = sorted({name for name in header if header.count(name) > 1})
    facts = [
        f"{label} {', '.join(map(_quoted, names))}"
        for label, names in (
            ("missing", missing),
            ("not of the feed", extra),
            ("repeated", repeated),
        )
        if names
    ]
    folded = {name.strip().lower() for name in columns}
    hint = (
        "; names must be equal to the letter, without spaces around them"
        if extra and all(name.strip().lower() in folded for name in extra)
        else ""
    )
    return (
        f"its header differs from the feed's columns ({'; '.join(facts)}{hint}): correct the file, "
        "or the feed's columns"
    )


def _other_delimiter(header: Sequence[str], columns: Sequence[str], delimiter: str) -> str | None:
    """The delimiter that would split a one-field header into names of the feed's columns."""
    if len(header) != 1 or len(columns) == 1:
        return None
    for character in _DELIMITER_NAMES:
        parts = header[0].split(character)
        if character != delimiter and len(parts) > 1 and set(parts) & set(columns):
            return character
    return None


def _quoted(name: str) -> str:
    return repr(name if len(name) <= _QUOTED_CHARACTERS else name[: _QUOTED_CHARACTERS - 3] + "…")
