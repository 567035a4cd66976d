"""Reads the feeds' ``defs.yaml`` files without Dagster, for the command line and deployment."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from xacct_assets.feed.spec import FeedSpec

if TYPE_CHECKING:
    import dagster as dg

    _SafeLoader = yaml.SafeLoader
else:
    # libyaml reads faster than PyYAML's own code; not every build of PyYAML has it.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

COMPONENT_TYPE = "xacct_assets.feed.CrossAccountFeed"
DEFS_FOLDER = Path(__file__).parent.parent / "defs"


class FeedFileError(ValueError):
    """A feed's file is not usable; the message names file, field and fix."""


class _StrictLoader(_SafeLoader):
    """Refuses duplicate keys, of which YAML readers silently keep one, and aliases."""

    def construct_document(self, node: yaml.Node) -> Any:
        _refuse_aliases(node, set())
        return super().construct_document(node)

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


def _refuse_aliases(node: Any, seen: set[int]) -> None:
    """An alias is a node that is in the document twice."""
    if id(node) in seen:
        raise yaml.constructor.ConstructorError(
            None, None, "aliases are not allowed in a feed's file", node.start_mark
        )
    seen.add(id(node))
    if isinstance(node, yaml.CollectionNode):
        for item in node.value:
            for part in item if isinstance(item, tuple) else (item,):
                _refuse_aliases(part, seen)


def load_feeds(folder: Path = DEFS_FOLDER, extra_feeds_dir: Path | None = None) -> list[FeedSpec]:
    """Load all feeds, sorted by name.

    Args:
        folder: searched for ``defs.yaml`` files; by default the feeds of the package.
        extra_feeds_dir: a second folder to search.

    Raises:
        FeedFileError: a file is no valid feed, or two feeds have the same name, table or prefix.
    """
    return sorted(_feeds_by_file(folder, extra_feeds_dir).values(), key=lambda feed: feed.name)


def _feeds_by_file(folder: Path, extra_feeds_dir: Path | None) -> dict[Path, FeedSpec]:
    feeds: dict[Path, FeedSpec] = {}
    for root in filter(None, (folder, extra_feeds_dir)):
        tree = _LazyTree(root)
        for path in sorted(root.rglob("defs.yaml")):
            for spec in _read(path, tree):
                _refuse_clashes(spec, path, feeds)
                feeds[path] = spec
    return feeds


def load_feed_file(
    name: str, folder: Path = DEFS_FOLDER, extra_feeds_dir: Path | None = None
) -> tuple[Path, FeedSpec]:
    """Load one feed by its name, with the path of its ``defs.yaml``.

    Raises:
        FeedFileError: as `load_feed`.
    """
    for path, feed in _feeds_by_file(folder, extra_feeds_dir).items():
        if feed.name == name:
            return path, feed
    raise _no_such_feed(name, folder, extra_feeds_dir)


def _no_such_feed(name: str, folder: Path, extra_feeds_dir: Path | None) -> FeedFileError:
    searched = f"{folder} and {extra_feeds_dir}" if extra_feeds_dir else folder
    names = ", ".join(feed.name for feed in load_feeds(folder, extra_feeds_dir)) or "none"
    return FeedFileError(f"There is no feed {name!r} under {searched}; there are: {names}")


def load_feed(
    name: str, folder: Path = DEFS_FOLDER, extra_feeds_dir: Path | None = None
) -> FeedSpec:
    """Load one feed by its name.

    Raises:
        FeedFileError: as `load_feeds`, or there is no such feed; the message lists the feeds.
    """
    for feed in load_feeds(folder, extra_feeds_dir):
        if feed.name == name:
            return feed
    raise _no_such_feed(name, folder, extra_feeds_dir)


def has_template(value: object) -> bool:
    """Whether a string anywhere in a YAML value holds a Jinja template."""
    if isinstance(value, dict):
        return any(has_template(item) for item in value.values())
    if isinstance(value, list):
        return any(has_template(item) for item in value)
    return isinstance(value, str) and ("{{" in value or "{%" in value)


class _LazyTree:
    """The components of a folder, which Dagster is asked for only if a feed has templates.

    One tree for all feeds: a tree reads every file of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def components(self) -> dg.ComponentTree:
        """Dagster's tree."""
        from xacct_assets.feed.component_tree import component_tree

        return component_tree(self._folder)


def _rendered(path: Path, tree: _LazyTree) -> FeedSpec:
    """A feed with templates, as Dagster loads it: only Dagster knows what they may refer to."""
    try:
        component = tree.components.load_component(path.parent)
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


def _read(path: Path, tree: _LazyTree) -> list[FeedSpec]:
    try:
        # _StrictLoader is a SafeLoader: it constructs plain values only.
        documents = list(yaml.load_all(path.read_text(encoding="utf-8"), _StrictLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FeedFileError(f"{path} is not readable as YAML: {error}") from None
    specs = []
    for document in documents:
        if not isinstance(document, dict) or document.get("type") != COMPONENT_TYPE:
            continue
        if has_template(document.get("attributes")):
            specs.append(_rendered(path, tree))
            continue
        try:
            specs.append(FeedSpec.model_validate(document.get("attributes") or {}))
        except ValidationError as error:
            raise FeedFileError(explain(error, path)) from None
    return specs


def explain(error: ValidationError, path: Path) -> str:
    """A validation error as one line per field below the file's name."""
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {field}: {message}" if field else f"  {message}")
    return f"{path} is not a valid feed:\n" + "\n".join(lines)


def _refuse_clashes(spec: FeedSpec, path: Path, others: dict[Path, FeedSpec]) -> None:
    for other_path, other in others.items():
        fields = [
            ("name", spec.name, other.name),
            ("warehouse.staging", spec.warehouse.staging, other.warehouse.staging),
            ("warehouse.fact", spec.warehouse.fact, other.warehouse.fact),
        ]
        if spec.source.bucket == other.source.bucket:
            fields.append(("source.prefix", spec.source.prefix, other.source.prefix))
        if spec.export.bucket == other.export.bucket:
            fields.append(("export.prefix", spec.export.prefix, other.export.prefix))
        for field, value, other_value in fields:
            if value == other_value or (field.endswith("prefix") and _overlap(value, other_value)):
                raise FeedFileError(
                    f"{path}: {field} {value!r} is also claimed by {other_path} "
                    f"({other_value!r}); two feeds would overwrite each other. Choose another."
                )


def _overlap(prefix: str, other: str) -> bool:
    """Whether one prefix is the other or a folder in it."""
    return f"{prefix}/".startswith(f"{other}/") or f"{other}/".startswith(f"{prefix}/")
