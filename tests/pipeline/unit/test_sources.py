"""Templates, SQL and job script are found in a wheel and in a checkout alike."""

from pathlib import Path

import pytest

from xacct_assets import sources
from xacct_assets.aws.errors import DeployFailed


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the package was installed into."""
    folder = tmp_path / "xacct_assets"
    monkeypatch.setattr(sources, "_PACKAGE", folder)
    return folder


@pytest.mark.parametrize("place", ["_resources", ".."])
def test_the_sources_are_inside_the_package_or_beside_it(package: Path, place: str) -> None:
    for name in ("glue", "infra", "sql"):
        (package / "_resources").mkdir(parents=True, exist_ok=True)
        (package / place / name).mkdir()
    assert sources.sources_root().resolve() == (package / place).resolve()


def test_an_installation_without_sources_is_refused_with_the_fix(package: Path) -> None:
    with pytest.raises(DeployFailed, match="install the wheel again"):
        sources.sources_root()
