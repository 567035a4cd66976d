"""Reads every feed's ``defs.yaml`` without Dagster: for the command line and for the deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from xacct_assets.feed.spec import FeedSpec

COMPONENT_TYPE = "xacct_assets.feed.CrossAccountFeed"
DEFS_FOLDER = Path(__file__).parent.parent / "defs"


class FeedFileError(ValueError):
    """A feed's file cannot be used; the message names file, field and fix."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key given twice, which YAML readers otherwise settle silently, and aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.constructor.ConstructorError(
                None, None, "aliases are not allowed in a feed's file", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_feeds(folder: Path = DEFS_FOLDER, more: Path | None = None) -> list[FeedSpec]:
    """Every feed under ``folder``, and under ``more`` if that is given, by name.

    Raises:
        FeedFileError: a file is no valid feed, or two feeds claim one name, table or prefix.
    """
    feeds: dict[Path, FeedSpec] = {}
    for root in filter(None, (folder, more)):
        for path in sorted(root.rglob("defs.yaml")):
            for spec in _read(path, root):
                _claim_nothing_of(spec, path, feeds)
                feeds[path] = spec
    return sorted(feeds.values(), key=lambda feed: feed.name)


def load_feed(name: str, folder: Path = DEFS_FOLDER, more: Path | None = None) -> FeedSpec:
    """The feed called ``name``; FeedFileError names the feeds there are."""
    feeds = {feed.name: feed for feed in load_feeds(folder, more)}
    if name not in feeds:
        where = f"{folder} and {more}" if more else folder
        raise FeedFileError(
            f"There is no feed {name!r} under {where}; there are: {', '.join(feeds) or 'none'}"
        )
    return feeds[name]


def has_template(value: object) -> bool:
    """Whether a string anywhere in a YAML value holds a Jinja template."""
    if isinstance(value, dict):
        return any(has_template(item) for item in value.values())
    if isinstance(value, list):
        return any(has_template(item) for item in value)
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _rendered(path: Path, folder: Path) -> FeedSpec:
    """A feed with templates, as Dagster loads it: only Dagster knows what they may refer to."""
    from xacct_assets.feed.component_tree import component_tree

    try:
        component = component_tree(folder).load_component(path.parent)
    except Exception as error:
        cause = error.__cause__ or error
        if isinstance(cause, ValidationError):
            raise FeedFileError(explain(cause, path)) from None
        raise FeedFileError(f"{path} cannot be loaded: {cause}") from error
    if not isinstance(component, FeedSpec):
        raise FeedFileError(
            f"{path} holds several components; a feed with templates needs a file of its own"
        )
    return component


def _read(path: Path, folder: Path) -> list[FeedSpec]:
    try:
        # A subclass of SafeLoader: it builds plain values only.
        documents = list(yaml.load_all(path.read_text(encoding="utf-8"), _UniqueKeyLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FeedFileError(f"{path} is not readable as YAML: {error}") from None
    specs = []
    for document in documents:
        if not isinstance(document, dict) or document.get("type") != COMPONENT_TYPE:
            continue
        if has_template(document.get("attributes")):
            specs.append(_rendered(path, folder))
            continue
        try:
            specs.append(FeedSpec.model_validate(document.get("attributes") or {}))
        except ValidationError as error:
            raise FeedFileError(explain(error, path)) from None
    return specs


def explain(error: ValidationError, path: Path | str) -> str:
    """A validation error as lines of ``field: what is wrong``, under the file's name."""
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {field}: {message}" if field else f"  {message}")
    return f"{path} is not a valid feed:\n" + "\n".join(lines)


def _claim_nothing_of(spec: FeedSpec, path: Path, others: dict[Path, FeedSpec]) -> None:
    for other_path, other in others.items():
        clashes = [
            ("name", spec.name, other.name),
            ("warehouse.staging", spec.warehouse.staging, other.warehouse.staging),
            ("warehouse.fact", spec.warehouse.fact, other.warehouse.fact),
        ]
        if spec.source.bucket == other.source.bucket:
            clashes.append(("source.prefix", spec.source.prefix, other.source.prefix))
        if spec.export.bucket == other.export.bucket:
            clashes.append(("export.prefix", spec.export.prefix, other.export.prefix))
        for field, mine, theirs in clashes:
            if mine == theirs or (field.endswith("prefix") and _overlap(mine, theirs)):
                raise FeedFileError(
                    f"{path}: {field} {mine!r} is also claimed by {other_path} ({theirs!r}); two "
                    "feeds would overwrite each other. Choose another."
                )


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
