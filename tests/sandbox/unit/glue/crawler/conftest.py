"""A crawler of S3 and a Data Catalog in memory; only the operations that a crawl uses."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.classification import Memory
from xacct_sandbox.glue.crawler.crawl import Crawl
from xacct_sandbox.glue.crawler.s3_listing import S3Reader
from xacct_sandbox.glue.crawler.settings import CrawlerSettings


def client_error(code: str, operation: str, message: str = "denied") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class FakeS3:
    """The objects of one bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads: list[str] = []
        self.deny_list = self.deny_get = False

    def get_paginator(self, operation: str) -> FakeS3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Any:
        if self.deny_list:
            raise client_error("AccessDenied", "ListObjectsV2")
        found = [
            {"Key": key, "Size": len(body), "ETag": f'"{hash(body)}"'}
            for key, body in sorted(self.objects.items())
            if key.startswith(Prefix)
        ]
        yield {"Contents": found[:2]}
        yield {"Contents": found[2:]} if found[2:] else {}

    def get_object(self, Bucket: str, Key: str, Range: str, IfMatch: str) -> Any:
        if self.deny_get:
            raise client_error("AccessDenied", "GetObject")
        if Key not in self.objects:
            raise client_error("NoSuchKey", "GetObject")
        self.reads.append(Key)
        start, end = Range.removeprefix("bytes=").split("-")
        return {"Body": io.BytesIO(self.objects[Key][int(start) : int(end) + 1])}


class FakeGlue:
    """One database. Its pages hold two items, so that every test covers paging."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.partitions: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
        self.calls: list[str] = []
        self.deny: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        handler = getattr(type(self), f"do_{name}", None)
        if handler is None:
            raise AttributeError(name)

        def call(**request: Any) -> Any:
            self.calls.append(name)
            if name in self.deny:
                raise client_error("AccessDeniedException", name)
            return copy.deepcopy(handler(self, copy.deepcopy(request)))

        return call

    def do_get_database(self, request: dict[str, Any]) -> Any:
        if request["Name"] != "db":
            raise client_error("EntityNotFoundException", "GetDatabase")
        return {}

    def do_get_tables(self, request: dict[str, Any]) -> Any:
        return _page("TableList", list(self.tables.values()), request)

    def do_create_table(self, request: dict[str, Any]) -> Any:
        self.tables[request["TableInput"]["Name"]] = request["TableInput"]
        self.partitions[request["TableInput"]["Name"]] = {}
        return {}

    def do_update_table(self, request: dict[str, Any]) -> Any:
        self.tables[request["TableInput"]["Name"]] = request["TableInput"]
        return {}

    def do_delete_table(self, request: dict[str, Any]) -> Any:
        del self.tables[request["Name"]]
        return {}

    def do_get_partitions(self, request: dict[str, Any]) -> Any:
        return _page("Partitions", list(self.partitions[request["TableName"]].values()), request)

    def do_batch_create_partition(self, request: dict[str, Any]) -> Any:
        assert len(request["PartitionInputList"]) <= 100
        for entry in request["PartitionInputList"]:
            self.partitions[request["TableName"]][tuple(entry["Values"])] = entry
        return {"Errors": []}

    def do_batch_update_partition(self, request: dict[str, Any]) -> Any:
        for entry in request["Entries"]:
            values = tuple(entry["PartitionValueList"])
            self.partitions[request["TableName"]][values] = entry["PartitionInput"]
        return {"Errors": []}

    def do_batch_delete_partition(self, request: dict[str, Any]) -> Any:
        assert len(request["PartitionsToDelete"]) <= 25
        for entry in request["PartitionsToDelete"]:
            del self.partitions[request["TableName"]][tuple(entry["Values"])]
        return {"Errors": []}


def _page(key: str, items: list[Any], request: dict[str, Any]) -> dict[str, Any]:
    start = int(request.get("NextToken", 0))
    answer: dict[str, Any] = {key: items[start : start + 2]}
    if start + 2 < len(items):
        answer["NextToken"] = str(start + 2)
    return answer


HEADER = "id,name,price\n"


@dataclass
class Bench:
    """S3, the catalog, and the memory of a crawler named ``c``."""

    s3: Any = field(default_factory=FakeS3)
    glue: Any = field(default_factory=FakeGlue)
    memory: Memory = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def day(self, day: int, text: str = "1,a,2.5\n2,b,3.5\n", header: str = HEADER) -> str:
        """Add a file for a day of January 2026; returns its key."""
        key = f"products/2026/01/{day:02}/products.csv"
        self.s3.objects[key] = (header + text).encode()
        return key

    def crawl(self, *, stopped: bool = False, **definition: Any) -> Changes:
        """Crawl s3://raw/products/ into database ``db``."""
        target = definition.pop("target", {})
        settings = CrawlerSettings.from_definition(
            {
                "Name": "c",
                "DatabaseName": "db",
                "Targets": {"S3Targets": [{"Path": "s3://raw/products/", **target}]},
                **definition,
            }
        )
        crawl = Crawl(
            settings=settings,
            reader=S3Reader(self.s3, "arn:aws:sts::2:assumed-role/glue/AWS-Crawler"),
            glue=self.glue,
            log=self.log.append,
            stopped=lambda: stopped,
            memory=dict(self.memory),
        )
        crawl.run()
        self.memory = crawl.memory
        return crawl.changes

    def values(self, table: str = "products") -> list[tuple[str, ...]]:
        return sorted(self.glue.partitions[table])

    def columns(self, table: str = "products") -> dict[str, str]:
        described = self.glue.tables[table]["StorageDescriptor"]["Columns"]
        return {column["Name"]: column["Type"] for column in described}


@pytest.fixture
def bench() -> Bench:
    return Bench()
