"""The Data Catalog's operations that the emulator lacks or gets wrong.

GetPartitions filters by Expression, splits by Segment and pages; partitions are checked against
their table; tables page and are matched by regular expression (Glue API reference). Everything is
kept where the emulator keeps it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.glue.catalog.expressions import InvalidExpression, compile_expression
from xacct_sandbox.service_errors import ServiceError

PARTITIONS_PAGE = 1000
TABLES_PAGE = 100
MAX_CREATE, MAX_DELETE, MAX_UPDATE, MAX_GET = 100, 25, 100, 1000

Request = dict[str, Any]


def install() -> None:
    """Put these operations in the place of the emulator's."""
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


def get_tables(request: Request) -> dict[str, Any]:
    """GetTables: Expression is a regular expression over the name."""
    _own_catalog(request)
    _refuse(request, "TransactionId", "QueryAsOfTime", "AttributesToGet")
    emulator.glue("GetDatabase", {"Name": request["DatabaseName"]})
    tables = emulator.emulated_glue("GetTables", {"DatabaseName": request["DatabaseName"]})[
        "TableList"
    ]
    if request.get("Expression"):
        try:
            pattern = re.compile(request["Expression"])
        except re.error as problem:
            raise ServiceError(
                "InvalidInputException",
                f"Expression {request['Expression']!r} is no regular expression: {problem}",
            ) from problem
        tables = [table for table in tables if pattern.fullmatch(table["Name"])]
    tables = sorted(tables, key=lambda table: table["Name"])
    found, token = page(tables, request, limit=TABLES_PAGE)
    return _with_token({"TableList": found}, token)


# -- reading partitions ----------------------------------------------------------------------


def get_partition(request: Request) -> dict[str, Any]:
    """GetPartition."""
    table = _table(request)
    values = request.get("PartitionValues") or []
    for partition in _partitions(table):
        if partition["Values"] == values:
            return {"Partition": partition}
    raise _no_partition(table, values)


def get_partitions(request: Request) -> dict[str, Any]:
    """GetPartitions with Expression, Segment, ExcludeColumnSchema and paging."""
    _refuse(request, "TransactionId", "QueryAsOfTime")
    table = _table(request)
    keys = [(key["Name"], key.get("Type") or "string") for key in table["PartitionKeys"] or []]
    try:
        matches = compile_expression(request.get("Expression") or "", keys)
    except InvalidExpression as problem:
        raise ServiceError("InvalidInputException", f"Unsupported expression: {problem}") from None
    found = [partition for partition in _partitions(table) if matches(partition["Values"])]
    segment = request.get("Segment")
    if segment:
        number, total = segment["SegmentNumber"], segment["TotalSegments"]
        if not 0 <= number < total <= 10:
            raise ServiceError(
                "InvalidInputException",
                f"Segment {number} of {total}: there are 1 to 10 segments, counted from 0",
            )
        found = [p for p in found if _segment_of(p["Values"], total) == number]
    found.sort(key=lambda partition: partition["Values"])
    chosen, token = page(found, request, limit=PARTITIONS_PAGE)
    if request.get("ExcludeColumnSchema"):
        chosen = [_without_columns(partition) for partition in chosen]
    return _with_token({"Partitions": chosen}, token)


def batch_get_partition(request: Request) -> dict[str, Any]:
    """BatchGetPartition; keys without a partition come back in UnprocessedKeys."""
    table = _table(request)
    wanted = request.get("PartitionsToGet") or []
    _at_most(wanted, MAX_GET, "PartitionsToGet")
    by_values = {tuple(partition["Values"]): partition for partition in _partitions(table)}
    found = [by_values.get(tuple(entry["Values"])) for entry in wanted]
    return {
        "Partitions": [partition for partition in found if partition],
        "UnprocessedKeys": [
            entry for entry, partition in zip(wanted, found, strict=True) if not partition
        ],
    }


# -- writing partitions ----------------------------------------------------------------------


def create_partition(request: Request) -> dict[str, Any]:
    """CreatePartition."""
    table = _table(request)
    _check_values(table, (request.get("PartitionInput") or {}).get("Values"))
    return emulator.emulated_glue("CreatePartition", request)


def batch_create_partition(request: Request) -> dict[str, Any]:
    """BatchCreatePartition, up to 100."""
    table = _table(request)
    wanted = request.get("PartitionInputList") or []
    _at_most(wanted, MAX_CREATE, "PartitionInputList")
    for entry in wanted:
        _check_values(table, entry.get("Values"))
    return emulator.emulated_glue("BatchCreatePartition", request)


