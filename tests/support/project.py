"""Where the project's files are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
# Feeds that consist of YAML and SQL only.
EXTRA_FEEDS_DIR = ROOT / "tests" / "feeds"
