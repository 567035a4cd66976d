"""The key of the feed: given, plain to see, or asked for."""

from __future__ import annotations

from collections.abc import Sequence

from xacct_assets.feed.proposal.columns import ColumnProposal
from xacct_assets.feed.proposal.decisions import Decisions, SampleProblem
from xacct_assets.feed.proposal.keys import (
    KeyColumn,
    candidate_keys,
    is_identifier,
    may_be_key,
    repeats,
)
from xacct_assets.feed.proposal.tables import Table

NO_KEY = "none"
#: Rows from which on a column that is named like an identifier is taken without asking.
_ENOUGH_ROWS = 20
_SHOWN = 6
_WITHOUT_KEY = "a row that is there twice is loaded twice, and nothing finds it"


def choose_key(columns: Sequence[ColumnProposal], table: Table, decisions: Decisions) -> list[str]:
    """The key's columns, which are made not nullable; none if the feed has no key."""
    given = decisions.answers.get("key")
    chosen = _given(given, columns, table, decisions) if given is not None else None
    if chosen is None:
        chosen = _proposed(columns, table, decisions)
    for column in columns:
        if column.name in chosen:
            column.settings["nullable"] = False
            column.settings.pop("optional", None)
    if not chosen and not any(_WITHOUT_KEY in doubt.text for doubt in decisions.doubts):
        decisions.doubt(f"no key: {_WITHOUT_KEY}")
    return list(chosen)


def _given(
    text: str, columns: Sequence[ColumnProposal], table: Table, decisions: Decisions
) -> Sequence[str]:
    if text.strip().lower() in ("", NO_KEY):
        return []
    known = {column.name: column.name for column in columns}
    known.update({column.header: column.name for column in columns if column.header})
    names = []
    for part in (part.strip() for part in text.split(",")):
        if part not in known:
            raise SampleProblem(
                f"--key {text}: there is no column {part!r}; there are "
                f"{', '.join(column.name for column in columns)}"
            )
        names.append(known[part])
    by_name = {column.name: (at, column) for at, column in enumerate(columns)}
    repeated = repeats(table.files, [by_name[name][0] for name in names])
    if repeated:
        decisions.doubt(
            f"key: {repeated} of {table.count} rows have the key of an earlier row of their file: "
            "they will be rejected"
        )
    for name in names:
        if by_name[name][1].nulls:
            decisions.doubt(
                f"part of the key, and empty in {by_name[name][1].nulls} rows, which will be "
                "rejected",
                name,
            )
    return names


def _proposed(
    columns: Sequence[ColumnProposal], table: Table, decisions: Decisions
) -> Sequence[str]:
    usable = [
        KeyColumn(column.name, column.type, at)
        for at, column in enumerate(columns)
        if column.nulls == 0
        and not column.settings.get("optional")
        and may_be_key(column.type, column.longest)
    ]
    found = candidate_keys(usable, table.files)
    named = [names for names in found if any(map(is_identifier, names))]
    if len(named) == 1 and len(named[0]) == 1 and table.count >= _ENOUGH_ROWS:
        return named[0]
    if table.count == 1:
        # It tells nothing; names may.
        named = [(column.name,) for column in usable if is_identifier(column.name)]
    choices = {",".join(names): " and ".join(names) for names in (*named, *found)}
    choices = dict(list(choices.items())[:_SHOWN])
    likely = ",".join(named[0]) if named else NO_KEY
    answer = decisions.ask(
        "key",
        _question(table.count, is_found=bool(found)),
        {**choices, NO_KEY: f"no key: {_WITHOUT_KEY}"},
        likely=likely,
        is_open=True,
    )
    return [] if answer == NO_KEY else answer.split(",")


def _question(rows: int, *, is_found: bool) -> str:
    question = "Which columns identify a row within a day?"
    if rows == 1:
        return f"{question} (One row does not tell.)"
    if is_found:
        return f"{question} ({rows} rows were looked at.)"
    return f"No columns were found that tell all rows apart. {question}"
