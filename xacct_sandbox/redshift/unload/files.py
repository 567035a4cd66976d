"""The files of an UNLOAD: their names, their encodings, and the manifest."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from xacct_sandbox.redshift.roles import RoleSession
from xacct_sandbox.redshift.sql.errors import sandbox_lacks
from xacct_sandbox.redshift.sql.option_lists import CSV, JSON, PARQUET
from xacct_sandbox.redshift.unload.options import UnloadStatement
from xacct_sandbox.redshift.unload.s3_writing import ObjectWriter

GZIP_LEVEL = 1  # takes 0.6 of the time of level 4; the files are a sixth larger
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class ResultColumn:
    """A column of the query's result.

    Attributes:
        oid: PostgreSQL's OID of the type.
        typmod: PostgreSQL's type modifier.
        type_name: The type as PostgreSQL formats it, without its length.
    """

    name: str
    oid: int
    typmod: int
    type_name: str

    @property
    def precision(self) -> int:
        return (self.typmod - 4) >> 16 if self.typmod > 0 else 38

    @property
    def scale(self) -> int:
        return (self.typmod - 4) & 0x7FF if self.typmod > 0 else 10

    def manifest_type(self) -> dict[str, object]:
        """The type in a verbose manifest."""
        name = self.type_name
        if name in ("character varying", "text", "name"):
            size = self.typmod - 4 if self.typmod > 0 and name != "text" else 65535
            return {"base": "character varying", "max_length": size}
        if name == "character":
            return {"base": "character", "max_length": max(self.typmod - 4, 1)}
        if name == "numeric":
            return {"base": "numeric", "precision": self.precision, "scale": self.scale}
        if name == "jsonb":
            return {"base": "super"}
        return {"base": name}


@dataclass(frozen=True)
class WrittenFile:
    url: str
    size: int
    records: int


def manifest(
    statement: UnloadStatement, columns: list[ResultColumn], files: list[WrittenFile]
) -> bytes:
    """The manifest. VERBOSE adds counts, schema and author."""
    if not statement.verbose:
        entries: list[dict[str, Any]] = [
            {"url": file.url, "meta": {"content_length": file.size}} for file in files
        ]
        return json.dumps({"entries": entries}, indent=2).encode()
    document = {
        "entries": [
            {
                "url": file.url,
                "meta": {"content_length": file.size, "record_count": file.records},
            }
            for file in files
        ],
        "schema": {
            "elements": [
                {"name": column.name, "type": column.manifest_type()} for column in columns
            ]
        },
        "meta": {
            "content_length": sum(file.size for file in files),
            "record_count": sum(file.records for file in files),
        },
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def file_key(statement: UnloadStatement, partition: str, slice_number: int, part: int) -> str:
    """The key of one file."""
    prefix = statement.target.key
    if partition:
        prefix = f"{prefix.rstrip('/')}/{partition}" if prefix else partition
    number = f"{slice_number:04d}_part_{part:02d}" if statement.parallel else f"{part:03d}"
    return prefix + number + _extension(statement)


def _extension(statement: UnloadStatement) -> str:
    if statement.extension is not None:
        return f".{statement.extension}"
    if statement.format == PARQUET:
        return ".parquet"
    suffix = {"gzip": ".gz", "zstd": ".zst"}.get(statement.compression or "", "")
    return (".json" if statement.format == JSON else "") + suffix


def partition_folder(names: tuple[str, ...], values: list[str | None]) -> str:
    """The folder of a partition in the style of Hive: ``a=1/b=2/``."""
    return "".join(
        f"{name}={HIVE_NULL if value is None else quote(value, safe=' +,-.:@_()')}/"
        for name, value in zip(names, values, strict=True)
    )


def header_row(statement: UnloadStatement, columns: list[ResultColumn]) -> bytes:
    names = [column.name for column in columns]
    if statement.format != CSV:
        if statement.add_quotes:
            names = [f'"{name}"' for name in names]
        return (statement.delimiter.join(names) + "\n").encode()
    text = io.StringIO()
    csv.writer(text, delimiter=statement.delimiter, lineterminator="\n").writerow(names)
    return text.getvalue().encode()


# -- encoders: whole rows in, bytes of the file out -------------------------------------------


class Encoder(Protocol):
    """Encodes the rows of one file. Blocks: use it in a thread."""

    def rows(self, parts: list[bytes]) -> None: ...

    def finish(self) -> None: ...


class PlainText:
    """Rows as they are, compressed or not."""

    def __init__(self, sink: ObjectWriter, statement: UnloadStatement, header: bytes) -> None:
        self._sink = sink
        self._compress: Callable[[bytes], bytes] = bytes
        self._end: Callable[[], bytes] = bytes
        if statement.compression == "gzip":
            compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
            self._compress, self._end = compressor.compress, compressor.flush
        self._zstd: Any = None
        if statement.compression == "zstd":
            import pyarrow as pa

            self._zstd = pa.CompressedOutputStream(pa.PythonFile(_Unclosed(sink), mode="w"), "zstd")
        if header:
            self.rows([header])

    def rows(self, parts: list[bytes]) -> None:
        for data in parts:
            if self._zstd is not None:
                self._zstd.write(data)
            elif compressed := self._compress(data):
                self._sink.write(compressed)

    def finish(self) -> None:
        if self._zstd is not None:
            self._zstd.close()
        else:
            rest = self._end()
            if rest:
                self._sink.write(rest)


class Parquet:
    """PostgreSQL's CSV, parsed by Arrow into typed columns and written in row groups."""

    def __init__(
        self, sink: ObjectWriter, statement: UnloadStatement, columns: list[ResultColumn]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = parquet_schema(columns)
        self._group_bytes = statement.row_group_bytes
        self._pending: list[Any] = []
        self._pending_bytes = 0
        self._writer = pq.ParquetWriter(
            pa.PythonFile(_Unclosed(sink), mode="w"), self._schema, compression="snappy"
        )

    def rows(self, parts: list[bytes]) -> None:
        table = parse_rows(b"".join(parts), self._schema)
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        if self._pending_bytes >= self._group_bytes:
            self._write_group()

    def finish(self) -> None:
        if self._pending:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        table = pa.concat_tables(self._pending)
        self._pending, self._pending_bytes = [], 0
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))


