"""The job argument ``--bucket_owners``: which account must own each bucket of a load.

It is an argument of its own because the script needs it before it reads its request from S3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Name of the argument, without the leading dashes.
ARGUMENT = "bucket_owners"


def format_owners(owners: Mapping[str, str]) -> str:
    """``bucket=account,bucket=account``."""
    return ",".join(f"{bucket}={account}" for bucket, account in owners.items())


def parse_owners(text: str) -> dict[str, str]:
    """The account id of each bucket, from the text that `format_owners` makes.

    Raises:
        ValueError: the text has another form.
    """
    pairs = [pair.partition("=") for pair in text.split(",")]
    for bucket, _, account in pairs:
        if not bucket or not re.fullmatch(r"\d{12}", account):
            raise ValueError(
                f"--{ARGUMENT} {text!r}: must be bucket=account id, separated by commas"
            )
    return {bucket: account for bucket, _, account in pairs}
