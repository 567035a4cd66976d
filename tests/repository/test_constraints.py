"""The pinned releases install on every patch release of the supported Pythons."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.support.project import ROOT

PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("python", ["3.11.0", "3.11.2", "3.12.0", "3.13.0"])
def test_no_pin_needs_a_later_patch_release(python: str) -> None:
    """Debian 12 has Python 3.11.2. Pins that are not installed here are not judged."""
    installed = {
        re.sub(r"[-_.]+", "-", found.name).lower(): found
        for found in importlib.metadata.distributions()
    }
    minor = python.rpartition(".")[0]
    refused = []
    for pin in PINS:
        found = installed.get(re.sub(r"[-_.]+", "-", pin.name).lower())
        applies = pin.marker is None or pin.marker.evaluate({"python_version": minor})
        if found is not None and applies:
            needed = found.metadata["Requires-Python"] if found.metadata else None
            if needed and not SpecifierSet(needed).contains(python):
                refused.append(f"{pin} needs Python {needed}")
    assert refused == []
