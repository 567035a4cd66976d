"""Crawlers through boto3: across two accounts, under their role's own permissions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

BODY = b'id,name,price\n1,"a, b",2.5\n2,c,3.5\n'
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "glue.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": "222222222222"}},
        }
    ],
}


@dataclass
class Feed:
    """A raw bucket in account A, a crawler with its role and database in account B."""

    name: str
    s3: Any
    iam: Any
    glue: Any
    logs: Any

    @property
    def bucket(self) -> str:
        return f"raw-{self.name}"

    @property
    def role(self) -> str:
        return f"arn:aws:iam::222222222222:role/{self.name}"

    def make(self) -> None:
        self.s3.create_bucket(Bucket=self.bucket)
        self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(TRUST))
        self.allow("s3:ListBucket", "s3:GetObject", "glue:*")
        self.open_bucket()
        self.glue.create_database(DatabaseInput={"Name": self.name})
        self.glue.create_crawler(**self.definition())

    def definition(self, **more: Any) -> dict[str, Any]:
        return {
            "Name": self.name,
            "Role": self.role,
            "DatabaseName": self.name,
            "Targets": {"S3Targets": [{"Path": f"s3://{self.bucket}/products/"}]},
            **more,
        }

    def allow(self, *actions: str) -> None:
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
        }
        self.iam.put_role_policy(
            RoleName=self.name, PolicyName="p", PolicyDocument=json.dumps(document)
        )

    def open_bucket(self) -> None:
        arn = f"arn:aws:s3:::{self.bucket}"
        document = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": self.role},
                    "Action": ["s3:GetObject", "s3:ListBucket"],
                    "Resource": [arn, f"{arn}/*"],
                }
            ],
        }
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(document))

    def land(self, *days: int, body: bytes = BODY) -> None:
        for day in days:
            key = f"products/2026/01/{day:02}/products.csv"
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def crawl(self) -> dict[str, Any]:
        """Crawl to the end; the crawler's LastCrawl."""
        self.glue.start_crawler(Name=self.name)
        return self.ended()

    def ended(self) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while True:
            crawler = self.glue.get_crawler(Name=self.name)["Crawler"]
            if crawler["State"] == "READY":
                return crawler["LastCrawl"]
            assert time.monotonic() < deadline, crawler
            time.sleep(0.02)

    def partitions(self, **more: Any) -> list[list[str]]:
        pages = self.glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.name, TableName="products", **more
        )
        return [entry["Values"] for page in pages for entry in page["Partitions"]]


@pytest.fixture
def feed(bare_sandbox: Any) -> Iterator[Feed]:
    made = Feed(
        name=f"crawl-{uuid.uuid4().hex[:8]}",
        s3=bare_sandbox.client("account-a-admin", "s3"),
        iam=bare_sandbox.client("account-b-admin", "iam"),
        glue=bare_sandbox.client("account-b-admin", "glue"),
        logs=bare_sandbox.client("account-b-admin", "logs"),
    )
    made.make()
    return made


def test_a_crawl_of_another_accounts_days_fills_the_catalog(feed):
    feed.land(1, 2, 3)
    last = feed.crawl()
    assert last["Status"] == "SUCCEEDED"
    table = feed.glue.get_table(DatabaseName=feed.name, Name="products")["Table"]
    assert [(c["Name"], c["Type"]) for c in table["StorageDescriptor"]["Columns"]] == [
        ("id", "bigint"),
        ("name", "string"),
        ("price", "double"),
    ]
    assert feed.partitions() == [["2026", "01", f"{day:02}"] for day in (1, 2, 3)]
    (crawl,) = feed.glue.list_crawls(CrawlerName=feed.name)["Crawls"]
    assert crawl["State"] == "COMPLETED"
    assert crawl["EndTime"] >= crawl["StartTime"]
    assert crawl["MessagePrefix"] == last["MessagePrefix"] == crawl["CrawlId"]
    assert "PARTITION" in json.loads(crawl["Summary"])
    events = feed.logs.get_log_events(
        logGroupName=last["LogGroup"], logStreamName=last["LogStream"]
    )["events"]
    assert any("Created 3 partitions" in event["message"] for event in events)


def test_partitions_are_found_by_expression_segment_and_key(feed):
    feed.land(*range(1, 8))
    feed.crawl()
    address = {"DatabaseName": feed.name, "TableName": "products"}
    between = "partition_0 = '2026' AND partition_2 BETWEEN '02' AND '04'"
    assert [values[2] for values in feed.partitions(Expression=between)] == ["02", "03", "04"]
    halves = [
        feed.partitions(Segment={"SegmentNumber": number, "TotalSegments": 2}) for number in (0, 1)
    ]
    assert sorted(halves[0] + halves[1]) == feed.partitions()
    first = feed.glue.get_partitions(**address, MaxResults=2, ExcludeColumnSchema=True)
    assert len(first["Partitions"]) == 2
    assert "Columns" not in first["Partitions"][0]["StorageDescriptor"]
    assert first["NextToken"]
    wanted = [{"Values": ["2026", "01", day]} for day in ("01", "31")]
    got = feed.glue.batch_get_partition(**address, PartitionsToGet=wanted)
    assert [entry["Values"] for entry in got["Partitions"]] == [["2026", "01", "01"]]
    assert got["UnprocessedKeys"] == [{"Values": ["2026", "01", "31"]}]
    with pytest.raises(feed.glue.exceptions.InvalidInputException, match="month"):
        feed.glue.get_partitions(**address, Expression="month = '01'")
    with pytest.raises(feed.glue.exceptions.EntityNotFoundException):
        feed.glue.get_partitions(DatabaseName=feed.name, TableName="nope")
    with pytest.raises(feed.glue.exceptions.InvalidInputException, match="partition keys"):
        feed.glue.create_partition(**address, PartitionInput={"Values": ["2026"]})


