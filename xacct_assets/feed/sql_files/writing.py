"""Writes the files of a feed's SQL, and compares them with what would be written."""

from __future__ import annotations

from pathlib import Path

from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.generator import GENERATED, generate


def write_files(feed: FeedSpec, folder: Path) -> list[str]:
    """Write the feed's files. Files that are the feed's own, without the first line, are kept.

    Returns:
        A line about each file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, text in generate(feed).items():
        path = folder / name
        before = _text(path)
        if before == text:
            lines.append(f"{path}: up to date")
        elif before is not None and not before.startswith(GENERATED):
            lines.append(
                f"{path}: kept, since it is the feed's own (remove it to have it written here)"
            )
        else:
            path.write_text(text, encoding="utf-8")
            lines.append(f"{path}: {'written' if before is None else 'written anew'}")
    return lines


def compare_files(feed: FeedSpec, folder: Path) -> list[str]:
    """Which files are not what would be written, besides the feed's own; with the fix."""
    problems = []
    for name, text in generate(feed).items():
        before = _text(folder / name)
        if before is None:
            problems.append(f"{folder / name} does not exist: xacct feed sql {feed.name}")
        elif before != text and before.startswith(GENERATED):
            problems.append(
                f"{folder / name} is not what defs.yaml says: xacct feed sql {feed.name} writes it"
            )
    return problems


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
