"""Which module may import which: the walls of docs/architecture.md."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.project import ROOT

PACKAGES = ("xacct_assets", "xacct_sandbox")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_of(path): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if "local" not in path.relative_to(ROOT).parts
}


def imports_of(module: str) -> Iterator[str]:
    """Every module that is imported, anywhere in the file: in functions and for types as well."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


GRAPH = {
    module: {name for name in imports_of(module) if name in MODULES and name != module}
    for module in MODULES
}


def circles() -> list[list[str]]:
    """Groups of modules that import each other (strongly connected, by Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(GRAPH[module]):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = []
            while not group or group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(GRAPH):
        if module not in index:
            visit(module)
    return found


def importers(prefix: str, within: str) -> dict[str, list[str]]:
    """Modules under `within` that import anything under `prefix`, and what they import."""
    found = {
        module: sorted(
            {name for name in imports_of(module) if name == prefix or name.startswith(prefix + ".")}
        )
        for module in MODULES
        if module == within or module.startswith(within + ".")
    }
    return {module: names for module, names in found.items() if names}


def test_there_is_no_import_circle() -> None:
    assert circles() == []


def test_private_parts_of_dagster_are_used_in_one_file_and_in_the_local_runtime() -> None:
    users = set(importers("dagster._core", "xacct_assets"))
    users |= set(importers("dagster._grpc", "xacct_assets"))
    users |= set(importers("dagster._cli", "xacct_assets"))
    assert {user for user in users if not user.startswith("xacct_assets.local_runtime.")} == {
        "xacct_assets.feed.dagster_internals"
    }
    named = {
        module
        for module, path in MODULES.items()
        if module.startswith("xacct_assets.") and "dagster._" in path.read_text(encoding="utf-8")
    }
    assert {name for name in named if not name.startswith("xacct_assets.local_runtime.")} == {
        "xacct_assets.feed.dagster_internals"
    }


def test_only_dagster_yaml_names_the_local_runtime() -> None:
    assert set(importers("xacct_assets.local_runtime", "xacct_assets")) <= {
        name for name in MODULES if name.startswith("xacct_assets.local_runtime")
    }


def test_the_guard_of_the_web_ui_stands_alone() -> None:
    users = importers("xacct_assets", "xacct_assets.web_ui")
    assert {name for names in users.values() for name in names} <= {
        name for name in MODULES if name.startswith("xacct_assets.web_ui.")
    }
    assert importers("dagster", "xacct_assets.web_ui") == {}


def test_the_production_package_does_not_import_the_sandbox() -> None:
    assert importers("xacct_sandbox", "xacct_assets") == {}


def test_the_sandbox_does_not_import_the_production_package() -> None:
    assert importers("xacct_assets", "xacct_sandbox") == {}


def test_aws_clients_know_neither_dagster_nor_the_rest_of_the_package() -> None:
    assert importers("dagster", "xacct_assets.aws") == {}
    users = importers("xacct_assets", "xacct_assets.aws")
    outside = {
        module: [
            name
            for name in names
            if not name.startswith(("xacct_assets.aws", "xacct_assets.contract"))
        ]
        for module, names in users.items()
    }
    assert {module: names for module, names in outside.items() if names} == {}


def test_assets_and_checks_do_not_know_botocore() -> None:
    for library in ("boto3", "botocore", "redshift_connector"):
        assert importers(library, "xacct_assets.feed") == {}


def test_the_contract_uses_the_standard_library_only() -> None:
    foreign = {
        name
        for module in MODULES
        if module.startswith("xacct_assets.contract")
        for name in imports_of(module)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not name.startswith("xacct_assets.contract")
    }
    assert foreign == set()
