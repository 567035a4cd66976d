"""The pipeline's links to the AWS Console lead to the sandbox's pages."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_assets.aws.console import Console
from xacct_sandbox.daemon.console import addresses
from xacct_sandbox.daemon.console.addresses import Address

PIPELINE = Console("http://127.0.0.1:4567", "us-east-1")
# Dots alone would be another folder in the path of an address.
NAMES = st.text(min_size=1, max_size=20).filter(lambda name: name not in (".", ".."))


def opened(url: str) -> Address:
    """The page that a browser opens: what is behind "#" arrives as a parameter."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.fragment:
        assert addresses.parse(parts.path, options).kind == "home"
        options["page"] = parts.fragment
    return addresses.parse(parts.path, options)


@given(NAMES, NAMES)
def test_a_link_to_a_job_run_opens_its_page(job: str, run_id: str) -> None:
    for url in (PIPELINE.job_run(job, run_id), addresses.job_run(job, run_id)):
        assert (opened(url).kind, opened(url).names) == ("job-run", (job, run_id))


@given(NAMES)
def test_a_link_to_a_crawler_opens_its_page(name: str) -> None:
    for url in (PIPELINE.crawler(name), addresses.crawler(name)):
        assert (opened(url).kind, opened(url).names) == ("crawler", (name,))


@given(NAMES, NAMES)
def test_a_link_to_a_log_opens_it(group: str, stream: str) -> None:
    page = opened(PIPELINE.log_stream(f"/{group}", stream))
    assert (page.kind, page.names) == ("log-stream", (f"/{group}", stream))


@given(NAMES)
def test_a_link_to_a_folder_opens_it(prefix: str) -> None:
    for url in (PIPELINE.s3_folder("work-1", prefix), addresses.s3_folder("work-1", prefix)):
        assert (opened(url).kind, opened(url).names) == ("folder", ("work-1", prefix))


def test_a_crawl_of_a_crawler_is_an_option() -> None:
    page = opened(addresses.crawler("daily", "c-1"))
    assert (page.names, page.options["crawl"]) == (("daily",), "c-1")


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/ec2/home", {}),
        ("/glue/home", {"page": "/v2/data-catalog/databases"}),
        ("/s3/buckets/Not_A_Bucket", {"prefix": "a"}),
        ("/s3/buckets/exports/../other", {}),
    ],
)
def test_other_pages_of_the_console_are_unknown(path: str, options: dict[str, str]) -> None:
    assert addresses.parse(path, options).kind == "unknown"
