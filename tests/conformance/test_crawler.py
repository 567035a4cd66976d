"""Crawlers and the Data Catalog: tables, partitions, types, recrawls, who may."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance.target import ALLOWED, Target, allow, document, outcome, refusal, trusting

BODY = b"id,name,price,at\n1,a b,2.5,2026-01-01\n2,c,3.5,2026-01-02\n"
GLUE = {"Service": "glue.amazonaws.com"}


@dataclass
class Catalog:
    """A raw bucket in account A; in account B a database, and a role that crawlers run as."""

    target: Target
    bucket: str
    role: str
    database: str

    @property
    def glue(self) -> Any:
        return self.target.b.client("glue")

    def put(self, key: str, body: bytes = BODY) -> None:
        self.target.a.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def crawler(self, part: str, *folders: str, **options: Any) -> str:
        """A new crawler of some folders; returns its name."""
        name = self.target.name(part)
        paths = [{"Path": f"s3://{self.bucket}/{folder}"} for folder in folders]
        request = {
            "Name": name,
            "Role": self.role,
            "DatabaseName": self.database,
            "Targets": {"S3Targets": paths},
            **options,
        }
        # Glue must see the new role first.
        self.target.becomes(ALLOWED, lambda: outcome(self.glue.create_crawler, **request))
        return name

    def start(self, crawler: str) -> None:
        self.target.spent["crawls"] += 1
        self.glue.start_crawler(Name=crawler)

    def ended(self, crawler: str) -> dict[str, Any]:
        """The crawler once it is READY again."""
        deadline = time.monotonic() + 900
        while True:
            found: dict[str, Any] = self.glue.get_crawler(Name=crawler)["Crawler"]
            if found["State"] == "READY":
                return found
            assert time.monotonic() < deadline, found
            time.sleep(self.target.pause)

    def table(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.glue.get_table(DatabaseName=self.database, Name=name)["Table"]
        return found

    def partitions(self, table: str, **options: Any) -> list[list[str]]:
        pages = self.glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.database, TableName=table, **options
        )
        return sorted(entry["Values"] for page in pages for entry in page["Partitions"])


@pytest.fixture(scope="module")
def catalog(target: Target) -> Iterator[Catalog]:
    bucket = target.bucket(target.a, "crawled")
    role = target.role(target.b, "crawler", trusting(GLUE))
    whole = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    target.permit(
        target.b,
        role,
        allow("s3:ListBucket", "s3:GetObject", on=whole),
        allow("glue:*"),
        allow("logs:*"),
    )
    policy = {
        **allow("s3:ListBucket", "s3:GetObject", on=whole),
        "Principal": {"AWS": role},
    }
    put = {"Bucket": bucket, "Policy": document(policy)}
    target.becomes(ALLOWED, lambda: outcome(target.a.client("s3").put_bucket_policy, **put))
    database = target.sql_name("db")
    target.b.client("glue").create_database(DatabaseInput={"Name": database})
    return Catalog(target, bucket, role, database)


@dataclass
class Crawled:
    """A crawler of day folders in two layouts, after its first crawl."""

    catalog: Catalog
    name: str
    last: dict[str, Any]


@pytest.fixture(scope="module")
def crawled(catalog: Catalog) -> Crawled:
    for day in ("01", "02"):
        catalog.put(f"products/2026/01/{day}/products.csv")
        catalog.put(f"orders/year=2026/month=01/day={day}/orders.csv")
    for name in ("apples", "pears"):
        catalog.put(f"mixed/{name}/x.csv", f"{name}_a,{name}_b\n1,2\n3,4\n".encode())
    policies = {
        "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
        "SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
    }
    name = catalog.crawler("days", "products/", "orders/", "mixed/", **policies)
    catalog.start(name)
    with pytest.raises(catalog.glue.exceptions.CrawlerRunningException):
        catalog.glue.start_crawler(Name=name)
    with pytest.raises(catalog.glue.exceptions.CrawlerRunningException):
        catalog.glue.update_crawler(Name=name, Description="changed")
    last = catalog.ended(name)["LastCrawl"]
    assert last["Status"] == "SUCCEEDED", last
    return Crawled(catalog, name, last)


@pytest.mark.claim("crawler-running-is-refused")
def test_a_running_crawler_is_neither_started_nor_changed(crawled: Crawled) -> None:
    # Both were refused while the crawler of the fixture ran; now they are not.
    glue = crawled.catalog.glue
    assert outcome(glue.update_crawler, Name=crawled.name, Description="changed") == ALLOWED


@pytest.mark.claim("crawler-day-folders")
@pytest.mark.claim("crawler-types")
@pytest.mark.claim("crawler-classification")
def test_day_folders_are_one_table_with_partitions_by_position(crawled: Crawled) -> None:
    table = crawled.catalog.table("products")
    assert [(key["Name"], key["Type"]) for key in table["PartitionKeys"]] == [
        ("partition_0", "string"),
        ("partition_1", "string"),
        ("partition_2", "string"),
    ]
    assert crawled.catalog.partitions("products") == [["2026", "01", "01"], ["2026", "01", "02"]]
    descriptor = table["StorageDescriptor"]
    assert [(column["Name"], column["Type"]) for column in descriptor["Columns"]] == [
        ("id", "bigint"),
        ("name", "string"),
        ("price", "double"),
        ("at", "string"),
    ]
    assert descriptor["Location"] == f"s3://{crawled.catalog.bucket}/products/"
    assert table["Parameters"]["classification"] == "csv"
    assert table["Parameters"]["delimiter"] == ","
    assert table["Parameters"]["skip.header.line.count"] == "1"
    assert table["TableType"] == "EXTERNAL_TABLE"


@pytest.mark.claim("crawler-hive-folders")
def test_hive_folders_name_their_partitions(crawled: Crawled) -> None:
    table = crawled.catalog.table("orders")
    assert [key["Name"] for key in table["PartitionKeys"]] == ["year", "month", "day"]
    assert crawled.catalog.partitions("orders") == [["2026", "01", "01"], ["2026", "01", "02"]]


@pytest.mark.claim("crawler-schemas-that-differ")
def test_folders_with_other_columns_are_tables_of_their_own(crawled: Crawled) -> None:
    for name in ("apples", "pears"):
        columns = crawled.catalog.table(name)["StorageDescriptor"]["Columns"]
        assert [column["Name"] for column in columns] == [f"{name}_a", f"{name}_b"]


@pytest.mark.claim("crawler-history")
def test_the_history_names_each_crawl_and_what_it_changed(crawled: Crawled) -> None:
    crawl = crawled.catalog.glue.list_crawls(CrawlerName=crawled.name)["Crawls"][-1]
    assert crawl["State"] == "COMPLETED"
    assert crawl["EndTime"] >= crawl["StartTime"]
    assert crawl["CrawlId"]
    assert "PARTITION" in json.loads(crawl["Summary"])
    assert crawled.last["LogGroup"].startswith("/aws-glue/crawlers")
    assert crawled.last["MessagePrefix"]


@pytest.mark.claim("crawler-new-folders-only")
def test_a_crawl_of_new_folders_adds_the_new_day_only(crawled: Crawled) -> None:
    catalog = crawled.catalog
    catalog.put(
        "products/2026/01/03/products.csv", b"id,name,price,at,more\n1,a,2.5,x,y\n2,b,3,x,y\n"
    )
    catalog.put("products/2026/01/01/late.csv")
    before = catalog.table("products")
    catalog.start(crawled.name)
    assert catalog.ended(crawled.name)["LastCrawl"]["Status"] == "SUCCEEDED"
    assert catalog.partitions("products")[-1] == ["2026", "01", "03"]
    after = catalog.table("products")
    assert after["StorageDescriptor"]["Columns"] == before["StorageDescriptor"]["Columns"]


@pytest.mark.claim("crawler-new-folders-needs-log")
def test_a_crawler_of_new_folders_must_only_log_changes(catalog: Catalog) -> None:
    code, _ = refusal(
        catalog.glue.create_crawler,
        Name=catalog.target.name("wrong"),
        Role=catalog.role,
        DatabaseName=catalog.database,
        Targets={"S3Targets": [{"Path": f"s3://{catalog.bucket}/products/"}]},
        RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
        SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"},
    )
    assert code == "InvalidInputException"


@pytest.mark.claim("crawler-denied")
def test_a_crawl_that_may_not_read_fails_and_says_so(catalog: Catalog) -> None:
    target = catalog.target
    other = target.bucket(target.a, "closed")
    target.a.client("s3").put_object(Bucket=other, Key="days/a.csv", Body=BODY)
    path = {"S3Targets": [{"Path": f"s3://{other}/days/"}]}
    name = catalog.crawler("closed", "days/", Targets=path)
    catalog.start(name)
    last = catalog.ended(name)["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert "denied" in last["ErrorMessage"].lower() or "not authorized" in last["ErrorMessage"]


@pytest.mark.claim("crawler-missing")
def test_a_crawler_that_is_not_there_is_not_found(catalog: Catalog) -> None:
    name = catalog.target.name("never")
    assert outcome(catalog.glue.start_crawler, Name=name) == "EntityNotFoundException"
    assert outcome(catalog.glue.get_crawler, Name=name) == "EntityNotFoundException"


# -- the catalog -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(catalog: Catalog) -> dict[str, str]:
    """A table with two days, made without a crawler."""
    address = {"DatabaseName": catalog.database, "TableName": "by_hand"}
    keys = [{"Name": name, "Type": "string"} for name in ("year", "month", "day")]
    definition = {"Name": "by_hand", "PartitionKeys": keys, "StorageDescriptor": descriptor("")}
    catalog.glue.create_table(DatabaseName=catalog.database, TableInput=definition)
    catalog.glue.batch_create_partition(
        **address, PartitionInputList=[partition("01"), partition("02")]
    )
    return address


def descriptor(folder: str) -> dict[str, Any]:
    return {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": f"s3://nowhere/{folder}"}


def partition(day: str) -> dict[str, Any]:
    return {"Values": ["2026", "01", day], "StorageDescriptor": descriptor(day)}


@pytest.mark.claim("catalog-partitions-by-expression")
def test_partitions_are_found_by_an_expression(catalog: Catalog, table: dict[str, str]) -> None:
    for expression, days in (
        ("year = '2026' AND day = '02'", ["02"]),
        ("day IN ('01', '09')", ["01"]),
        ("day BETWEEN '01' AND '02'", ["01", "02"]),
        ("day > '02'", []),
    ):
        found = catalog.partitions(table["TableName"], Expression=expression)
        assert [values[2] for values in found] == days, expression


@pytest.mark.claim("catalog-batch-create-names-what-exists")
def test_a_batch_of_partitions_names_those_that_exist(
    catalog: Catalog, table: dict[str, str]
) -> None:
    answer = catalog.glue.batch_create_partition(
        **table, PartitionInputList=[partition("02"), partition("03")]
    )
    (error,) = answer["Errors"]
    assert error["PartitionValues"] == ["2026", "01", "02"]
    assert error["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    wanted = [{"Values": ["2026", "01", day]} for day in ("03", "09")]
    got = catalog.glue.batch_get_partition(**table, PartitionsToGet=wanted)
    assert [entry["Values"] for entry in got["Partitions"]] == [["2026", "01", "03"]]
    catalog.glue.batch_delete_partition(**table, PartitionsToDelete=wanted[:1])


@pytest.mark.claim("catalog-errors")
def test_what_exists_and_what_is_missing_has_its_error(
    catalog: Catalog, table: dict[str, str]
) -> None:
    again = {"Name": "by_hand", "StorageDescriptor": descriptor("")}
    request = {"DatabaseName": catalog.database, "TableInput": again}
    assert outcome(catalog.glue.create_table, **request) == "AlreadyExistsException"
    missing = {"DatabaseName": catalog.database, "Name": "none"}
    assert outcome(catalog.glue.get_table, **missing) == "EntityNotFoundException"
    one = {**table, "PartitionValues": ["2026", "01", "31"]}
    assert outcome(catalog.glue.get_partition, **one) == "EntityNotFoundException"
    short = {**table, "PartitionInput": {**partition("04"), "Values": ["2026"]}}
    assert outcome(catalog.glue.create_partition, **short) == "InvalidInputException"
