"""`Job`: start and end of a job run. Job bookmarks are not supported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from awsglue.errors import refuse


class Job:
    """The job run of a script."""

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

        Args:
            job_name: of the job.
            args: as getResolvedOptions returns them.

        Raises:
            UnsupportedByLocalGlueError: job bookmarks are enabled.
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
        """End the run. There are no bookmarks to save.

        Raises:
            RuntimeError: init() was not called.
        """
        if not self._initialized:
            raise RuntimeError("Job.commit() was called before Job.init()")
