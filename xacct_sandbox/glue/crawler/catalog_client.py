"""The Data Catalog database of a crawler, under the credentials of the crawler's role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

CatalogTable = dict[str, Any]
"""A table as GetTables returns it."""

CatalogPartition = dict[str, Any]
"""A partition as GetPartitions returns it."""


class CatalogRefused(Exception):
    """The catalog refused a call of the crawler; the text names the operation and the reason."""


@dataclass(frozen=True)
class CatalogClient:
    """Calls the Glue catalog for one database.

    Attributes:
        glue: a boto3 client of Glue.
        database: whose tables the crawler writes.
    """

    glue: Any
    database: str

    def require_database(self) -> None:
        """Check that the database exists and may be read.

        Raises:
            CatalogRefused: it does not exist, or the role may not read it.
        """
        self._request("get_database", Name=self.database)

    def tables(self) -> dict[str, CatalogTable]:
        """All tables of the database, by name."""
        return {table["Name"]: table for table in self._pages("get_tables", "TableList")}

    def partitions(self, table: str) -> dict[tuple[str, ...], CatalogPartition]:
        """All partitions of a table, by their values."""
        entries = self._pages("get_partitions", "Partitions", TableName=table)
        return {tuple(entry["Values"]): entry for entry in entries}

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call an operation of the boto3 client on the database.

        Raises:
            CatalogRefused: naming the operation and the error.
        """
        return self._request(operation, DatabaseName=self.database, **request)

    def _pages(self, operation: str, field: str, **request: Any) -> Iterator[dict[str, Any]]:
        while True:
            response = self.call(operation, **request)
            yield from response[field]
            if not response.get("NextToken"):
                return
            request["NextToken"] = response["NextToken"]

    def _request(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            response: dict[str, Any] = getattr(self.glue, operation)(**request)
        except ClientError as problem:
            error = problem.response["Error"]
            raise CatalogRefused(
                f"{problem.operation_name} failed for the crawler's role: {error['Code']}: "
                f"{error.get('Message', '')}"
            ) from problem
        return response
