"""Where the project's files are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
# The settings of a Dagster instance on one machine.
DAGSTER_YAML = ROOT / "xacct_assets" / "local_runtime" / "dagster.yaml"
# Feeds that consist of YAML and SQL only.
EXTRA_FEEDS_DIR = ROOT / "tests" / "feeds"
