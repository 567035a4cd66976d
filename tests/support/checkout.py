"""A copy of this checkout to work in, and the commands that a document tells to run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.project import ROOT

_FOLDERS = ("xacct_assets", "xacct_sandbox", "sql", "glue", "infra")


def copy_checkout(folder: Path) -> Path:
    """Copies what commands need of this checkout. Returns the folder."""
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def shell_blocks(document: Path, heading: str) -> list[str]:
    """The ``sh`` blocks of a document's section, in order."""
    section = document.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    section = re.split(r"\n## ", section)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def run_shell(
    script: str, checkout: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a script in a checkout with the commands of this Python; ends at the first failure."""
    return subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=checkout,
        env={
            **environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(checkout),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )
