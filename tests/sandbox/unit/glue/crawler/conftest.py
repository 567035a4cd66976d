"""A crawler of S3 and a Data Catalog in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.fakes.glue import FakeGlueCatalog
from tests.support.fakes.s3 import FakeBucket
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.classification import Memory
from xacct_sandbox.glue.crawler.crawl import Crawl
from xacct_sandbox.glue.crawler.s3_listing import S3Reader
from xacct_sandbox.glue.crawler.settings import CrawlerSettings

HEADER = "id,name,price\n"


@dataclass
class Bench:
    """S3, the catalog, and the memory of a crawler named ``c``."""

    s3: FakeBucket = field(default_factory=FakeBucket)
    glue: FakeGlueCatalog = field(default_factory=FakeGlueCatalog)
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
            reader=S3Reader(self.s3.client, "arn:aws:sts::2:assumed-role/glue/AWS-Crawler"),
            glue=self.glue.client,
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
