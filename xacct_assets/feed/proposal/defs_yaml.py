"""The ``defs.yaml`` of a proposed feed: as plain data, and as text with the doubts in comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.proposal.decisions import SampleProblem, counted, quoted
from xacct_assets.feed.proposal.propose import Proposal

_TYPE = "xacct_assets.feed.CrossAccountFeed"
_PLAIN = re.compile(r"[A-Za-z_][\w.()/*+ -]*")
_WIDTH = 100
#: Fields of a column in the order in which they are written.
_FIELDS = (
    *("name", "header", "type", "format", "nullable", "null_values", "trim", "default"),
    *("sensitive", "optional", "description"),
)


@dataclass(frozen=True)
class FeedFrame:
    """What a feed has besides that which its files tell.

    Attributes:
        name: of the feed.
        description: what it holds.
        start: its first day.
        prefix: folder in the raw bucket.
        layout: of the day's folders.
        sources: names of the samples, for the comment.
    """

    name: str
    description: str
    start: date
    prefix: str
    layout: DayLayout
    sources: Sequence[str]


def attributes(proposal: Proposal, frame: FeedFrame) -> dict[str, Any]:
    """The attributes of the feed, as `FeedSpec` validates them."""
    name = frame.name
    source: dict[str, Any] = {"prefix": frame.prefix}
    if frame.layout is not DayLayout.PLAIN:
        source["layout"] = frame.layout.value
    source["patterns"] = list(proposal.patterns)
    source["csv"] = dict(proposal.csv)
    return {
        "name": name,
        "description": frame.description,
        "start_date": frame.start.isoformat(),
        "source": source,
        "columns": [_ordered(column) for column in _columns(proposal)],
        "key": list(proposal.key),
        "catalog": {"database": f"{name}_db", "table": _crawled_name(frame.prefix)},
        "warehouse": {
            "staging": f"public.{name}",
            "fact": f"public.{name}_f",
            "procedure": f"public.sp_{name}",
        },
        "export": {"prefix": name, "format": "parquet"},
    }


def _crawled_name(prefix: str) -> str:
    """The crawler's name for the table of a prefix: its last folder, other characters as _."""
    return re.sub("[^a-z0-9_]", "_", prefix.rpartition("/")[2].lower())


def _columns(proposal: Proposal) -> Iterator[dict[str, Any]]:
    for column in proposal.columns:
        yield {"name": column.name, "type": column.type, **column.settings}


def _ordered(column: Mapping[str, Any]) -> dict[str, Any]:
    return {name: column[name] for name in _FIELDS if name in column}


def render(proposal: Proposal, frame: FeedFrame) -> str:
    """The text of ``defs.yaml``."""
    values = attributes(proposal, frame)
    files = ", ".join(quoted(name, 60) for name in frame.sources)
    lines = [
        *_comment(
            f"Proposed from {files} ({counted(proposal.rows, 'row')}). A comment that begins with "
            "? is a choice to look at.",
            0,
        ),
        f"type: {_TYPE}",
        "",
        "attributes:",
    ]
    for name in ("name", "description", "start_date"):
        lines.append(f"  {name}: {_text(values[name])}")
    lines += ["", "  source:"]
    for name, value in values["source"].items():
        if name == "csv":
            for doubt in proposal.doubts:
                if doubt.column is None:
                    lines += _comment(f"? {doubt.text}", 4)
        lines.append(f"    {name}: {_flow(value)}")
    lines += ["", "  columns:"]
    for column in values["columns"]:
        for doubt in proposal.doubts:
            if doubt.column == column["name"]:
                lines += _comment(f"? {doubt.text}", 4)
        lines.append(f"    - {_flow(column)}")
    lines.append(f"  key: {_flow(values['key'])}")
    for name in ("catalog", "warehouse", "export"):
        lines += ["", f"  {name}: {_flow(values[name])}"]
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: int) -> list[str]:
    start = " " * indent + "# "
    # The text may hold anything that a file does, but no line end: `quoted` has named them.
    return textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent=start, subsequent_indent=start + "  "
    )


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _text(value)


def _text(value: str) -> str:
    """A YAML scalar that is read as this text."""
    if "{{" in value or "{%" in value:
        raise SampleProblem(
            f"{quoted(value)} holds {{{{ or {{%, which defs.yaml takes for a template: ask the "
            "supplier for another header, or write the file by hand"
        )
    if _PLAIN.fullmatch(value) and value == value.strip() and yaml.safe_load(value) == value:
        return value
    characters = []
    for character in value:
        if character in '"\\':
            characters.append("\\" + character)
        elif character == " " or (character.isprintable() and not character.isspace()):
            characters.append(character)
        elif ord(character) <= 0xFFFF:
            characters.append(f"\\u{ord(character):04x}")
        else:
            characters.append(f"\\U{ord(character):08x}")
    return '"' + "".join(characters) + '"'
