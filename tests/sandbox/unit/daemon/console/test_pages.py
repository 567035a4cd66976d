"""What the console's pages show, and that they show it as text."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.console import addresses, s3_pages
from xacct_sandbox.daemon.console.accounts import Content, NotHere
from xacct_sandbox.daemon.console.application import Console
from xacct_sandbox.daemon.request_log import CALLER, RequestLog

HOSTILE = "<script>alert('x')</script>&\"'"
ESCAPED = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;&#x27;"
START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class FakeAccounts:
    """What the AWS APIs return."""

    def __init__(self) -> None:
        self.run: dict[str, Any] = {
            "Id": "jr_1",
            "JobName": "load",
            "JobRunState": "FAILED",
            "ErrorMessage": HOSTILE,
            "StartedOn": START,
            "CompletedOn": START + timedelta(seconds=10),
            "ExecutionTime": 10,
            "Arguments": {"--load_id": HOSTILE, "--db_password": "hunter2", "--long": "x" * 999},
        }
        self.files: dict[str, bytes] = {}

    def job_run(self, job: str, run_id: str) -> dict[str, Any]:
        if run_id != self.run["Id"]:
            error = {"Code": "EntityNotFoundException", "Message": f"Job run {run_id} not found."}
            raise ClientError({"Error": error}, "GetJobRun")
        return self.run

    def newest_job_runs(self, limit: int) -> list[dict[str, Any]]:
        return [self.run]

    def crawlers(self) -> list[str]:
        return ["daily"]

    def crawls(self, crawler: str, limit: int) -> list[dict[str, Any]]:
        return [
            {"CrawlId": "c-2", "State": "FAILED", "StartTime": START, "ErrorMessage": HOSTILE},
            {
                "CrawlId": "c-1",
                "State": "COMPLETED",
                "StartTime": START,
                "EndTime": START,
                "Summary": json.dumps(
                    {
                        "TABLE": json.dumps({"ADD": json.dumps({"Count": 1})}),
                        "PARTITION": json.dumps(
                            {"ADD": json.dumps({"Details": {"names": ["a/b"]}, "Count": 1})}
                        ),
                    }
                ),
            },
        ]

    def log_events(self, group: str, stream: str) -> list[dict[str, Any]]:
        lines = {
            ("/aws-glue/jobs/output", "jr_1"): ["reading\n", HOSTILE],
            ("/aws-glue/crawlers", "daily"): ["[c-1] first crawl", "[c-2] second crawl"],
        }.get((group, stream), [])
        return [{"timestamp": 0, "message": line} for line in lines]

    def objects(self, bucket: str, prefix: str) -> list[dict[str, Any]]:
        if bucket != "work":
            raise NotHere(f"Neither account has a bucket {bucket}.")
        return [
            {"Key": key, "Size": len(body), "LastModified": START}
            for key, body in self.files.items()
            if key.startswith(prefix)
        ]

    def content(self, bucket: str, key: str) -> Content:
        body = self.files[key]
        return Content(gzip.decompress(body) if key.endswith(".gz") else body, is_whole=True)


@pytest.fixture
def accounts() -> FakeAccounts:
    return FakeAccounts()


@pytest.fixture
def log() -> RequestLog:
    return RequestLog()


@pytest.fixture
def console(
    tmp_path: Path, log: RequestLog, accounts: FakeAccounts, monkeypatch: pytest.MonkeyPatch
) -> Console:
    monkeypatch.setattr("xacct_sandbox.daemon.console.application.Accounts", lambda: accounts)
    return Console(SandboxConfig(home=tmp_path), log)


def get(
    console: Console,
    target: str,
    *,
    host: str = "127.0.0.1:4567",
    method: str = "GET",
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of a request."""
    path, _, query = target.partition("?")
    sent: list[dict[str, Any]] = []

    async def request() -> None:
        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        scope = {
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", host.encode())],
        }
        await console(scope, receive, send)

    asyncio.run(request())
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"].decode()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "evil:4567", ""])
def test_a_request_by_another_name_is_refused(console: Console, host: str) -> None:
    status, _, body = get(console, "/", host=host)
    assert status == 403
    assert "jr_1" not in body


