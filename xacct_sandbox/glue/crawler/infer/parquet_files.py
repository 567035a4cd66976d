"""The built-in Parquet classifier: columns from the schema at the end of the file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.glue.crawler.infer.schema import Unclassified
from xacct_sandbox.glue.crawler.infer.types import Array, HiveType, Map, Struct

ReadRange = Callable[[int, int], bytes]


@dataclass(frozen=True)
class ParquetSchema:
    """What the footer of a Parquet file says."""

    columns: dict[str, HiveType]
    rows: int
    record_bytes: int
    """Bytes of all row groups, uncompressed."""


def infer_parquet(size: int, read_range: ReadRange) -> ParquetSchema:
    """Columns of a Parquet object; only its footer is read.

    Args:
        size: bytes of the object.
        read_range: (start, length) -> bytes.

    Raises:
        Unclassified: the footer cannot be read.
    """
    # Imported here: pyarrow would cost the daemon 40 MB, and most crawls are of CSV.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.PythonFile(_RangeFile(size, read_range), mode="r"))
        metadata = file.metadata
        schema = file.schema_arrow
    except pa.ArrowException as problem:
        raise Unclassified(f"its Parquet footer cannot be read: {problem}") from problem
    return ParquetSchema(
        columns={field.name.lower(): arrow_type(field.type) for field in schema},
        rows=metadata.num_rows,
        record_bytes=sum(
            metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)
        ),
    )


def arrow_type(kind: Any) -> HiveType:
    """The Hive type of an Arrow type."""
    import pyarrow as pa

    types = pa.types
    if types.is_struct(kind):
        return Struct(tuple((field.name, arrow_type(field.type)) for field in kind))
    if types.is_list(kind) or types.is_large_list(kind):
        return Array(arrow_type(kind.value_type))
    if types.is_map(kind):
        return Map(arrow_type(kind.key_type), arrow_type(kind.item_type))
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_timestamp(kind):
        return "timestamp"
    if types.is_date(kind):
        return "date"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_int8(kind):
        return "tinyint"
    if types.is_int16(kind) or types.is_uint8(kind):
        return "smallint"
    if types.is_int32(kind) or types.is_uint16(kind):
        return "int"
    if types.is_integer(kind):
        return "bigint"
    if types.is_float32(kind) or types.is_float16(kind):
        return "float"
    if types.is_float64(kind):
        return "double"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "binary"
    return "string"


class _RangeFile(io.RawIOBase):
    """A seekable file that reads ranges of an object, for pyarrow."""

    def __init__(self, size: int, read_range: ReadRange) -> None:
        super().__init__()
        self._size = size
        self._read_range = read_range
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, length: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        count = left if length is None or length < 0 else min(length, left)
        if count == 0:
            return b""
        data = self._read_range(self._position, count)
        self._position += len(data)
        return data
