"""Writes what was compared into the text of a ``defs.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from xacct_assets.feed.evolution.comparison import Comparison
from xacct_assets.feed.loader import explain, has_template
from xacct_assets.feed.proposal import SampleProblem
from xacct_assets.feed.proposal.names import clean_name
from xacct_assets.feed.spec import Column, FeedSpec
from xacct_assets.feed.sql_files.yaml_edit import ColumnsText, YamlNotEditable


def evolve_text(
    text: str,
    feed: FeedSpec,
    found: Comparison,
    *,
    dropped: Collection[str] = (),
    nullable: Collection[str] = (),
) -> tuple[str, FeedSpec, dict[str, str]]:
    """The changed text, the feed that it says, and the new name of each renamed column.

    A column that is gone stays, and is optional from now on: its old days keep their values. A
    new column is optional too, so that older files can be loaded again.

    Args:
        text: of the file.
        feed: that it says now.
        found: how the samples differ.
        dropped: names of gone columns that are removed, with the values of old days.
        nullable: names of columns that may be NULL from now on.

    Raises:
        SampleProblem: the feed cannot be changed so; with the fix.
    """
    edit = ColumnsText(text)
    try:
        renames = _apply(edit, feed, found, dropped, nullable)
    except YamlNotEditable as problem:
        raise SampleProblem(f"{problem}: change defs.yaml by hand") from None
    after = _read(edit.text, feed)
    return edit.text, after, renames


def _apply(
    edit: ColumnsText,
    feed: FeedSpec,
    found: Comparison,
    dropped: Collection[str],
    nullable: Collection[str],
) -> dict[str, str]:
    for column in found.gone:
        _refuse_key(feed, column)
        if column.name in dropped:
            edit.remove(column.name)
        else:
            edit.set_field(column.name, "optional", True)
            if not column.nullable and column.default is None:
                edit.set_field(column.name, "nullable", True)
    former = [column.header_name for column in found.gone if column.name in dropped]
    if former:
        edit.set_csv("former_columns", [*feed.source.csv.former_columns, *former])
    for widened in found.widened:
        edit.set_field(widened.column.name, "type", widened.type)
    for name in nullable:
        edit.set_field(name, "nullable", True)
    renames = {}
    for header, column in found.renamed.items():
        name = clean_name(header) or column.name
        edit.set_field(column.name, "former_headers", [*column.former_headers, column.header_name])
        if column.header is not None or header != name:
            edit.set_field(column.name, "header", header)
        if name != column.name:
            edit.rename(column.name, name)
            renames[name] = column.name
    for proposal in found.new:
        settings = {key: value for key, value in proposal.settings.items() if key != "nullable"}
        edit.add({"name": proposal.name, "type": proposal.type, **settings, "optional": True})
    return renames


def _refuse_key(feed: FeedSpec, column: Column) -> None:
    if column.name in feed.key:
        raise SampleProblem(
            f"column {column.name} is gone, and it is of the key. If it has another name, give "
            f"--rename {column.name}=HEADER; else change key in defs.yaml first"
        )


def _read(text: str, before: FeedSpec) -> FeedSpec:
    """The changed feed, which differs in its columns, key and dialect only."""
    attributes = yaml.safe_load(text)["attributes"]
    if has_template(attributes):
        raise SampleProblem("defs.yaml has templates, which only Dagster reads: change it by hand")
    try:
        after = FeedSpec.model_validate(attributes)
    except ValidationError as error:
        raise SampleProblem(explain(error, Path("the changed defs.yaml"))) from None
    if _others(after) != _others(before):
        raise SampleProblem("defs.yaml has a form that is not changed here: change it by hand")
    return after


def _others(feed: FeedSpec) -> Mapping[str, Any]:
    values = feed.model_dump(exclude={"columns", "key"})
    values["source"].pop("csv")
    return values