def test_of_two_starts_at_once_one_crawls_and_the_other_is_told(feed):
    feed.land(1)

    def start(_: int) -> str:
        try:
            feed.glue.start_crawler(Name=feed.name)
        except ClientError as problem:
            return str(problem.response["Error"]["Code"])
        return "started"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(start, range(2)))
    feed.ended()
    crawls = feed.glue.list_crawls(CrawlerName=feed.name)["Crawls"]
    # The second may also have come after the first had ended.
    assert (answers, len(crawls)) in (
        (["CrawlerRunningException", "started"], 1),
        (["started", "started"], 2),
    )


def test_a_running_crawler_can_be_stopped_but_not_changed(feed):
    feed.land(*range(1, 29))
    feed.glue.start_crawler(Name=feed.name)
    with pytest.raises(feed.glue.exceptions.CrawlerRunningException):
        feed.glue.update_crawler(Name=feed.name, Description="x")
    with pytest.raises(feed.glue.exceptions.CrawlerRunningException):
        feed.glue.delete_crawler(Name=feed.name)
    feed.glue.stop_crawler(Name=feed.name)
    assert feed.ended()["Status"] == "CANCELLED"
    assert feed.glue.list_crawls(CrawlerName=feed.name)["Crawls"][0]["State"] == "STOPPED"
    with pytest.raises(feed.glue.exceptions.CrawlerNotRunningException):
        feed.glue.stop_crawler(Name=feed.name)


def test_without_the_bucket_policy_the_crawl_fails_by_name_and_with_it_again_works(feed):
    feed.land(1)
    feed.s3.delete_bucket_policy(Bucket=feed.bucket)
    last = feed.crawl()
    assert last["Status"] == "FAILED"
    for part in (f"assumed-role/{feed.name}/", "s3:ListBucket", f"arn:aws:s3:::{feed.bucket}"):
        assert part in last["ErrorMessage"]
    failed = feed.glue.list_crawls(
        CrawlerName=feed.name,
        Filters=[{"FieldName": "STATE", "FilterOperator": "EQ", "FieldValue": "FAILED"}],
    )["Crawls"]
    assert [crawl["ErrorMessage"] for crawl in failed] == [last["ErrorMessage"]]
    feed.open_bucket()
    assert feed.crawl()["Status"] == "SUCCEEDED"


def test_without_the_roles_own_permission_the_crawl_fails_by_name(feed):
    feed.land(1)
    feed.allow("s3:ListBucket", "glue:*")
    assert "s3:GetObject" in feed.crawl()["ErrorMessage"]
    feed.allow("s3:ListBucket", "s3:GetObject", "glue:GetDatabase", "glue:GetTables")
    message = feed.crawl()["ErrorMessage"]
    assert "glue:CreateTable" in message
    assert "arn:aws:glue:us-east-1:222222222222:catalog" in message


def test_a_role_that_does_not_trust_glue_cannot_crawl(feed):
    trust = json.loads(json.dumps(TRUST).replace("glue.", "lambda."))
    feed.iam.update_assume_role_policy(RoleName=feed.name, PolicyDocument=json.dumps(trust))
    last = feed.crawl()
    assert last["Status"] == "FAILED"
    assert "TrustPolicy" in last["ErrorMessage"]
    assert feed.role in last["ErrorMessage"]


def test_new_folders_only_adds_the_new_day_and_leaves_the_rest(feed):
    feed.glue.delete_crawler(Name=feed.name)
    policies = {
        "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
        "SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
    }
    feed.glue.create_crawler(**feed.definition(**policies))
    feed.land(1, 2)
    feed.crawl()
    version = feed.glue.get_table(DatabaseName=feed.name, Name="products")["Table"]["VersionId"]
    feed.land(3)
    feed.crawl()
    table = feed.glue.get_table(DatabaseName=feed.name, Name="products")["Table"]
    assert table["VersionId"] == version
    assert len(feed.partitions()) == 3
    summary = json.loads(feed.glue.list_crawls(CrawlerName=feed.name)["Crawls"][0]["Summary"])
    assert list(summary) == ["PARTITION"]
    elsewhere = {"S3Targets": [{"Path": f"s3://{feed.bucket}/other/"}]}
    with pytest.raises(feed.glue.exceptions.InvalidInputException, match="new folders only"):
        feed.glue.update_crawler(Name=feed.name, Targets=elsewhere)


def test_what_the_crawler_does_not_do_is_refused_when_it_is_made(feed):
    wrong = {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVENT_MODE"}}
    with pytest.raises(feed.glue.exceptions.InvalidInputException, match="CRAWL_EVENT_MODE"):
        feed.glue.create_crawler(**{**feed.definition(**wrong), "Name": f"{feed.name}-2"})
    assert f"{feed.name}-2" not in feed.glue.list_crawlers()["CrawlerNames"]


def test_a_deleted_crawler_is_gone_with_its_history(feed):
    feed.land(1)
    feed.crawl()
    feed.glue.delete_crawler(Name=feed.name)
    with pytest.raises(feed.glue.exceptions.EntityNotFoundException):
        feed.glue.list_crawls(CrawlerName=feed.name)
    with pytest.raises(feed.glue.exceptions.EntityNotFoundException):
        feed.glue.start_crawler(Name=feed.name)
    feed.glue.create_crawler(**feed.definition())
    assert feed.glue.list_crawls(CrawlerName=feed.name)["Crawls"] == []
    assert "LastCrawl" not in feed.glue.get_crawler(Name=feed.name)["Crawler"]
