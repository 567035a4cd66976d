"""A Glue request is authorized on all the resources that AWS checks."""

from __future__ import annotations

from typing import Any

import pytest

from xacct_sandbox.emulator.glue_arns import glue_resource_arns

PREFIX = "arn:aws:glue:us-east-1:222222222222"
CATALOG = f"{PREFIX}:catalog"
DATABASE = f"{PREFIX}:database/d"
TABLE = f"{PREFIX}:table/d/t"


@pytest.mark.parametrize(
    ("operation", "request_", "arns"),
    [
        ("GetTable", {"DatabaseName": "d", "Name": "t"}, [CATALOG, DATABASE, TABLE]),
        ("GetPartitions", {"DatabaseName": "d", "TableName": "t"}, [CATALOG, DATABASE, TABLE]),
        (
            "CreateTable",
            {"DatabaseName": "d", "TableInput": {"Name": "t"}},
            [CATALOG, DATABASE, TABLE],
        ),
        ("GetTables", {"DatabaseName": "d"}, [CATALOG, DATABASE, f"{PREFIX}:table/d/*"]),
        ("GetDatabase", {"Name": "d"}, [CATALOG, DATABASE]),
        ("CreateDatabase", {"DatabaseInput": {"Name": "d"}}, [CATALOG, DATABASE]),
        ("GetDatabases", {}, [CATALOG]),
        ("StartCrawler", {"Name": "c"}, [f"{PREFIX}:crawler/c"]),
        ("ListCrawls", {"CrawlerName": "c"}, [f"{PREFIX}:crawler/c"]),
        ("StartJobRun", {"JobName": "j"}, [f"{PREFIX}:job/j"]),
        ("CreateJob", {"Name": "j"}, [f"{PREFIX}:job/j"]),
        ("GetConnection", {"Name": "x"}, [CATALOG, f"{PREFIX}:connection/x"]),
        ("ListJobs", {}, ["*"]),
    ],
)
def test_a_request_is_authorized_on_these_arns(
    operation: str, request_: dict[str, Any], arns: list[str]
) -> None:
    assert glue_resource_arns(operation, request_, "us-east-1", "222222222222") == arns


def test_a_request_for_another_catalog_has_the_arns_of_that_account() -> None:
    request = {"CatalogId": "111111111111", "DatabaseName": "d", "Name": "t"}
    arns = glue_resource_arns("GetTable", request, "us-east-1", "222222222222")
    assert all(":111111111111:" in arn for arn in arns)
