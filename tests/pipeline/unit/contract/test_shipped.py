"""The zip for Glue: complete, importable by a bare Python, and the same each time it is made."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.project import ROOT
from xacct_assets.operations.deployment.job_libraries import libraries_zip


def test_the_zip_is_the_same_each_time_and_holds_what_the_script_imports(tmp_path: Path) -> None:
    body = libraries_zip(ROOT / "glue")
    assert body == libraries_zip(ROOT / "glue")
    path = tmp_path / "libraries.zip"
    path.write_bytes(body)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {
        "dagster_pipes",
        "xacct_assets",
        "xacct_load",
    }
    # Of this package no more than the contract: what else is in it needs what Glue does not have.
    own = [name for name in names if name.startswith("xacct_assets/")]
    assert all(
        n == "xacct_assets/__init__.py" or n.startswith("xacct_assets/contract/") for n in own
    )


def test_the_contract_needs_the_standard_library_only(tmp_path: Path) -> None:
    path = tmp_path / "libraries.zip"
    path.write_bytes(libraries_zip(ROOT / "glue"))
    modules = sorted(
        f"xacct_assets.contract.{file.stem}"
        for file in (ROOT / "xacct_assets" / "contract").glob("*.py")
        if file.stem != "__init__"
    )
    program = f"import sys; sys.path.insert(0, {str(path)!r}); import {', '.join(modules)}"
    # -I and -S: neither this folder nor any installed package can be imported.
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
