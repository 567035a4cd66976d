"""`Job`: start and end of a job run, and its bookmarks, which the sandbox does not keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from awsglue.errors import refuse


class Job:
    """A job run as the script sees it."""

    def __init__(self, glue_context: Any) -> None:
        self._glue_context = glue_context
        self._initialized = False

    @classmethod
    def job_bookmark_options(cls) -> list[str]:
        return [
            "--job-bookmark-option",
            "job-bookmark-enable",
            "job-bookmark-pause",
            "job-bookmark-disable",
        ]

    @classmethod
    def job_bookmark_range_options(cls) -> list[str]:
        return ["--job-bookmark-from", "--job-bookmark-to"]

    def init(self, job_name: str, args: Mapping[str, Any] | None = None) -> None:
        """Begin the run.

        Raises:
            UnsupportedByLocalGlueError: job bookmarks are asked for.
        """
        arguments = dict(args or {})
        bookmark = arguments.get("job_bookmark_option", "job-bookmark-disable")
        if bookmark != "job-bookmark-disable":
            raise refuse(
                f"job bookmarks ({bookmark} of job {job_name})",
                "set --job-bookmark-option to job-bookmark-disable",
            )
        self._initialized = True

    def isInitialized(self) -> bool:
        return self._initialized

    def commit(self) -> None:
        """End the run. Without bookmarks there is nothing to save."""
        if not self._initialized:
            raise RuntimeError("Job.commit() was called before Job.init()")
