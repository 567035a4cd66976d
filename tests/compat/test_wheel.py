"""The production wheel has all that a deployment needs, and nothing of the sandbox."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("folder", ["glue", "infra", "sql"])
def test_job_script_templates_and_sql_are_in_the_wheel(names: set[str], folder: str) -> None:
    expected = {
        f"xacct_assets/_resources/{path.relative_to(PROJECT).as_posix()}"
        for path in (PROJECT / folder).rglob("*.*")
        if "__pycache__" not in path.parts
    }
    assert expected
    assert {name for name in names if name.startswith(f"xacct_assets/_resources/{folder}/")} == (
        expected
    )


def test_feeds_types_and_license_are_in_the_wheel(names: set[str]) -> None:
    for name in ("defs/products/defs.yaml", "py.typed"):
        assert f"xacct_assets/{name}" in names
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)


def test_nothing_but_the_package_is_in_the_wheel(names: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in names} == {"xacct_assets"}
    assert not [name for name in names if "sandbox" in name]
