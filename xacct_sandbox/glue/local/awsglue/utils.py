"""`getResolvedOptions`: a job's arguments, as Glue's own parser reads them."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from awsglue.job import Job

# Glue sets these for its own use; a script may not ask for them as if they were its own.
RESERVED = {"JOB_ID", "JOB_RUN_ID", "SECURITY_CONFIGURATION"}
TEMPORARY = ("TempDir", "RedshiftTempDir")


class GlueArgumentError(Exception):
    """An argument is missing or not understood."""


class GlueArgumentParser(argparse.ArgumentParser):
    """Raises where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


def getResolvedOptions(
    args: list[str], options: list[str], allow_abbrev: bool = False
) -> dict[str, Any]:
    """The values of ``options`` (names without dashes), all required, by name.

    As in Glue, dashes in a name become underscores in the key, arguments that were not asked for
    are left out, and job_bookmark_option, TempDir and a few more are always there.

    Raises:
        GlueArgumentError: an option is missing.
        RuntimeError: a reserved name was asked for.
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
