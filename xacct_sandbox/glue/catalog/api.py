"""The Data Catalog operations that the emulator lacks or gets wrong (Glue API reference).

GetPartitions supports Expression, Segment and paging. Partition values are checked against the
table's keys. GetTables supports Expression and paging. Tables and partitions stay in the
emulator's own state.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.glue.catalog.expressions import InvalidExpression, compile_expression
from xacct_sandbox.glue.responses import (
    Request,
    Response,
    invalid_input,
    not_found,
    page_response,
)
from xacct_sandbox.service_errors import ServiceError

PARTITIONS_PAGE = 1000
TABLES_PAGE = 100
MAX_CREATE, MAX_DELETE, MAX_UPDATE, MAX_GET = 100, 25, 100, 1000

Table = dict[str, Any]
Partition = dict[str, Any]


def install() -> None:
    """Replace the emulator's operations by these."""
    emulator.add_glue_operations(
        {
            "GetTables": get_tables,
            "GetPartition": get_partition,
            "GetPartitions": get_partitions,
            "BatchGetPartition": batch_get_partition,
            "CreatePartition": create_partition,
            "BatchCreatePartition": batch_create_partition,
            "UpdatePartition": update_partition,
            "BatchUpdatePartition": batch_update_partition,
            "DeletePartition": delete_partition,
            "BatchDeletePartition": batch_delete_partition,
        }
    )


# -- tables ----------------------------------------------------------------------------------


def get_tables(request: Request) -> Response:
    """GetTables: Expression is a regular expression over the name."""
    _check_catalog(request)
    _refuse(request, "TransactionId", "QueryAsOfTime", "AttributesToGet")
    emulator.glue("GetDatabase", {"Name": request["DatabaseName"]})
    tables = emulator.emulated_glue("GetTables", {"DatabaseName": request["DatabaseName"]})[
        "TableList"
    ]
    if request.get("Expression"):
        try:
            pattern = re.compile(request["Expression"])
        except re.error as problem:
            raise invalid_input(
                f"Expression {request['Expression']!r} is no regular expression: {problem}"
            ) from problem
        tables = [table for table in tables if pattern.fullmatch(table["Name"])]
    tables = sorted(tables, key=lambda table: table["Name"])
    return page_response("TableList", tables, request, limit=TABLES_PAGE)


# -- reading partitions ----------------------------------------------------------------------


def get_partition(request: Request) -> Response:
    """GetPartition."""
    table = _table(request)
    values = request.get("PartitionValues") or []
    for partition in _partitions(table):
        if partition["Values"] == values:
            return {"Partition": partition}
    raise _no_partition(table, values)


def get_partitions(request: Request) -> Response:
    """GetPartitions with Expression, Segment, ExcludeColumnSchema and paging."""
    _refuse(request, "TransactionId", "QueryAsOfTime")
    table = _table(request)
    keys = [(key["Name"], key.get("Type") or "string") for key in table["PartitionKeys"] or []]
    try:
        matches = compile_expression(request.get("Expression") or "", keys)
    except InvalidExpression as problem:
        raise invalid_input(f"Unsupported expression: {problem}") from None
    found = [partition for partition in _partitions(table) if matches(partition["Values"])]
    segment = request.get("Segment")
    if segment:
        number, total = segment["SegmentNumber"], segment["TotalSegments"]
        if not 0 <= number < total <= 10:
            raise invalid_input(
                f"Segment {number} of {total}: there are 1 to 10 segments, counted from 0"
            )
        found = [p for p in found if _segment_of(p["Values"], total) == number]
    found.sort(key=lambda partition: partition["Values"])
    return page_response(
        "Partitions",
        found,
        request,
        limit=PARTITIONS_PAGE,
        render=_without_columns if request.get("ExcludeColumnSchema") else dict,
    )


def batch_get_partition(request: Request) -> Response:
    """BatchGetPartition; values without a partition are returned in UnprocessedKeys."""
    table = _table(request)
    requested = _batch(request, "PartitionsToGet", MAX_GET)
    by_values = {tuple(partition["Values"]): partition for partition in _partitions(table)}
    found = [by_values.get(tuple(entry["Values"])) for entry in requested]
    return {
        "Partitions": [partition for partition in found if partition],
        "UnprocessedKeys": [
            entry for entry, partition in zip(requested, found, strict=True) if not partition
        ],
    }


# -- writing partitions ----------------------------------------------------------------------


def create_partition(request: Request) -> Response:
    """CreatePartition."""
    table = _table(request)
    _check_values(table, (request.get("PartitionInput") or {}).get("Values"))
    return emulator.emulated_glue("CreatePartition", request)


def batch_create_partition(request: Request) -> Response:
    """BatchCreatePartition, up to 100."""
    table = _table(request)
    for entry in _batch(request, "PartitionInputList", MAX_CREATE):
        _check_values(table, entry.get("Values"))
    return emulator.emulated_glue("BatchCreatePartition", request)