def update_partition(request: Request) -> dict[str, Any]:
    """UpdatePartition; other values in the input move the partition."""
    table = _table(request)
    before = request.get("PartitionValueList") or []
    wanted = request["PartitionInput"]
    after = wanted.get("Values") or before
    _check_values(table, after)
    if before not in [partition["Values"] for partition in _partitions(table)]:
        raise _no_partition(table, before)
    address = _address(request)
    if after != before:
        emulator.emulated_glue(
            "CreatePartition", {**address, "PartitionInput": {**wanted, "Values": after}}
        )
        emulator.emulated_glue("DeletePartition", {**address, "PartitionValues": before})
        return {}
    entry = {"PartitionValueList": before, "PartitionInput": {**wanted, "Values": after}}
    emulator.emulated_glue("BatchUpdatePartition", {**address, "Entries": [entry]})
    return {}


def batch_update_partition(request: Request) -> dict[str, Any]:
    """BatchUpdatePartition, up to 100."""
    table = _table(request)
    entries = request.get("Entries") or []
    _at_most(entries, MAX_UPDATE, "Entries")
    for entry in entries:
        _check_values(table, entry["PartitionInput"].get("Values") or entry["PartitionValueList"])
        entry["PartitionInput"].setdefault("Values", entry["PartitionValueList"])
    return emulator.emulated_glue("BatchUpdatePartition", request)


def delete_partition(request: Request) -> dict[str, Any]:
    """DeletePartition."""
    table = _table(request)
    values = request.get("PartitionValues") or []
    if values not in [partition["Values"] for partition in _partitions(table)]:
        raise _no_partition(table, values)
    return emulator.emulated_glue("DeletePartition", request)


def batch_delete_partition(request: Request) -> dict[str, Any]:
    """BatchDeletePartition, up to 25; a missing partition is an entry in Errors."""
    table = _table(request)
    wanted = request.get("PartitionsToDelete") or []
    _at_most(wanted, MAX_DELETE, "PartitionsToDelete")
    present = {tuple(partition["Values"]) for partition in _partitions(table)}
    errors = []
    for entry in wanted:
        values = entry["Values"]
        if tuple(values) in present:
            emulator.emulated_glue(
                "DeletePartition", {**_address(request), "PartitionValues": values}
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


def _address(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"DatabaseName": request["DatabaseName"], "TableName": request["TableName"]}


def _table(request: Mapping[str, Any]) -> dict[str, Any]:
    """The table a partition request is about; EntityNotFoundException without one."""
    _own_catalog(request)
    answer = emulator.glue(
        "GetTable", {"DatabaseName": request["DatabaseName"], "Name": request["TableName"]}
    )
    return answer["Table"]


def _partitions(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every partition of the table, as the emulator stores them."""
    return emulator.emulated_glue(
        "GetPartitions", {"DatabaseName": table["DatabaseName"], "TableName": table["Name"]}
    )["Partitions"]


def _check_values(table: Mapping[str, Any], values: list[str] | None) -> None:
    keys = [key["Name"] for key in table["PartitionKeys"] or []]
    if len(values or []) != len(keys):
        raise ServiceError(
            "InvalidInputException",
            f"The number of partition keys do not match the number of partition values: "
            f"table {table['Name']} has keys {keys}, the values are {values}",
        )


def _at_most(items: list[Any], limit: int, field: str) -> None:
    if len(items) > limit:
        raise ServiceError(
            "InvalidInputException",
            f"1 validation error detected: {field} has {len(items)} members, the limit is {limit}",
        )


def _own_catalog(request: Mapping[str, Any]) -> None:
    catalog = request.get("CatalogId")
    if catalog and catalog != emulator.account_id():
        raise ServiceError(
            "InvalidInputException",
            f"CatalogId {catalog} is another account's catalog; the sandbox serves each account "
            "its own only",
        )


def _refuse(request: Mapping[str, Any], *options: str) -> None:
    for option in options:
        if request.get(option):
            raise ServiceError(
                "InvalidInputException", f"{option} is not supported by the sandbox; leave it out"
            )


def _segment_of(values: list[str], total: int) -> int:
    return zlib.crc32("\x00".join(values).encode()) % total


def _without_columns(partition: Mapping[str, Any]) -> dict[str, Any]:
    descriptor = {
        key: value
        for key, value in (partition.get("StorageDescriptor") or {}).items()
        if key != "Columns"
    }
    return {**partition, "StorageDescriptor": descriptor}


def _no_partition(table: Mapping[str, Any], values: list[str]) -> ServiceError:
    return ServiceError(
        "EntityNotFoundException",
        f"Cannot find partition {values} of table {table['DatabaseName']}.{table['Name']}.",
    )


def _with_token(answer: dict[str, Any], token: str | None) -> dict[str, Any]:
    return {**answer, "NextToken": token} if token else answer
