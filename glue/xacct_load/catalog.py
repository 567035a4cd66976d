"""The Glue connection and the catalog partitions of the requested days."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xacct_assets.contract.load_request import LoadRequest
from xacct_load.errors import LoadError
from xacct_load.s3 import is_s3_uri

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient

#: BatchGetPartition takes this many partitions in one call (Glue API reference).
BATCH = 1000
#: Days that an error message lists.
LISTED = 10

Values = tuple[str, ...]


def check_connection(glue: GlueClient, request: LoadRequest) -> None:
    """Check that the Glue connection leads to the requested database.

    With a login by IAM, the request has the address, and a connection only the job's network.

    Raises:
        LoadError: it leads to another one, or cannot be read.
    """
    if request.warehouse_url:
        return
    try:
        answer = glue.get_connection(Name=request.connection, HidePassword=True)
    except ClientError as problem:
        raise LoadError(f"cannot read Glue connection {request.connection}: {problem}") from problem
    url = answer["Connection"]["ConnectionProperties"].get("JDBC_CONNECTION_URL", "")
    database = url.partition("?")[0].rpartition("/")[2]
    if database != request.database:
        raise LoadError(
            f"Glue connection {request.connection} leads to database {database!r} ({url}), but "
            f"{request.database!r} is to be loaded: correct the connection or XACCT_DATABASE"
        )


def find_partitions(glue: GlueClient, request: LoadRequest) -> dict[str, date]:
    """The day of each partition location (``s3://…/``).

    Raises:
        LoadError: a day with rows has no partition in the catalog, or two days share a location.
    """
    table = f"{request.catalog_database}.{request.catalog_table}"
    found = _locations(glue, request, table)
    missing = [item for item in request.days if item.values not in found and item.rows != 0]
    if missing:
        listed = ", ".join(f"{item.day} (values {list(item.values)})" for item in missing[:LISTED])
        if len(missing) > LISTED:
            listed += f" and {len(missing) - LISTED} other days"
        raise LoadError(
            f"{table} has no partition for {listed}: crawl first (materialize catalog_table)"
        )
    days: dict[str, date] = {}
    for item in request.days:
        if item.values not in found:
            continue
        location = found[item.values]
        if not is_s3_uri(location):
            raise LoadError(f"partition {list(item.values)} of {table} is at {location}, not in S3")
        if location in days:
            raise LoadError(
                f"{table}: {days[location]} and {item.day} are both at {location}; "
                "remove the wrong partition and crawl again"
            )
        days[location] = item.day
    return days


def _locations(glue: GlueClient, request: LoadRequest, table: str) -> dict[Values, str]:
    """The location of each requested partition that the catalog has, with a slash at its end."""
    found: dict[Values, str] = {}
    wanted = [item.values for item in request.days]
    # UnprocessedKeys names both partitions that do not exist and those that Glue did not look up:
    # a second round tells them apart.
    for _ in range(2):
        unprocessed: list[Values] = []
        for start in range(0, len(wanted), BATCH):
            try:
                answer = glue.batch_get_partition(
                    DatabaseName=request.catalog_database,
                    TableName=request.catalog_table,
                    PartitionsToGet=[
                        {"Values": list(values)} for values in wanted[start : start + BATCH]
                    ],
                )
            except ClientError as problem:
                raise LoadError(f"cannot read partitions of {table}: {problem}") from problem
            for partition in answer.get("Partitions", []):
                location = partition["StorageDescriptor"]["Location"].rstrip("/") + "/"
                found[tuple(partition["Values"])] = location
            unprocessed += [tuple(entry["Values"]) for entry in answer.get("UnprocessedKeys", [])]
        wanted = unprocessed
    return found
