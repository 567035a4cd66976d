"""Proposes a feed from sample files.

Pure functions over bytes: no Dagster, no AWS, no questions to a terminal. What samples cannot tell
becomes a `Question`; what was chosen and should be looked at becomes a `Doubt`.
"""

from xacct_assets.feed.proposal.decisions import Doubt, Question, SampleProblem
from xacct_assets.feed.proposal.encodings import Sample
from xacct_assets.feed.proposal.propose import Proposal, propose

__all__ = ["Doubt", "Proposal", "Question", "Sample", "SampleProblem", "propose"]
