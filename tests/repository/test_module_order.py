"""The modules that the workers of the integration tests begin with are modules of these tests."""

from __future__ import annotations

from tests.support.module_order import LONGEST
from tests.support.project import ROOT


def test_every_module_that_is_named_exists_once() -> None:
    found = [path.stem for path in (ROOT / "tests").glob("*/integration/test_*.py")]
    found += [path.name for path in (ROOT / "tests").iterdir() if path.is_dir()]
    assert {name: found.count(name) for name in LONGEST} == dict.fromkeys(LONGEST, 1)
