"""A folder of feeds as a tree of Dagster components."""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TypeGuard

import dagster as dg

PACKAGE = Path(__file__).parents[1]
_EXTRA_MODULE = "xacct_extra_feeds"


def has_feeds(folder: Path | None) -> TypeGuard[Path]:
    """Whether there is a feed under a folder. Of one without, Dagster makes no tree."""
    return folder is not None and any(folder.rglob("defs.yaml"))


def component_tree(folder: Path) -> dg.ComponentTree:
    """The components under a folder: the package's own feeds, or those of another folder.

    `dagster.load_from_defs_folder` cannot be used: it needs the ``pyproject.toml`` of a checkout,
    and imports every installed package that has components.
    """
    if folder.parent == PACKAGE:
        module = importlib.import_module(f"{PACKAGE.name}.{folder.name}")
        return dg.ComponentTree.from_module(module, project_root=PACKAGE.parent)
    # Dagster wants a module; any folder can be one.
    spec = ModuleSpec(_EXTRA_MODULE, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    module = importlib.util.module_from_spec(spec)
    sys.modules[_EXTRA_MODULE] = module
    return dg.ComponentTree.from_module(module, project_root=folder.parent)
