"""Tells what is deleted with a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import NotFound

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient

    from xacct_assets.aws.stack_reading import StackResource

BUCKET = "AWS::S3::Bucket"
NAMESPACE = "AWS::RedshiftServerless::Namespace"
_LOG_GROUP = "AWS::Logs::LogGroup"
_CRAWLER, _DATABASE, _JOB = (f"AWS::Glue::{kind}" for kind in ("Crawler", "Database", "Job"))


def describe_resources(glue: GlueClient, resources: Sequence[StackResource]) -> list[str]:
    """A line about each resource, and what is lost with it. Buckets are told of elsewhere."""
    return sorted(
        _describe(glue, resource)
        for resource in resources
        if resource.id and resource.type != BUCKET
    )


def _describe(glue: GlueClient, resource: StackResource) -> str:
    if resource.type == _CRAWLER:
        return f"crawler {resource.id}, with the history of its crawls"
    if resource.type == _JOB:
        return f"Glue job {resource.id}, with the history of its runs"
    if resource.type == _DATABASE:
        return f"catalog database {resource.id}{_with_tables(glue, resource.id)}"
    if resource.type == _LOG_GROUP:
        return f"log group {resource.id}, with its lines"
    if resource.type == NAMESPACE:
        return f"warehouse namespace {resource.id}, with all its databases"
    return f"{resource.type} {resource.id}"


def _with_tables(glue: GlueClient, database: str) -> str:
    tables = _tables(glue, database)
    if not tables:
        return ", which has no tables"
    return f" with its table{'' if len(tables) == 1 else 's'} {', '.join(tables)}"


def _tables(glue: GlueClient, database: str) -> list[str]:
    names: list[str] = []
    next_page: Any = {}
    while True:
        try:
            with aws_call("glue:GetTables", f"database {database}"):
                page = glue.get_tables(DatabaseName=database, **next_page)
        except NotFound:
            return []
        names += [table["Name"] for table in page["TableList"]]
        if not page.get("NextToken"):
            return sorted(names)
        next_page = {"NextToken": page["NextToken"]}
