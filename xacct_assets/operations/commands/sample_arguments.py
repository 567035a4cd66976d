"""Arguments of the commands that look at files: which, and what the files do not tell."""

from __future__ import annotations

import argparse

#: In help texts: where a file may be.
PLACES = "paths, or s3://bucket/key in a bucket of the installation"


def add_sample_arguments(parser: argparse.ArgumentParser, *, files: str, of: str) -> None:
    """Declare ``--from``, ``--type``, ``--date-order``, ``--decimal`` and ``--yes``.

    Args:
        parser: of the command.
        files: what the files are.
        of: the columns that the answers are about.
    """
    parser.add_argument(
        "--from",
        dest="samples",
        metavar="FILE",
        nargs="+",
        required=True,
        help=f"{files}: {PLACES}",
    )
    parser.add_argument(
        "--type",
        dest="types",
        metavar="COLUMN=TYPE",
        action="append",
        default=[],
        help=f"type of {of}, and its format: zip=varchar(16), day=date:DD/MM/YYYY",
    )
    parser.add_argument(
        "--date-order",
        choices=("dmy", "mdy", "ymd"),
        help=f"in {of} 03/04/2026 is a day first (dmy) or a month first (mdy)",
    )
    parser.add_argument(
        "--decimal", choices=(",", "."), help=f"in {of} 1,234 has decimals after , or ."
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask; take the likely answer if there is one"
    )
