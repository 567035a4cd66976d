"""Installations of the wheel: each supported Python on this machine, lowest and highest Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Case, Installation, build_wheel, cases, install
from tests.support.sandbox import RunningSandbox, sandbox_folder
from tests.support.stock_dagster import StockDagster

CASES = cases()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(
    scope="module",
    params=CASES,
    ids=[f"python{case.python}-{case.release.name}-dagster" for case in CASES],
)
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture(scope="module")
def folder(case: Case) -> Iterator[Path]:
    """The case's folder; outside of the checkout, since Dagster looks for settings upwards."""
    with sandbox_folder() as made:
        yield made


@pytest.fixture(scope="module")
def installation(case: Case, folder: Path, wheel: Path) -> Installation:
    return install(folder / "venv", case.interpreter, wheel, case.release)


@pytest.fixture(scope="module")
def deployed(bare_sandbox: RunningSandbox, installation: Installation) -> str:
    """What `xacct deploy` of the installation says."""
    variables = bare_sandbox.environment
    return installation.run("xacct", "--no-env-file", "deploy", "--yes", variables=variables)


@pytest.fixture(scope="module")
def dagster(
    bare_sandbox: RunningSandbox, installation: Installation, deployed: str, folder: Path
) -> Iterator[StockDagster]:
    """`dagster dev`, answering; all of its processes are gone afterwards."""
    processes = StockDagster(bare_sandbox, folder / "dagster", installation)
    try:
        processes.start_dev()
        yield processes
    finally:
        processes.kill()