class _Unclosed:
    """A sink that Arrow may close. The object stays open; the slice closes it."""

    closed = False

    def __init__(self, sink: ObjectWriter) -> None:
        self._sink = sink

    def write(self, data: Any) -> int:
        return self._sink.write(bytes(data))

    def flush(self) -> None:
        self._sink.flush()

    def tell(self) -> int:
        return self._sink.tell()

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def parquet_schema(columns: list[ResultColumn]) -> Any:
    """The Arrow types of the columns.

    Raises:
        RedshiftError: A type is not supported.
    """
    import pyarrow as pa

    types: dict[str, Callable[[], Any]] = {
        "smallint": pa.int16,
        "integer": pa.int32,
        "bigint": pa.int64,
        "oid": pa.int64,
        "real": pa.float32,
        "double precision": pa.float64,
        "boolean": pa.bool_,
        "date": pa.date32,
        "timestamp without time zone": lambda: pa.timestamp("us"),
        "timestamp with time zone": lambda: pa.timestamp("us"),  # in UTC, without the zone
        "time without time zone": lambda: pa.time64("us"),
        "character varying": pa.string,
        "character": pa.string,
        "text": pa.string,
        "name": pa.string,
        "jsonb": pa.string,
    }
    fields = []
    for column in columns:
        if column.type_name == "numeric":
            fields.append(pa.field(column.name, pa.decimal128(column.precision, column.scale)))
        elif column.type_name in types:
            fields.append(pa.field(column.name, types[column.type_name]()))
        else:
            raise sandbox_lacks(
                f"UNLOAD of type {column.type_name} (column {column.name}) to Parquet",
                "Cast the column to VARCHAR.",
            )
    return pa.schema(fields)


def parse_rows(data: bytes, schema: Any) -> Any:
    """PostgreSQL's CSV as a table: NULL is an empty field, an empty string is quoted."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    numbered = [str(number) for number in range(len(schema))]  # result names may repeat
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(
            column_names=numbered, use_threads=False, block_size=len(data) + 1
        ),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types={n: field.type for n, field in zip(numbered, schema, strict=True)},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
            timestamp_parsers=[arrow_csv.ISO8601],
            check_utf8=False,
        ),
    )
    return pa.Table.from_arrays(table.columns, schema=schema)


class Slice:
    """The files of one slice. A new file begins when one would exceed MAXFILESIZE."""

    def __init__(
        self,
        statement: UnloadStatement,
        session: RoleSession,
        columns: list[ResultColumn],
        number: int,
        partition: str,
    ) -> None:
        self._statement = statement
        self._session = session
        self._columns = columns
        self._number = number
        self._partition = partition
        self._header = header_row(statement, columns) if statement.header else b""
        self._part = 0
        self._sink: ObjectWriter | None = None
        self._encoder: Encoder | None = None
        self._records = 0
        self.files: list[WrittenFile] = []

    def write(self, parts: list[bytes], records: int) -> None:
        """Add whole rows."""
        size = sum(len(part) for part in parts)
        if self._sink is not None and self._sink.size + size > self._statement.max_file_bytes:
            self._end_file()
        if self._encoder is None:
            self._open_file()
        assert self._encoder is not None
        self._encoder.rows(parts)
        self._records += records

    def close(self) -> None:
        if self._encoder is not None:
            self._end_file()

    def abort(self) -> None:
        if self._sink is not None:
            self._sink.abort()

    def _open_file(self) -> None:
        statement = self._statement
        key = file_key(statement, self._partition, self._number, self._part)
        self._part += 1
        self._sink = ObjectWriter(self._session, statement.target.bucket, key, statement.encryption)
        self._encoder = (
            Parquet(self._sink, statement, self._columns)
            if statement.format == PARQUET
            else PlainText(self._sink, statement, self._header)
        )
        self._records = 1 if self._header else 0  # Redshift counts the header

    def _end_file(self) -> None:
        assert self._encoder is not None
        assert self._sink is not None
        self._encoder.finish()
        self._sink.close()
        self.files.append(WrittenFile(self._sink.url, self._sink.size, self._records))
        self._encoder = self._sink = None