@pytest.mark.parametrize("host", ["127.0.0.1:4567", "localhost:4567"])
def test_this_machines_own_names_are_served(console: Console, host: str) -> None:
    assert get(console, "/", host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_pages_can_only_be_read(console: Console, method: str) -> None:
    assert get(console, "/", method=method)[0] == 405


def test_the_page_of_a_job_run_has_state_error_log_and_arguments(console: Console) -> None:
    status, headers, body = get(console, addresses.job_run("load", "jr_1"))
    assert status == 200
    for part in ("FAILED", "reading", "--load_id", "2026-01-31 12:00:10 UTC", "(999 characters)"):
        assert part in body
    assert "hunter2" not in body
    assert body.count(ESCAPED) == 3  # error, log and argument
    assert "<script" not in body
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_the_page_of_a_job_run_has_the_requests_of_services_while_it_ran(
    console: Console, log: RequestLog
) -> None:
    def add(second: float, origin: str, resource: str) -> None:
        log.add(
            at=START.timestamp() + second,
            seconds=0.1,
            origin=origin,
            principal="arn:aws:sts::222222222222:assumed-role/glue/session",
            service="s3",
            operation="GetObject",
            resource=resource,
            status=200,
        )

    add(-1, "glue", "before")
    add(1, "glue", "during")
    add(2, CALLER, "by-a-caller")
    add(11, "redshift", "after")
    _, _, body = get(console, addresses.job_run("load", "jr_1"))
    assert "during" in body
    assert "glue/session" in body
    assert not {"before", "by-a-caller", "after"} & set(body.replace("<", ">").split(">"))


def test_a_missing_job_run_is_said_to_be_missing(console: Console) -> None:
    status, _, body = get(console, addresses.job_run("load", "jr_2"))
    assert status == 404
    assert "Job run jr_2 not found." in body


def test_the_page_of_a_crawler_has_its_crawls_and_the_log_of_one(console: Console) -> None:
    _, _, newest = get(console, addresses.crawler("daily"))
    assert "second crawl" in newest
    assert "first crawl" not in newest
    assert ESCAPED in newest
    assert "TABLE ADD: 1; PARTITION ADD: a/b" in newest
    _, _, earlier = get(console, addresses.crawler("daily", "c-1"))
    assert "first crawl" in earlier
    assert "second crawl" not in earlier


def test_rejected_rows_are_a_table_of_file_record_and_reason(
    console: Console, accounts: FakeAccounts
) -> None:
    row = {"source_file": "a.csv", "raw_record": f"1\x1a{HOSTILE}", "reason": "price: not a number"}
    prefix = "rejects/products/2026/01/31/"
    accounts.files = {
        f"{prefix}w-1/part-0.json.gz": gzip.compress(json.dumps(row).encode() + b"\n"),
        f"{prefix}manifest.json": json.dumps({"rejected_rows": 1}, indent=1).encode(),
    }
    status, _, body = get(console, addresses.s3_folder("work", prefix))
    assert status == 200
    assert "<th>source_file</th><th>reason</th><th>raw_record</th>" in body
    assert f"<code>1\\x1a{ESCAPED}</code>" in body
    assert "w-1/part-0.json.gz" in body
    assert "&quot;rejected_rows&quot;: 1" in body


def test_a_folder_of_many_objects_shows_their_names_only(
    console: Console, accounts: FakeAccounts
) -> None:
    accounts.files = {f"raw/{number}.csv": b"id,price\n" for number in range(6)}
    _, _, body = get(console, addresses.s3_folder("work", "raw/"))
    assert "5.csv" in body
    assert "id,price" not in body
    assert "id,price" in get(console, addresses.s3_object("work", "raw/5.csv"))[2]


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (Content(b"\xff\xfe\x00", is_whole=True), "no text"),
        (Content(b"one\ntwo", is_whole=False), "<pre>one</pre>"),
        (Content(b'{"a": "x\\u2028y"}\n', is_whole=True), "x\\u2028y"),
        (Content(b'{"a": 1}\n{"b": null}\n', is_whole=True), "<th>a</th><th>b</th>"),
        (Content(b"[1]\n[2]\n", is_whole=True), "[1]"),
        (Content(b"", is_whole=True), "<pre></pre>"),
    ],
)
def test_an_object_is_shown_as_rows_as_text_or_not_at_all(content: Content, shown: str) -> None:
    assert shown in s3_pages.preview(content)


def test_requests_can_be_narrowed_to_a_time_an_origin_and_a_principal(
    console: Console, log: RequestLog
) -> None:
    for number, origin in enumerate(("caller", "glue", "redshift")):
        log.add(
            at=100.0 + number,
            seconds=0,
            origin=origin,
            principal=f"arn:aws:iam::1:user/u{number}",
            service="redshift-data",
            operation="ExecuteStatement",
            resource=f"CREATE USER u{number} PASSWORD 'Hidden{number}'",
            status=400,
        )
    _, _, everything = get(console, "/requests")
    assert all(f"user/u{number}" in everything for number in range(3))
    assert "Hidden" not in everything
    assert "u1" not in get(console, "/requests?origin=caller")[2]
    assert "u0" not in get(console, "/requests?since=101")[2]
    assert "u2" not in get(console, "/requests?until=101")[2]
    assert "u1" in get(console, "/requests?principal=arn:aws:iam::1:user/u1")[2]
    assert get(console, "/requests?since=yesterday")[0] == 404


def test_the_part_of_an_address_behind_the_hash_is_sent_by_a_script(console: Console) -> None:
    _, headers, body = get(console, "/gluestudio/home?region=us-east-1")
    assert "location.hash" in body
    assert "script-src 'sha256-" in headers["content-security-policy"]


def test_an_address_that_the_sandbox_has_no_page_for_says_which_there_are(
    console: Console,
) -> None:
    status, _, body = get(console, "/ec2/home")
    assert status == 404
    assert "/ec2/home" in body
    assert "job runs" in body
