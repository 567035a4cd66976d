"""COPY from Parquet and JSON: their rows as the CSV that PostgreSQL's COPY reads."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.redshift.copy.conversion import to_copy_text
from xacct_sandbox.redshift.copy.rules import Piece, Rules
from xacct_sandbox.redshift.copy.s3_reading import SourceObject
from xacct_sandbox.redshift.roles import RoleSession, s3_failure
from xacct_sandbox.redshift.sql.errors import RedshiftError

ROWS_AT_ONCE = 16_384
RANGE_BYTES = 4 << 20


class ObjectFile(io.RawIOBase):
    """An S3 object as a seekable file. It is read in ranges, the last of which is kept."""

    def __init__(self, session: RoleSession, source: SourceObject) -> None:
        super().__init__()
        self._session = session
        self._source = source
        self._position = 0
        self._range_start = 0
        self._range = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}
        self._position = base[whence] + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = self._source.size - self._position
        size = min(size, self._source.size - self._position)
        if size <= 0:
            return b""
        start = self._position - self._range_start
        if start < 0 or start + size > len(self._range):
            self._fetch(max(size, RANGE_BYTES))
            start = 0
        self._position += size
        return self._range[start : start + size]

    def _fetch(self, size: int) -> None:
        end = min(self._position + size, self._source.size) - 1
        try:
            answer = self._session.s3.get_object(
                Bucket=self._source.bucket,
                Key=self._source.key,
                Range=f"bytes={self._position}-{end}",
            )
            self._range = answer["Body"].read()
        except (ClientError, BotoCoreError) as problem:
            raise s3_failure(
                problem, "s3:GetObject", self._source.url, self._session.principal
            ) from problem
        self._range_start = self._position


def parquet_pieces(session: RoleSession, source: SourceObject, rules: Rules) -> Iterator[Piece]:
    """The rows of a Parquet file, whose columns must be those of the target, in the same order.

    Raises:
        RedshiftError: It is not a Parquet file, or has more or fewer columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.PythonFile(ObjectFile(session, source), mode="r"))
    except (pa.ArrowInvalid, OSError) as problem:
        raise RedshiftError(f"COPY: {source.url} is not a Parquet file: {problem}") from problem
    schema = file.schema_arrow
    if len(schema) != len(rules.columns):
        raise RedshiftError(
            f"Spectrum Scan Error: {source.url} has {len(schema)} columns, the target"
            f" {len(rules.columns)}",
            hint="COPY from Parquet matches columns by position; name the columns of the target.",
        )
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
        texts = [
            _texts(batch.column(number), column.type_name)
            for number, column in enumerate(rules.columns)
        ]
        data = to_copy_text(texts, rules)
        yield Piece(data, data.count(b"\n"), len(data), batch.num_rows)


def _texts(values: Any, type_name: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_dictionary(kind):
        return _texts(values.cast(kind.value_type), type_name)
    if pa.types.is_nested(kind):
        return pa.array(
            [None if v is None else json.dumps(v, default=str) for v in values.to_pylist()],
            pa.string(),
        )
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        values = pc.local_timestamp(pc.assume_timezone(values.cast(pa.timestamp(kind.unit)), "UTC"))
    if pa.types.is_timestamp(values.type) and values.type.unit == "ns":
        values = values.cast(pa.timestamp("us"), safe=False)
    return values.cast(pa.string())


def json_pieces(chunks: Iterable[bytes], source: SourceObject, rules: Rules) -> Iterator[Piece]:
    """The objects of a JSON file. Fields are found by name; others are ignored.

    Raises:
        RedshiftError: It is not valid JSON.
    """
    import pyarrow as pa

    ignore_case = rules.statement.json_auto == "auto ignorecase"
    names = [column.name for column in rules.columns]
    rows: list[list[str | None]] = []
    size = 0
    for document in _documents(chunks, source):
        if not isinstance(document, dict):
            raise RedshiftError(f"COPY: {source.url} holds JSON that is not an object")
        if ignore_case:
            document = {key.lower(): value for key, value in document.items()}
        row = [_field(document.get(name)) for name in names]
        rows.append(row)
        size += sum(len(value or "") for value in row)
        if len(rows) >= ROWS_AT_ONCE or size > 1 << 20:
            yield _json_piece(rows, rules, pa)
            rows, size = [], 0
    if rows:
        yield _json_piece(rows, rules, pa)


def _json_piece(rows: list[list[str | None]], rules: Rules, pa: Any) -> Piece:
    texts = [pa.array(list(values), pa.string()) for values in zip(*rows, strict=True)]
    data = to_copy_text(texts, rules)
    return Piece(data, data.count(b"\n"), len(data), len(rows))


def _documents(chunks: Iterable[bytes], source: SourceObject) -> Iterator[Any]:
    decoder = json.JSONDecoder(parse_float=str)  # decimals keep their digits
    text = ""
    pending = b""
    for chunk in chunks:
        pending += chunk
        try:
            text += pending.decode()
            pending = b""
        except UnicodeDecodeError as problem:
            if problem.reason != "unexpected end of data":
                raise _not_json(source, str(problem)) from problem
            text += pending[: problem.start].decode()
            pending = pending[problem.start :]
        position = 0
        while True:
            while position < len(text) and text[position].isspace():
                position += 1
            try:
                document, position = decoder.raw_decode(text, position)
            except json.JSONDecodeError:
                break
            yield document
        text = text[position:]
    if pending or text.strip():
        try:
            decoder.decode(text)
        except json.JSONDecodeError as problem:
            raise _not_json(source, str(problem)) from problem


def _not_json(source: SourceObject, reason: str) -> RedshiftError:
    return RedshiftError(f"COPY: {source.url} is not valid JSON: {reason}")


def _field(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
