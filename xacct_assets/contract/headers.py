"""The rule for header rows: exactly the feed's columns, in any order, or as the feed says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xacct_assets.contract.csv_dialect import CsvDialect

_DELIMITER_NAMES = {";": "semicolon", "\t": "tab", "|": "pipe", ",": "comma", ":": "colon"}
#: A column name from a file is quoted in messages up to this many characters.
_QUOTED_CHARACTERS = 60
#: Excel's line that names the delimiter.
_SEP_LINE = re.compile("sep=(.?)", re.IGNORECASE | re.DOTALL)
_BYTE_ORDER_MARK = "\ufeff"


def fold_header(name: str, *, is_relaxed: bool) -> str:
    """A name of a header as it is compared: to the letter, or without case and outer blanks."""
    return name.strip().lower() if is_relaxed else name


@dataclass(frozen=True)
class FileColumns:
    """Which columns the files of a feed have.

    Attributes:
        names: the feed's columns in its order, as a header row names them.
        optional: the names that a file may lack.
        is_relaxed: whether names are compared without case and outer blanks.
        ignores_others: whether a file may have further columns.
        former: pairs of a name that older files have, and the name of the same column.
        ignored: names of columns that older files have and the feed does not.
    """

    names: tuple[str, ...]
    optional: tuple[str, ...] = ()
    is_relaxed: bool = False
    ignores_others: bool = False
    former: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()

    def positions(self, header: Sequence[str]) -> list[int]:
        """Where each column of the feed is in a file; -1 of a column that it lacks."""
        found = self._folded(header)
        return [found.index(name) if name in found else -1 for name in map(self._fold, self.names)]

    def problem(self, first_row: Sequence[str], dialect: CsvDialect) -> str | None:
        """Describe how a file's first row differs from the columns, and the fix.

        Args:
            first_row: its fields: the header row, if the dialect has one.
            dialect: of the feed.

        Returns:
            None if the row may be the first of such a file.
        """
        if not dialect.header_row:
            return self._problem_without_header(first_row, dialect)
        differences = self._differences(first_row)
        if differences is None:
            return None
        return self._known_cause(first_row, dialect) or differences

    def are_others(self, first_row: Sequence[str], dialect: CsvDialect) -> bool:
        """Whether a file's header row is one of other columns, which the feed could have."""
        return (
            dialect.header_row
            and self._differences(first_row) is not None
            and self._known_cause(first_row, dialect) is None
        )

    def _fold(self, name: str) -> str:
        return fold_header(name, is_relaxed=self.is_relaxed)

    def _folded(self, header: Sequence[str]) -> list[str]:
        """A header row as it is compared: under the present names of its columns."""
        present = {self._fold(old): self._fold(new) for old, new in self.former}
        folded = map(self._fold, header)
        return [present.get(name, name) for name in folded]

    def _known_cause(self, first_row: Sequence[str], dialect: CsvDialect) -> str | None:
        """What suppliers send, told by name."""
        if problem := _sep_line(first_row, dialect):
            return problem
        if first_row[0].startswith(_BYTE_ORDER_MARK):
            return (
                "it begins with two byte order marks (U+FEFF): remove one; programs that add a "
                "mark to a file that has one, or put files together, make them"
            )
        if other := self._other_delimiter(first_row, dialect.delimiter):
            return (
                f"its fields seem to be separated by a {_DELIMITER_NAMES[other]} ({other!r}), "
                f"while the feed says {dialect.delimiter!r}: write the file with "
                f"{dialect.delimiter!r}, or change the feed's delimiter"
            )
        named = len(first_row)
        while named > 1 and first_row[named - 1] == "":
            named -= 1
        if named < len(first_row) and self._differences(first_row[:named]) is None:
            return (
                "its header ends with a delimiter, which makes one more column without a name: "
                "write the lines without it, or set source.csv.extra_columns: ignore"
            )
        return None

    def _differences(self, first_row: Sequence[str]) -> str | None:
        """How a header row differs from the columns; None if it does not."""
        header = self._folded(first_row)
        names = [self._fold(name) for name in self.names]
        optional = {self._fold(name) for name in self.optional}
        ignored = set(map(self._fold, self.ignored))
        known = set(names)
        missing = [
            name
            for name, folded in zip(self.names, names, strict=True)
            if folded not in header and folded not in optional
        ]
        extra = [
            name
            for name, folded in zip(first_row, header, strict=True)
            if folded not in known and folded not in ignored
        ]
        repeated = sorted({name for name in header if name in known and header.count(name) > 1})
        if self.ignores_others:
            extra = []
        if not (missing or extra or repeated):
            return None
        facts = [
            f"{label} {', '.join(map(_quoted, found))}"
            for label, found in (
                ("missing", missing),
                ("not of the feed", extra),
                ("repeated", repeated),
            )
            if found
        ]
        plain = {name.strip().lower() for name in self.names}
        if missing and extra and all(name.strip().lower() in plain for name in extra):
            facts[-1] += (
                "; names must be equal to the letter, without spaces around them, unless "
                "source.csv.header_match is relaxed"
            )
        fix = "correct the file, or the feed's columns"
        if extra and not missing and not repeated:
            fix += " (source.csv.extra_columns: ignore leaves further ones out)"
        return f"its header differs from the feed's columns ({'; '.join(facts)}): {fix}"

    def _other_delimiter(self, first_row: Sequence[str], delimiter: str) -> str | None:
        """The delimiter that would split a one-field header into names of the feed's columns."""
        if len(first_row) != 1 or len(self.names) == 1:
            return None
        for character in _DELIMITER_NAMES:
            parts = first_row[0].split(character)
            if character != delimiter and len(parts) > 1 and set(parts) & set(self.names):
                return character
        return None

    def _problem_without_header(self, first_row: Sequence[str], dialect: CsvDialect) -> str | None:
        if len(self.names) > 1 and set(self.names) == set(first_row):
            return (
                "its first row is a header row, and the feed says that there is none: set "
                "source.csv.header_row: true, or write the file without it"
            )
        if len(first_row) == len(self.names):
            return None
        return _sep_line(first_row, dialect) or (
            f"its first row has {len(first_row)} fields, and the feed has {len(self.names)} "
            "columns, which are told by their position because source.csv.header_row is false: "
            "correct the file, or the feed's columns or delimiter"
        )


def _sep_line(first_row: Sequence[str], dialect: CsvDialect) -> str | None:
    found = _SEP_LINE.fullmatch(dialect.delimiter.join(first_row))
    if found is None:
        return None
    other = found[1] not in ("", dialect.delimiter)
    change = f", and its delimiter: {found[1]!r}" if other else ""
    return (
        f"its first line is {_quoted(found[0])}, by which Excel tells the delimiter: set the "
        f"feed's source.csv.preamble_lines: {dialect.preamble_lines + 1}{change}, or write the "
        "file without this line"
    )


def _quoted(name: str) -> str:
    shown = repr(name if len(name) <= _QUOTED_CHARACTERS else name[: _QUOTED_CHARACTERS - 3] + "…")
    # What looks like a blank, or like nothing, is named.
    return re.sub(r"\\xa0|\\u(202f|200b|2007|feff)", _named, shown)


def _named(found: re.Match[str]) -> str:
    return f"U+{(found[1] or '00a0').upper()}"
