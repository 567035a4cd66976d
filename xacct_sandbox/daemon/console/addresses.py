"""The addresses of the console's pages, and what they name.

They are those of the AWS Console. Most of its pages are named behind a ``#``, which a browser keeps
to itself; a script of ours sends it in the parameter ``page``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode

HOMES = ("/gluestudio/home", "/glue/home", "/cloudwatch/home")
"""The paths of services whose pages are named behind a ``#``."""

_JOB_RUN = re.compile(r"/job/([^/?]+)/run/([^/?]+)")
_CRAWLER = re.compile(r"/v2/data-catalog/crawlers/view/([^/?]+)")
_LOG_STREAM = re.compile(r"logsV2:log-groups/log-group/([^/?]+)/log-events/([^/?]+)")
_S3 = re.compile(r"/s3/(buckets|object)/([a-z0-9.-]+)")


@dataclass(frozen=True)
class Address:
    """A page.

    Attributes:
        kind: index, home (named behind the "#"), job-run, crawler, log-stream, folder, object,
            requests or unknown.
        names: what the page is about.
        options: the other parameters.
    """

    kind: str
    names: tuple[str, ...]
    options: Mapping[str, str]


def parse(path: str, options: Mapping[str, str]) -> Address:
    """Reads the address of a request."""
    if path in ("/", "/requests"):
        return Address("index" if path == "/" else "requests", (), options)
    if path in HOMES:
        return _named_behind_hash(options)
    if match := _S3.fullmatch(path):
        kind = "folder" if match[1] == "buckets" else "object"
        return Address(kind, (match[2], options.get("prefix", "")), options)
    return Address("unknown", (path,), options)


def _named_behind_hash(options: Mapping[str, str]) -> Address:
    page = options.get("page", "")
    if not page:
        return Address("home", (), options)
    if match := _JOB_RUN.fullmatch(page):
        return Address("job-run", (unquote(match[1]), unquote(match[2])), options)
    if match := _CRAWLER.fullmatch(page):
        return Address("crawler", (unquote(match[1]),), options)
    if match := _LOG_STREAM.fullmatch(page):
        # Encoded twice, with "%" written as "$".
        names = (unquote(unquote(name.replace("$", "%"))) for name in match.groups())
        return Address("log-stream", tuple(names), options)
    return Address("unknown", (f"#{page}",), options)


def job_run(job: str, run_id: str) -> str:
    return _home("gluestudio", f"/job/{quote(job, safe='')}/run/{quote(run_id, safe='')}")


def crawler(name: str, crawl: str = "") -> str:
    page = f"/v2/data-catalog/crawlers/view/{quote(name, safe='')}"
    return _home("glue", page) + (f"&crawl={quote(crawl, safe='')}" if crawl else "")


def s3_folder(bucket: str, prefix: str) -> str:
    return f"/s3/buckets/{bucket}?{urlencode({'prefix': prefix})}"


def s3_object(bucket: str, key: str) -> str:
    return f"/s3/object/{bucket}?{urlencode({'prefix': key})}"


def requests(**options: str | float) -> str:
    return f"/requests?{urlencode(options)}"


def _home(service: str, page: str) -> str:
    return f"/{service}/home?{urlencode({'page': page})}"
