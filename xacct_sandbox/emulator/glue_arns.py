"""The resource ARNs on which IAM authorizes a Glue request.

A catalog request must be allowed on the catalog, on the database and on the resource itself (AWS
Glue developer guide, "Specifying AWS Glue resource ARNs"). Crawlers, jobs and connections have
ARNs of their own; connections also need the catalog.
"""

from __future__ import annotations

from typing import Any

_JOB_FIELDS = {
    "CreateJob": "Name",
    "UpdateJob": "JobName",
    "DeleteJob": "JobName",
    "GetJob": "JobName",
    "StartJobRun": "JobName",
    "BatchStopJobRun": "JobName",
    "GetJobRun": "JobName",
    "GetJobRuns": "JobName",
    "GetJobBookmark": "JobName",
    "ResetJobBookmark": "JobName",
}
_CRAWLER_FIELDS = {
    "CreateCrawler": "Name",
    "UpdateCrawler": "Name",
    "DeleteCrawler": "Name",
    "GetCrawler": "Name",
    "StartCrawler": "Name",
    "StopCrawler": "Name",
    "ListCrawls": "CrawlerName",
    "StartCrawlerSchedule": "CrawlerName",
    "StopCrawlerSchedule": "CrawlerName",
    "UpdateCrawlerSchedule": "CrawlerName",
}
_CONNECTION_FIELDS = {
    "GetConnection": "Name",
    "DeleteConnection": "ConnectionName",
    "UpdateConnection": "Name",
}
_DATABASE_FIELDS = {
    "GetDatabase": "Name",
    "DeleteDatabase": "Name",
    "UpdateDatabase": "Name",
    "GetTables": "DatabaseName",
}
_LISTS = {"GetCrawlerMetrics", "GetCrawlers", "GetJobs", "ListCrawlers", "ListJobs"}
_BATCHES = {
    "BatchGetCrawlers": ("crawler", "CrawlerNames"),
    "BatchGetJobs": ("job", "JobNames"),
}
_TABLE_OPERATIONS = {
    "BatchCreatePartition",
    "BatchDeletePartition",
    "BatchDeleteTable",
    "BatchGetPartition",
    "BatchUpdatePartition",
    "CreatePartition",
    "CreatePartitionIndex",
    "CreateTable",
    "DeleteColumnStatisticsForPartition",
    "DeleteColumnStatisticsForTable",
    "DeletePartition",
    "DeleteTable",
    "GetColumnStatisticsForPartition",
    "GetColumnStatisticsForTable",
    "GetPartition",
    "GetPartitionIndexes",
    "GetPartitions",
    "GetTable",
    "UpdateColumnStatisticsForPartition",
    "UpdateColumnStatisticsForTable",
    "UpdatePartition",
    "UpdateTable",
}


def glue_resource_arns(
    operation: str, request: dict[str, Any], region: str, account: str
) -> list[str]:
    """All ARNs on which the caller needs the action, the most general first.

    Args:
        operation: e.g. ``GetTable``.
        request: its body.
        region: of the request.
        account: of the caller; a ``CatalogId`` in the request takes precedence.

    Returns:
        ``["*"]`` for operations without resource-level permissions (lists of jobs and crawlers);
        nothing for an operation that the sandbox does not know.
    """
    prefix = f"arn:aws:glue:{region}:{account}"
    catalog_prefix = f"arn:aws:glue:{region}:{request.get('CatalogId') or account}"
    catalog = f"{catalog_prefix}:catalog"

    if operation in _JOB_FIELDS:
        return [f"{prefix}:job/{request.get(_JOB_FIELDS[operation], '')}"]
    if operation in _CRAWLER_FIELDS:
        return [f"{prefix}:crawler/{request.get(_CRAWLER_FIELDS[operation], '')}"]
    if operation in _CONNECTION_FIELDS:
        name = request.get(_CONNECTION_FIELDS[operation], "")
        return [catalog, f"{catalog_prefix}:connection/{name}"]
    if operation == "CreateConnection":
        name = (request.get("ConnectionInput") or {}).get("Name", "")
        return [catalog, f"{catalog_prefix}:connection/{name}"]
    if operation in _LISTS:
        return ["*"]
    if operation in _BATCHES:
        kind, field = _BATCHES[operation]
        return [f"{prefix}:{kind}/{name}" for name in request.get(field) or [""]]
    if operation in ("GetConnections", "GetDatabases"):
        return [catalog]
    if operation == "BatchDeleteConnection":
        names = request.get("ConnectionNameList") or []
        return [catalog, *(f"{catalog_prefix}:connection/{name}" for name in names)]
    if operation in ("TagResource", "UntagResource", "GetTags"):
        return [str(request.get("ResourceArn") or "*")]
    if operation == "CreateDatabase":
        name = (request.get("DatabaseInput") or {}).get("Name", "")
        return [catalog, f"{catalog_prefix}:database/{name}"]
    return _catalog_arns(operation, request, catalog_prefix)


def _catalog_arns(operation: str, request: dict[str, Any], catalog_prefix: str) -> list[str]:
    """The ARNs of an operation on a database or its tables."""
    database = request.get(_DATABASE_FIELDS.get(operation, "DatabaseName"), "")
    if operation not in _DATABASE_FIELDS and operation not in _TABLE_OPERATIONS:
        return []
    if operation in ("GetTables", "DeleteDatabase"):
        tables = ["*"]
    else:
        tables = [] if operation in _DATABASE_FIELDS else _table_names(request)
    return [
        f"{catalog_prefix}:catalog",
        f"{catalog_prefix}:database/{database}",
        *(f"{catalog_prefix}:table/{database}/{name}" for name in tables),
    ]


def _table_names(request: dict[str, Any]) -> list[str]:
    if request.get("TableName"):
        return [str(request["TableName"])]
    if request.get("TablesToDelete"):
        return [str(name) for name in request["TablesToDelete"]]
    table_input = request.get("TableInput")
    if isinstance(table_input, dict) and table_input.get("Name"):
        return [str(table_input["Name"])]
    if request.get("Name"):
        return [str(request["Name"])]
    return []
