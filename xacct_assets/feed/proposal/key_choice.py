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
    if not chosen:
        decisions.doubt(
            "no key: rows are counted, but that none is there twice is not proven, and a "
            "repeated row is loaded twice"
        )
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
    choices = {",".join(names): " and ".join(names) for names in (*named, *found)}
    choices = dict(list(choices.items())[:_SHOWN])
    likely = ",".join(named[0]) if named else NO_KEY
    answer = decisions.ask(
        "key",
        f"Which columns identify a row within a day? ({table.count} rows were looked at.)"
        if found
        else "No columns were found that tell all rows apart. Which identify a row within a day?",
        {**choices, NO_KEY: "no key: rows that are there twice are then not found"},
        likely=likely,
        is_open=True,
    )
    return [] if answer == NO_KEY else answer.split(",")
