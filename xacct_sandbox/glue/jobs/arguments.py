"""The arguments of a job run: defaults, the run's own, and Glue's job parameters."""

from __future__ import annotations

import importlib.metadata
import re

from xacct_sandbox.glue.jobs.definitions import Definition
from xacct_sandbox.glue.responses import invalid_input

_UNSUPPORTED = frozenset(
    {
        "--class",
        "--conf",
        "--continuous-log-conversionPattern",
        "--continuous-log-logGroup",
        "--continuous-log-logStreamPrefix",
        "--custom-logStream-prefix",
        "--customer-driver-env-vars",
        "--customer-executor-env-vars",
        "--datalake-formats",
        "--enable-auto-scaling",
        "--enable-glue-datacatalog",
        "--enable-rename-algorithm-v2",
        "--enable-s3-parquet-optimized-committer",
        "--enable-spark-ui",
        "--executor-cores",
        "--extra-files",
        "--extra-jars",
        "--job-bookmark-from",
        "--job-bookmark-to",
        "--python-modules-installer-option",
        "--scriptLocation",
        "--spark-event-logs-path",
        "--user-jars-first",
        "--use-postgres-driver",
        "--write-shuffle-files-to-s3",
        "--write-shuffle-spills-to-s3",
    }
)
"""Glue's job parameters that the sandbox would have to ignore (Glue developer guide, "Using job
parameters in AWS Glue jobs"). The others have an effect here, or need none on one machine."""


LOG_GROUP = "/aws-glue/jobs"
"""Prefix of the log groups of a run whose job names no other."""

_LOG_GROUP = "--custom-logGroup-prefix"
_LOG_GROUP_PREFIX = re.compile(r"[^:*]{1,400}")


def log_group(arguments: dict[str, str]) -> str:
    """Prefix of the two log groups of a run, ``/output`` and ``/error``.

    Glue developer guide, "Logging for AWS Glue jobs", with the rules for a prefix.
    """
    return arguments.get(_LOG_GROUP) or LOG_GROUP


def merge_arguments(job: Definition, run_arguments: dict[str, str]) -> dict[str, str]:
    """DefaultArguments, overridden by the run's own, overridden by NonOverridableArguments.

    Raises:
        ServiceError: InvalidInputException naming an argument that is not supported.
    """
    fixed = job["NonOverridableArguments"]
    for name in run_arguments:
        if name in fixed:
            raise invalid_input(f"Argument {name} is not overridable for job {job['Name']}")
    merged = {**job["DefaultArguments"], **run_arguments, **fixed}
    for name, value in merged.items():
        if name in _UNSUPPORTED and str(value).lower() != "false":
            raise invalid_input(
                f"Job parameter {name} is not supported by the sandbox; leave it out"
            )
    language = merged.get("--job-language", "python")
    if language != "python":
        raise invalid_input(
            f"--job-language {language} is not supported by the sandbox; use python"
        )
    if not _LOG_GROUP_PREFIX.fullmatch(log_group(merged)):
        raise invalid_input(
            f"{_LOG_GROUP} {log_group(merged)}: up to 400 characters, without : and *"
        )
    _check_modules(merged.get("--additional-python-modules", ""))
    return merged


def script_arguments(job: Definition, run_id: str, arguments: dict[str, str]) -> list[str]:
    """The command line of the script, Glue's own arguments first."""
    own = {"--JOB_ID": f"j_{job['Name']}", "--JOB_RUN_ID": run_id, "--JOB_NAME": job["Name"]}
    hidden = ("--extra-py-files", "--additional-python-modules")
    rest = {key: value for key, value in arguments.items() if key not in (*own, *hidden)}
    return [text for pair in {**own, **rest}.items() for text in pair if text != ""]


def _check_modules(requirements: str) -> None:
    """Refuse modules that are not installed: the sandbox installs nothing for a run."""
    for requirement in filter(None, (part.strip() for part in requirements.split(","))):
        parsed = re.fullmatch(r"([A-Za-z0-9._-]+)(?:==([^=<>!~]+))?", requirement)
        installed = _installed_version(parsed[1]) if parsed else None
        if parsed is None or installed is None or parsed[2] not in (None, installed):
            raise invalid_input(
                f"--additional-python-modules {requirement}: the sandbox installs nothing for a "
                f"run, and it has {installed or 'no such version'}; use --extra-py-files"
            )


def _installed_version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
