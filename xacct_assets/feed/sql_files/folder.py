"""Where the SQL of a feed is."""

from __future__ import annotations

from pathlib import Path


def sql_folder(feed: str, root: Path, extra_feeds_dir: Path | None = None) -> Path:
    """The folder of a feed's SQL files: that of its ``defs.yaml`` if it is under the extra folder.

    Args:
        feed: its name.
        root: the folder that has ``sql/`` (see `xacct_assets.sources`).
        extra_feeds_dir: folder of feeds besides those of the package.
    """
    if extra_feeds_dir is not None and (extra_feeds_dir / feed).is_dir():
        return extra_feeds_dir / feed
    return root / "sql" / feed
