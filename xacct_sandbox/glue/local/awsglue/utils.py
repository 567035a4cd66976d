"""`getResolvedOptions`: parses a job's arguments as Glue does."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from awsglue.job import Job

RESERVED = {"JOB_ID", "JOB_RUN_ID", "SECURITY_CONFIGURATION"}
"""Arguments that Glue sets for its own use; a script may not request them."""
TEMPORARY = ("TempDir", "RedshiftTempDir")


class GlueArgumentError(Exception):
    """An argument is missing or invalid."""


class GlueArgumentParser(argparse.ArgumentParser):
    """Raises an exception where argparse ends the process."""

    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


def getResolvedOptions(
    args: list[str], options: list[str], allow_abbrev: bool = False
) -> dict[str, Any]:
    """The values of the requested arguments.

    Args:
        args: the script's command line.
        options: names without their dashes; all are required.
        allow_abbrev: arguments may be abbreviated.

    Returns:
        Values by name. As in Glue, dashes within a name become underscores, arguments that were
        not requested are left out, and job_bookmark_option, TempDir and a few more are always
        included.

    Raises:
        GlueArgumentError: an argument is missing or invalid.
        RuntimeError: a reserved name was requested.
    """
    bookmarks = Job.job_bookmark_options()
    reserved = {bookmarks[0][2:], "continuation-option", *RESERVED}
    reserved.update(name[2:] for name in Job.job_bookmark_range_options())
    reserved.update({"encryption-type", "enable-data-lineage"})
    for option in options:
        if option in reserved:
            raise RuntimeError(f"Using reserved arguments {option}")

    parser = GlueArgumentParser(allow_abbrev=allow_abbrev)
    parser.add_argument(bookmarks[0], choices=bookmarks[1:], default="job-bookmark-disable")
    parser.add_argument("--encryption-type", choices=["sse-s3"])
    parser.add_argument("--enable-data-lineage")
    for name in (*Job.job_bookmark_range_options(), *(f"--{name}" for name in sorted(RESERVED))):
        parser.add_argument(name)
    for name in TEMPORARY:
        parser.add_argument(f"--{name}")
    for option in options:
        if option not in TEMPORARY:
            parser.add_argument(f"--{option}", required=True)

    resolved = vars(parser.parse_known_args(args[1:])[0])
    temporary = resolved["TempDir"] or resolved["RedshiftTempDir"]
    if temporary is not None:
        resolved.update(dict.fromkeys(TEMPORARY, temporary))
    return resolved
