"""Feeds that a test writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def feed_yaml(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a feed's file and gives the folder that holds it."""

    def write(text: str, name: str = "feed") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "defs.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write
