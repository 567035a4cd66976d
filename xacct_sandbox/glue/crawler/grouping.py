"""Groups folders with schemas into tables with partitions.

Rules (Glue developer guide, "How does a crawler determine when to create partitions"): the table
is rooted at the highest folder below which the majority of schemas is similar; every folder level
under the root is a partition key, named after the ``key=`` of ``key=value`` folders or
``partition_N``. Folders that do not fit become tables of their own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from xacct_sandbox.glue.crawler.infer.schema import Schema

MAX_TABLE_NAME = 128
Path = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """A folder that holds files, relative to the include path, and their common schema."""

    path: Path
    schema: Schema


@dataclass(frozen=True)
class Table:
    """One table that the crawler found.

    Attributes:
        root: the table's folder, relative to the include path.
        schema: of all its data.
        keys: names of its partition columns, one per folder level below the root.
        leaves: its folders with files.
    """

    root: Path
    schema: Schema
    keys: tuple[str, ...]
    leaves: tuple[Leaf, ...]

    def values_of(self, leaf: Leaf) -> tuple[str, ...]:
        """Partition values of one of the leaves."""
        below = leaf.path[len(self.root) :]
        return tuple(
            partition_value(folder, key) for folder, key in zip(below, self.keys, strict=True)
        )


def find_tables(leaves: Iterable[Leaf], *, ignore_similarity: bool = False) -> list[Table]:
    """The tables in a set of folders, in the order of their roots.

    Args:
        leaves: every folder with files; a folder occurs once per schema found in it.
        ignore_similarity: the grouping policy CombineCompatibleSchemas.
    """
    root = _Node(())
    for leaf in leaves:
        node = root
        for folder in leaf.path:
            node = node.children.setdefault(folder, _Node((*node.path, folder)))
        node.own.append(leaf)
    clusters = _resolve(root, ignore_similarity)
    return sorted(
        (_table(cluster) for cluster in clusters), key=lambda table: (table.root, table.keys)
    )


def table_name(root: Path, bucket_and_prefix: Sequence[str], prefix: str) -> str:
    """Glue's name for a table: its folder in lower case; letters, digits and ``_`` only."""
    folder = root[-1] if root else bucket_and_prefix[-1]
    name = re.sub(r"[^a-z0-9_]", "_", folder.lower())
    return f"{prefix.lower()}{name}"[:MAX_TABLE_NAME]


def with_hash(name: str, location: str) -> str:
    """The name with a hash of the location, as Glue adds one if the name is in use."""
    digest = hashlib.md5(location.encode(), usedforsecurity=False).hexdigest()
    return f"{name[: MAX_TABLE_NAME - 33]}_{digest}"


def partition_keys(paths: Sequence[Path]) -> tuple[str, ...]:
    """Names of the partition columns for folders below a table's root, all of one depth."""
    names: list[str] = []
    for level in range(len(paths[0]) if paths else 0):
        keys = {_key_of(path[level]) for path in paths}
        key = keys.pop() if len(keys) == 1 else None
        names.append(key or f"partition_{level}")
    return tuple(names)


def partition_value(folder: str, key: str) -> str:
    """The value of a partition column for one folder."""
    found = _key_of(folder)
    return folder.split("=", 1)[1] if found is not None and found == key else folder


def _key_of(folder: str) -> str | None:
    key, separator, _ = folder.partition("=")
    return key.lower() if separator and key else None


# -- clustering ------------------------------------------------------------------------------


@dataclass
class _Node:
    path: Path
    children: dict[str, _Node] = field(default_factory=dict)
    own: list[Leaf] = field(default_factory=list)


@dataclass(frozen=True)
class _Cluster:
    """Leaves of one table, all at the same depth below its root."""

    root: Path
    schema: Schema
    leaves: tuple[Leaf, ...]

    @property
    def depth(self) -> int:
        return len(self.leaves[0].path) - len(self.root)


def _resolve(node: _Node, ignore_similarity: bool) -> list[_Cluster]:
    own = _merge_similar(
        [_Cluster(node.path, leaf.schema, (leaf,)) for leaf in node.own], ignore_similarity
    )
    if not node.children:
        return own
    # A child that holds several tables keeps them; it does not count for the majority.
    whole: list[_Cluster] = []
    split: list[_Cluster] = []
    for name in sorted(node.children):
        found = _resolve(node.children[name], ignore_similarity)
        at_child = [cluster for cluster in found if cluster.root == node.children[name].path]
        if len(at_child) == 1:
            whole.extend(at_child)
            split.extend(cluster for cluster in found if cluster is not at_child[0])
        else:
            split.extend(found)
    groups = _merge_similar(whole, ignore_similarity)
    largest = max(groups, key=lambda group: _members(group, node.path), default=None)
    if largest is None or _members(largest, node.path) * 2 <= len(whole):
        return [*own, *whole, *split]
    raised = replace(largest, root=node.path)
    outside = {leaf.path for leaf in largest.leaves}
    return [
        *own,
        raised,
        *(cluster for cluster in whole if cluster.leaves[0].path not in outside),
        *split,
    ]


def _members(cluster: _Cluster, parent: Path) -> int:
    """How many child folders of the parent the cluster spans."""
    return len({leaf.path[: len(parent) + 1] for leaf in cluster.leaves})


def _merge_similar(clusters: Sequence[_Cluster], ignore_similarity: bool) -> list[_Cluster]:
    groups: list[_Cluster] = []
    for cluster in clusters:
        for index, group in enumerate(groups):
            if group.depth == cluster.depth and group.schema.fits(
                cluster.schema, ignore_similarity=ignore_similarity
            ):
                groups[index] = replace(
                    group,
                    schema=group.schema.merged(cluster.schema),
                    leaves=(*group.leaves, *cluster.leaves),
                )
                break
        else:
            groups.append(cluster)
    return groups


def _table(cluster: _Cluster) -> Table:
    below = [leaf.path[len(cluster.root) :] for leaf in cluster.leaves]
    keys = partition_keys(below)
    return Table(
        root=cluster.root,
        schema=cluster.schema,
        keys=_without_column_names(keys, cluster.schema.columns),
        leaves=cluster.leaves,
    )


def _without_column_names(keys: Sequence[str], columns: Mapping[str, object]) -> tuple[str, ...]:
    """A partition key with the name of a data column is numbered instead, as in Glue."""
    return tuple(f"partition_{level}" if key in columns else key for level, key in enumerate(keys))
