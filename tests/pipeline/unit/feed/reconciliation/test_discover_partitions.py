"""The days of a feed are found by their folders."""

import pytest

from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.reconciliation.discover_partitions import days_in


class FolderTree:
    """Lists the folders of a set of paths."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    def folders(self, prefix: str) -> list[str]:
        below = [path.removeprefix(prefix) for path in self.paths if path.startswith(prefix)]
        return sorted({path.split("/")[0] for path in below if "/" in path})


@pytest.mark.parametrize(
    ("layout", "folder"),
    [(DayLayout.PLAIN, "2026/01/31"), (DayLayout.KEY_VALUE, "year=2026/month=01/day=31")],
)
def test_only_folders_named_as_the_pipeline_names_them_are_days(
    layout: DayLayout, folder: str
) -> None:
    tree = FolderTree(
        f"p/{folder}/a.csv", "p/2026/1/3/a.csv", "p/2026/02/30/a", "p/tmp/x/y/z", "p/a"
    )
    assert [day.isoformat() for day in days_in(tree, "p", layout)] == ["2026-01-31"]
