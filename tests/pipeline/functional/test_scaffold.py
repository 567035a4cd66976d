"""`dg scaffold defs xacct_assets.feed.CrossAccountFeed NAME --from-file FILE`, in a checkout."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import copy_checkout, run_shell
from tests.support.project import ROOT
from tests.support.samples import shopify
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.sql_files.folder import sql_folder
from xacct_assets.feed.sql_files.writing import compare_files

TYPE = "xacct_assets.feed.CrossAccountFeed"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_checkout(tmp_path_factory.mktemp("checkout"))
    (folder / "jewelry export.csv").write_bytes(shopify.export("jewelry"))
    (folder / "days.csv").write_text("id,day\n1,01/02/2026\n2,02/02/2026\n")
    return folder


def scaffold(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_shell(shlex.join(["dg", "scaffold", "defs", TYPE, *arguments]), checkout, os.environ)


def test_the_feed_is_what_xacct_feed_new_writes(checkout: Path) -> None:
    done = scaffold(checkout, "jewelry", "--from-file", "jewelry export.csv", "--yes", "true")
    assert done.returncode == 0, done.stderr
    feed = load_feed("jewelry", checkout / "xacct_assets" / "defs")
    assert [column.header_name for column in feed.columns] == list(shopify.COLUMNS)
    assert compare_files(feed, checkout / "sql" / "jewelry") == []
    assert "xacct-sandbox land --feed jewelry" in done.stdout
    assert "--file 'jewelry export.csv'" in done.stdout


def test_in_a_project_of_ones_own_the_feed_is_a_folder_of_further_feeds(
    checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "shop"\n'
    )
    defs = tmp_path / "src" / "shop" / "defs"
    defs.mkdir(parents=True)
    for module in (defs / "__init__.py", defs.parent / "__init__.py"):
        module.touch()
    given = shlex.quote(str(checkout / "jewelry export.csv"))
    done = run_shell(
        f"export PYTHONPATH=$PYTHONPATH:src:{ROOT}\n"
        f"dg scaffold defs {TYPE} jewelry --from-file {given} --yes true",
        tmp_path,
        os.environ,
    )
    assert done.returncode == 0, done.stderr
    feed = load_feed("jewelry", extra_feeds_dir=defs)
    assert compare_files(feed, sql_folder("jewelry", ROOT, defs)) == []
    assert f"XACCT_EXTRA_FEEDS_DIR={defs}\n" in done.stdout
    assert "from xacct_assets.definitions import defs\n" in done.stdout
    assert "xacct-sandbox" not in done.stdout


def test_what_only_a_person_knows_is_an_error_and_leaves_nothing(checkout: Path) -> None:
    done = scaffold(checkout, "days", "--from-file", "days.csv", "--key", "id")
    assert done.returncode == 1
    assert "Error: 1 question only you can answer" in done.stderr
    assert "--date-order dmy" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / "xacct_assets" / "defs" / "days").exists()
    assert not (checkout / "sql" / "days").exists()
