"""Addresses of pages of the AWS Management Console.

The Console's own address follows from Region and partition ("AWS Management Console endpoints and
quotas", AWS General Reference; the China and GovCloud consoles have domains of their own), unless
the installation names another: that of a multi-session sign-in, or of a replacement.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

_DOMAINS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def default_url(region: str, partition: str) -> str:
    """The Console of a Region, without a slash at its end."""
    return f"https://{region}.{_DOMAINS[partition]}"


@dataclass(frozen=True)
class Console:
    """Pages of one Region.

    Attributes:
        url: of the Console, without a slash at its end.
        region: of the resources.
    """

    url: str
    region: str

    def job_run(self, job: str, run_id: str) -> str:
        """A run of a Glue job: its state, arguments and figures."""
        return f"{self._home('gluestudio')}#/job/{_segment(job)}/run/{_segment(run_id)}"

    def crawler(self, name: str) -> str:
        """A Glue crawler with its past crawls."""
        return f"{self._home('glue')}#/v2/data-catalog/crawlers/view/{_segment(name)}"

    def log_stream(self, group: str, stream: str) -> str:
        """The events of a stream in CloudWatch Logs."""
        # This page's own encoding: encoded twice, with "%" written as "$".
        names = [quote(_segment(name), safe="").replace("%", "$") for name in (group, stream)]
        page = "#logsV2:log-groups/log-group/{}/log-events/{}"
        return self._home("cloudwatch") + page.format(*names)

    def s3_folder(self, bucket: str, prefix: str) -> str:
        """The objects below a prefix, which ends in a slash."""
        return f"{self.url}/s3/buckets/{bucket}?region={self.region}&prefix={quote(prefix)}"

    def _home(self, service: str) -> str:
        return f"{self.url}/{service}/home?region={self.region}"


def _segment(name: str) -> str:
    return quote(name, safe="")
