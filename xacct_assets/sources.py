"""Finds what `xacct deploy` deploys: CloudFormation templates, SQL and the job script."""

from __future__ import annotations

from pathlib import Path

from xacct_assets.aws.errors import DeployFailed

_FOLDERS = ("glue", "infra", "sql")
_PACKAGE = Path(__file__).resolve().parents[0]


def sources_root() -> Path:
    """Returns the folder that has ``infra/``, ``sql/`` and ``glue/``.

    In a wheel they are inside the package, in a checkout beside it.

    Raises:
        DeployFailed: they are in neither place.
    """
    places = (_PACKAGE / "_resources", _PACKAGE.parent)
    for root in places:
        if all((root / folder).is_dir() for folder in _FOLDERS):
            return root
    raise DeployFailed(
        f"there is no folder with {', '.join(_FOLDERS)}",
        reason=f"neither {places[0]} nor {places[1]} has all three",
        fix="install the wheel again, or run `xacct deploy` from a checkout "
        "(pip install --editable .)",
    )