def update_partition(request: Request) -> Response:
    """UpdatePartition; other values in PartitionInput rename the partition."""
    table = _table(request)
    before = request.get("PartitionValueList") or []
    after = request["PartitionInput"].get("Values") or before
    updated = {**request["PartitionInput"], "Values": after}
    _check_values(table, after)
    _require_partition(table, before)
    table_name = _table_name(request)
    if after != before:
        emulator.emulated_glue("CreatePartition", {**table_name, "PartitionInput": updated})
        emulator.emulated_glue("DeletePartition", {**table_name, "PartitionValues": before})
        return {}
    entry = {"PartitionValueList": before, "PartitionInput": updated}
    emulator.emulated_glue("BatchUpdatePartition", {**table_name, "Entries": [entry]})
    return {}


def batch_update_partition(request: Request) -> Response:
    """BatchUpdatePartition, up to 100."""
    table = _table(request)
    for entry in _batch(request, "Entries", MAX_UPDATE):
        _check_values(table, entry["PartitionInput"].get("Values") or entry["PartitionValueList"])
        entry["PartitionInput"].setdefault("Values", entry["PartitionValueList"])
    return emulator.emulated_glue("BatchUpdatePartition", request)


def delete_partition(request: Request) -> Response:
    """DeletePartition."""
    table = _table(request)
    _require_partition(table, request.get("PartitionValues") or [])
    return emulator.emulated_glue("DeletePartition", request)


def batch_delete_partition(request: Request) -> Response:
    """BatchDeletePartition, up to 25; Errors names the partitions that do not exist."""
    table = _table(request)
    to_delete = _batch(request, "PartitionsToDelete", MAX_DELETE)
    present = {tuple(partition["Values"]) for partition in _partitions(table)}
    errors = []
    for entry in to_delete:
        values = entry["Values"]
        if tuple(values) in present:
            emulator.emulated_glue(
                "DeletePartition", {**_table_name(request), "PartitionValues": values}
            )
        else:
            errors.append(
                {
                    "PartitionValues": values,
                    "ErrorDetail": {
                        "ErrorCode": "EntityNotFoundException",
                        "ErrorMessage": f"Cannot find partition {values}.",
                    },
                }
            )
    return {"Errors": errors}


# -- helpers ---------------------------------------------------------------------------------


def _table_name(request: Request) -> Request:
    return {"DatabaseName": request["DatabaseName"], "TableName": request["TableName"]}


def _table(request: Request) -> Table:
    """The table of a partition request; EntityNotFoundException if there is none."""
    _check_catalog(request)
    table: Table = emulator.glue(
        "GetTable", {"DatabaseName": request["DatabaseName"], "Name": request["TableName"]}
    )["Table"]
    return table


def _partitions(table: Table) -> list[Partition]:
    """Every partition of the table, as the emulator stores them."""
    partitions: list[Partition] = emulator.emulated_glue(
        "GetPartitions", {"DatabaseName": table["DatabaseName"], "TableName": table["Name"]}
    )["Partitions"]
    return partitions


def _require_partition(table: Table, values: list[str]) -> None:
    if values not in [partition["Values"] for partition in _partitions(table)]:
        raise _no_partition(table, values)


def _check_values(table: Table, values: list[str] | None) -> None:
    keys = [key["Name"] for key in table["PartitionKeys"] or []]
    if len(values or []) != len(keys):
        raise invalid_input(
            f"The number of partition keys do not match the number of partition values: "
            f"table {table['Name']} has keys {keys}, the values are {values}"
        )


def _batch(request: Request, field: str, limit: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = request.get(field) or []
    if len(items) > limit:
        raise invalid_input(
            f"1 validation error detected: {field} has {len(items)} members, the limit is {limit}"
        )
    return items


def _check_catalog(request: Request) -> None:
    catalog = request.get("CatalogId")
    if catalog and catalog != emulator.account_id():
        raise invalid_input(
            f"CatalogId {catalog} is another account's catalog; in the sandbox an account can "
            "use its own catalog only"
        )


def _refuse(request: Request, *options: str) -> None:
    for option in options:
        if request.get(option):
            raise invalid_input(f"{option} is not supported by the sandbox; leave it out")


def _segment_of(values: list[str], total: int) -> int:
    return zlib.crc32("\x00".join(values).encode()) % total


def _without_columns(partition: Partition) -> Partition:
    descriptor = {
        key: value
        for key, value in (partition.get("StorageDescriptor") or {}).items()
        if key != "Columns"
    }
    return {**partition, "StorageDescriptor": descriptor}


def _no_partition(table: Table, values: list[str]) -> ServiceError:
    return not_found(
        f"Cannot find partition {values} of table {table['DatabaseName']}.{table['Name']}."
    )
