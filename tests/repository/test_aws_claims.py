"""Each claim about AWS has a row in docs/aws-claims.md and a test; code cites only such claims."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.conformance import plan
from tests.support.project import ROOT

DOCUMENT = ROOT / "docs" / "aws-claims.md"
TESTS = sorted((ROOT / "tests" / "conformance").glob("test_*.py"))
CODE = ("xacct_assets", "xacct_sandbox", "glue", "infra", "sql")
SOURCES = re.compile(
    r"\]\(https://(docs\.aws\.amazon\.com|aws\.amazon\.com|repost\.aws)/|botocore:"
)

CITATION = re.compile(r"aws-claims: ([a-z0-9-]+(?:, [a-z0-9-]+)*)")


@dataclass(frozen=True)
class Claim:
    """A row of the document."""

    id: str
    text: str
    source: str
    modules: tuple[str, ...]


def rows() -> list[Claim]:
    found = []
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 4 and (name := re.fullmatch(r"`([a-z0-9-]+)`", cells[0])):
            modules = tuple(re.findall(r"`([^`]+)`", cells[3]))
            found.append(Claim(name[1], cells[1], cells[2], modules))
    return found


CLAIMS = rows()
NAMES = {claim.id for claim in CLAIMS}


def proven() -> list[tuple[str, str]]:
    """The claims that each test proves."""
    found = []
    for path in TESTS:
        for marks, name in re.findall(
            r"((?:^@pytest\.mark\.claim\(\"[^\"]+\"\)\n)*)^def (test_\w+)", path.read_text(), re.M
        ):
            claims = re.findall(r"claim\(\"([^\"]+)\"\)", marks)
            found += [(f"{path.name}::{name}", claim) for claim in claims or [""]]
    return found


def test_every_claim_has_a_test_and_every_test_a_claim() -> None:
    named = [claim for _, claim in proven()]
    assert [test for test, claim in proven() if not claim] == []
    assert sorted(NAMES - set(named)) == []
    assert sorted(set(named) - NAMES) == []


def test_every_claim_is_written_once() -> None:
    assert [
        name for name, count in Counter(claim.id for claim in CLAIMS).items() if count > 1
    ] == []
    assert [name for name, count in Counter(c for _, c in proven()).items() if count > 1] == []


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_names_its_source_and_the_modules_that_depend_on_it(claim: Claim) -> None:
    assert SOURCES.search(claim.source), claim.source
    assert claim.text
    assert claim.modules
    assert [path for path in claim.modules if not (ROOT / path).exists()] == []


def test_no_claim_knows_what_it_is_tried_on() -> None:
    of_the_project = re.compile(r"^\s*(?:from|import) (?:xacct_|glue|tests\.support)", re.M)
    assert [path.name for path in TESTS if of_the_project.search(path.read_text())] == []


def test_code_cites_only_claims_that_exist() -> None:
    cited = []
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml", ".sql"):
                for names in re.findall(
                    r"aws-claims: ([a-z0-9-]+(?:, [a-z0-9-]+)*)", path.read_text()
                ):
                    cited += [(str(path.relative_to(ROOT)), name) for name in names.split(", ")]
    assert cited
    assert [(path, name) for path, name in cited if name not in NAMES] == []


def test_the_plan_of_a_run_on_aws_shows_its_cost_and_makes_nothing() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tests.conformance", "--plan"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{plan.total():.2f}" in shown
    for item in plan.ITEMS:
        assert item.what in shown
    assert plan.total() < 5


def test_without_two_profiles_nothing_is_made_on_aws() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.conformance", "--yes"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "PROFILE_A=" in ended.stdout
    assert "Nothing was made" in ended.stdout


def test_what_is_used_beyond_the_plan_is_named() -> None:
    assert plan.exceeded({"crawls": 4, "job runs": 4}) == []
    assert plan.exceeded({"crawls": 5}) == ["crawls: 5, planned are 4"]
