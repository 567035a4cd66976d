"""Changes a feed for files with other columns: what is new, gone, renamed or longer.

Pure functions over a feed, samples and the text of its ``defs.yaml``: no Dagster, no AWS.
"""

from xacct_assets.feed.evolution.comparison import Comparison, Widened, compare
from xacct_assets.feed.evolution.edits import evolve_text

__all__ = ["Comparison", "Widened", "compare", "evolve_text"]
