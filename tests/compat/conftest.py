"""Installations of the wheel: each supported Python on this machine, lowest and highest Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.installation import (
    Installation,
    Release,
    build_wheel,
    install,
    pythons,
    releases,
)
from tests.support.sandbox import RunningSandbox, sandbox_folder
from tests.support.stock_dagster import StockDagster


@dataclass(frozen=True)
class Case:
    """One combination.

    Attributes:
        number: makes the month of the case's days, so that no two cases share a day.
    """

    number: int
    python: str
    interpreter: str
    release: Release

    def day(self, number: int) -> str:
        """A day of the case's month."""
        return f"2026-{self.number:02}-{number:02}"


CASES = [
    Case(number, python, interpreter, release)
    for number, (python, interpreter, release) in enumerate(
        (
            (python, interpreter, release)
            for python, interpreter in pythons().items()
            for release in releases()
        ),
        start=1,
    )
]


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
    return installation.run("xacct", "--no-env-file", "deploy", variables=variables)


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
