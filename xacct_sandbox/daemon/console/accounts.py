"""What the pages show, read through the AWS APIs with the keys of the accounts' admins."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from xacct_sandbox import clients

MAX_EVENTS = 10_000
"""Log events that a page shows; the most that GetLogEvents returns at once."""

MAX_BYTES = 256 * 1024
"""Bytes of an object that a page reads."""


class NotHere(Exception):
    """What the address names does not exist; the message is for the page."""


@dataclass(frozen=True)
class Content:
    """The beginning of an object.

    Attributes:
        data: at most ``MAX_BYTES`` of it, decompressed if its name ends in ``.gz``.
        is_whole: whether that is all of it.
    """

    data: bytes
    is_whole: bool


class Accounts:
    """Both accounts. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def job_run(self, job: str, run_id: str) -> dict[str, Any]:
        """A job run as GetJobRun returns it."""
        found: dict[str, Any] = self._b("glue").get_job_run(JobName=job, RunId=run_id)["JobRun"]
        return found

    def newest_job_runs(self, limit: int) -> list[dict[str, Any]]:
        """The newest runs of all jobs, the newest first."""
        glue = self._b("glue")
        names = [name for page in _pages(glue, "get_jobs") for name in _names(page["Jobs"])]
        runs = [run for name in names for run in glue.get_job_runs(JobName=name)["JobRuns"]]
        return sorted(runs, key=lambda run: run["StartedOn"], reverse=True)[:limit]

    def crawlers(self) -> list[str]:
        """The names of all crawlers."""
        pages = _pages(self._b("glue"), "get_crawlers")
        return [name for page in pages for name in _names(page["Crawlers"])]

    def crawls(self, crawler: str, limit: int) -> list[dict[str, Any]]:
        """The newest crawls of a crawler as ListCrawls returns them."""
        glue = self._b("glue")
        found: list[dict[str, Any]] = glue.list_crawls(CrawlerName=crawler, MaxResults=limit)[
            "Crawls"
        ]
        return found

    def log_events(self, group: str, stream: str) -> list[dict[str, Any]]:
        """The last events of a log stream; none if there is no such stream."""
        logs = self._b("logs")
        try:
            answer = logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=False, limit=MAX_EVENTS
            )
        except logs.exceptions.ResourceNotFoundException:
            return []
        events: list[dict[str, Any]] = answer["events"]
        return events

    def objects(self, bucket: str, prefix: str) -> list[dict[str, Any]]:
        """The first 1,000 objects below a prefix."""
        answer = self._s3_of(bucket).list_objects_v2(Bucket=bucket, Prefix=prefix)
        found: list[dict[str, Any]] = answer.get("Contents", [])
        return found

    def content(self, bucket: str, key: str) -> Content:
        """The beginning of an object."""
        body = self._s3_of(bucket).get_object(Bucket=bucket, Key=key)["Body"]
        with body:
            data: bytes = body.read(MAX_BYTES + 1)
        if not key.endswith(".gz"):
            return Content(data[:MAX_BYTES], len(data) <= MAX_BYTES)
        unpacker = zlib.decompressobj(wbits=31)
        try:
            unpacked = unpacker.decompress(data, MAX_BYTES)
        except zlib.error:
            return Content(data[:MAX_BYTES], len(data) <= MAX_BYTES)
        return Content(unpacked, unpacker.eof)

    def _s3_of(self, bucket: str) -> Any:
        """The S3 client of the account that has the bucket."""
        for profile in ("account-b-admin", "account-a-admin"):
            s3 = self._client(profile, "s3")
            if bucket in _names(s3.list_buckets()["Buckets"]):
                return s3
        raise NotHere(f"Neither account has a bucket {bucket}.")

    def _b(self, service: str) -> Any:
        return self._client("account-b-admin", service)

    def _client(self, profile: str, service: str) -> Any:
        with self._lock:
            if (profile, service) not in self._clients:
                self._clients[profile, service] = clients.user_client(profile, service)
            return self._clients[profile, service]


def reason_of(problem: ClientError) -> str:
    """What AWS says of a refused request."""
    error = problem.response.get("Error", {})
    return str(error.get("Message") or error.get("Code") or problem)


def _names(items: list[dict[str, Any]]) -> list[str]:
    return [item["Name"] for item in items]


def _pages(glue: Any, operation: str) -> Any:
    return glue.get_paginator(operation).paginate()
