"""What the documents name exists."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.support.project import ROOT
from xacct_assets.feed.loader import load_feed

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^\s*(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(r"`(test_\w+)`", document.read_text())
    assert [name for name in named if name not in TESTS] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_links_to_or_names_exists(document: Path) -> None:
    text = document.read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []
    paths = re.findall(r"`((?:tests|xacct_assets|xacct_sandbox|infra)/[\w./-]+)`", text)
    # A step of "how to add" names what is not there yet.
    own = [path for path in paths if "/orders/" not in path]
    assert [path for path in own if not (ROOT / path).exists()] == []


def test_the_first_file_of_the_deployment_guide_is_one_that_its_feed_loads(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    command = guide.partition("printf ")[2].partition("> products.csv")[0]
    shown = subprocess.run(
        ["sh", "-c", f"printf {textwrap.dedent(command)}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    header, *rows = csv.reader(io.StringIO(shown))
    columns = load_feed("products").columns
    assert header == [column.name for column in columns]
    assert len(rows) == 2
    for row in rows:
        assert len(row) == len(columns)
        required = [not column.nullable for column in columns]
        assert all(value for value, needed in zip(row, required, strict=True) if needed)


def test_reliability_names_a_test_for_every_promise() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    promises = text.partition("## What is promised")[2].partition("\n### ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| **")]
    assert rows
    assert [row for row in rows if "`test_" not in row.rpartition(" | ")[2]] == []
