"""Each benchmark rewrites its own section of the report and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report


def test_a_section_is_replaced_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "REPORT", tmp_path / "benchmarks.md")
    report.write_section("copy", "## Copy\n\nold")
    report.write_section("sensor", "## Sensor")
    report.write_section("targets", "## Targets", at_top=True)
    report.write_section("copy", "## Copy\n\nnew")
    text = report.REPORT.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Targets",
        "## Copy",
        "## Sensor",
    ]
    assert "new" in text
    assert "old" not in text
    assert text.startswith("# Benchmarks\n")
