"""COPY: objects of S3 into a table, on the client's own connection and in its transaction.

Threads fetch, unpack and cut the objects into whole records (``s3_reading``, ``records``); this
side feeds them to PostgreSQL's COPY as fast as it takes them. What PostgreSQL refuses becomes a
load error with file and line. With MAXERROR, every chunk is a COPY under a savepoint: a bad record
is taken out of its chunk, noted, and the chunk sent again.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xacct_sandbox.redshift import roles
from xacct_sandbox.redshift.copy import columnar, s3_reading
from xacct_sandbox.redshift.copy.options import CSV, DELIMITED, JSON, PARQUET, CopyStatement
from xacct_sandbox.redshift.copy.records import Column, FieldCountError, Form, Piece, Rules, pieces
from xacct_sandbox.redshift.copy.s3_reading import ReadAhead, SourceObject
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    DATATYPE_MISMATCH,
    BackendError,
    RedshiftError,
    byte_check,
)
from xacct_sandbox.redshift.sql.system_catalog import utc_now

if TYPE_CHECKING:
    from xacct_sandbox.redshift.server.session import Session

KEPT_PIECES = 8  # the newest ones, to show the line PostgreSQL complains about
SAVEPOINT = "sandbox_copy"
_LINE = re.compile(r"line (\d+)")
_COLUMN = re.compile(r", column (.+?)(?:: |$)")
_VALUE = re.compile(r', column .+?: "(.*)"', re.DOTALL)

# PostgreSQL's SQLSTATEs that are about a record, with Redshift's error code and words
# (documentation, "Load error reference").
_LOAD_ERRORS = {
    "22001": (1204, "String length exceeds DDL length"),
    "23502": (1213, "Missing data for not-null field"),
    "22003": (1204, "Value is out of range for the type"),
    "22007": (1206, "Invalid timestamp or date format"),
    "22008": (1206, "Invalid timestamp or date value"),
    "22021": (1220, "String contains invalid or unsupported UTF8 codepoints."),
    "22P02": (1207, "Invalid value"),
    "22P04": (1202, "Extra column(s) found"),
    "23514": (1204, "String length exceeds DDL length"),
    "22023": (1207, "Invalid value"),
}


@dataclass
class LoadError:
    """A record that cannot be loaded: a row of STL_LOAD_ERRORS."""

    file: str
    line: int
    column: str
    type_name: str
    length: str
    raw_line: str
    raw_value: str
    code: int
    reason: str


@dataclass
class _Sent:
    """Where in the stream a piece went."""

    number: int  # of the object
    first_line: int  # line feeds sent before it, over all objects
    file_line: int  # line feeds of its file before it
    piece: Piece


@dataclass
class _Progress:
    rows: int = 0
    bytes: int = 0
    lines: int = 0
    file_lines: dict[int, int] = field(default_factory=dict)
    uncounted: int = 0
    recent: deque[_Sent] = field(default_factory=lambda: deque(maxlen=KEPT_PIECES))
    errors: list[LoadError] = field(default_factory=list)

    def sent(self, number: int, piece: Piece, header: int, quote: str) -> _Sent:
        if self.lines == 0:
            self.uncounted = _uncounted_lines(piece.data, quote)
        before = self.file_lines.setdefault(number, header)
        sent = _Sent(number, self.lines, before, piece)
        self.recent.append(sent)
        self.lines += piece.lines
        self.file_lines[number] = before + piece.raw_lines
        self.bytes += piece.size
        return sent

    def begin_copy(self) -> None:
        """PostgreSQL counts the lines of each of its COPYs from one."""
        self.lines = 0
        self.recent.clear()


async def run_copy(session: Session, statement: CopyStatement, query_id: int) -> str:
    """Run a COPY; the command's tag.

    Raises:
        RedshiftError: nothing was loaded; an open transaction has to be rolled back.
    """
    backend = session.backend
    assert backend is not None
    internal = session.front.internal
    start = utc_now()
    namespace = await internal.namespace()
    chain = roles.resolve_chain(namespace, statement.roles)
    assert namespace is not None
    own_transaction = backend.status == b"I"
    if own_transaction:
        await backend.query("BEGIN")
    try:
        columns, table_id = await _target_columns(session, statement)
        role_session = await asyncio.to_thread(
            roles.assume_chain, namespace, chain, session.user, region=statement.region
        )
        lister = s3_reading.list_manifest if statement.manifest else s3_reading.list_prefix
        objects = await asyncio.to_thread(lister, role_session, statement.source)
        load = _Load(session, statement, Rules(statement, columns), objects, role_session)
        try:
            await load.run()
        except _LoadFailed as failed:
            load.progress.errors.append(failed.error)
            raise _failure(statement, failed.error) from failed
        finally:
            if load.progress.errors:
                await _record_errors(
                    session, statement, table_id, query_id, start, load.progress.errors
                )
        progress = load.progress
        await backend.query(
            f"SELECT set_config('sandbox.last_copy_count', '{progress.rows}', false),"
            f" set_config('sandbox.last_copy_id', '{query_id}', false)"
        )
        if own_transaction:
            await backend.query("COMMIT")
    except BaseException:
        if own_transaction and backend.status != b"I":
            await backend.query("ROLLBACK")
        raise
    await _record_history(session, statement, query_id, start, progress, len(objects))
    session.info(
        f"Load into table '{statement.table}' completed, {progress.rows} record(s) loaded"
        " successfully."
    )
    if progress.errors:
        session.info(
            f"Load into table '{statement.table}' completed, {len(progress.errors)} record(s)"
            " could not be loaded.  Check 'sys_load_error_detail' system table for details."
        )
    return "COPY"


class _LoadFailed(Exception):
    def __init__(self, error: LoadError) -> None:
        super().__init__(error.reason)
        self.error = error


class _Load:
    """The moving of records, once everything is known."""

    def __init__(
        self,
        session: Session,
        statement: CopyStatement,
        rules: Rules,
        objects: list[SourceObject],
        role_session: roles.RoleSession,
    ) -> None:
        assert session.backend is not None
        self._faults = session.faults
        self._loop = asyncio.get_running_loop()
        self._striking: Future[None] | None = None
        self._backend = session.backend
        self._statement = statement
        self._rules = rules
        self._objects = objects
        self._role_session = role_session
        self.progress = _Progress()

    async def run(self) -> None:
        reader = ReadAhead(self._open, self._objects)
        try:
            if self._statement.no_load:
                await self._backend.query(f"SAVEPOINT {SAVEPOINT}_all")
            if self._statement.max_errors:
                await self._chunk_by_chunk(reader)
            else:
                await self._all_at_once(reader)
            if self._statement.no_load:
                await self._backend.query(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}_all")
                self.progress.rows = 0
        finally:
            reader.close()

    def _open(self, source: SourceObject) -> Iterator[Piece]:
        """The pieces of one object (in a fetching thread)."""
        statement = self._statement
        if statement.format == PARQUET:
            return columnar.parquet_pieces(self._role_session, source, self._rules)
        chunks = s3_reading.object_chunks(self._role_session, source, statement.compression)
        if statement.format == JSON:
            return columnar.json_pieces(chunks, source, self._rules)
        assert statement.format in (CSV, DELIMITED)
        return pieces(chunks, self._rules)

    def _next(self, reader: ReadAhead[Piece]) -> tuple[int, Piece] | None:
        """The next piece and the number of its object. Blocks: call it in a thread."""
        try:
            return reader.next_item()
        except FieldCountError as problem:
            raise _LoadFailed(self._field_count(reader.current, problem)) from problem

    async def _all_at_once(self, reader: ReadAhead[Piece]) -> None:
        """A COPY of PostgreSQL for every row of pieces of one form; a bad record ends it all."""
        waiting = await asyncio.to_thread(self._next, reader)

        def give_up() -> None:
            reader.close()
            if self._striking is not None:
                self._striking.cancel()

        while waiting is not None:
            form = waiting[1].form
            progress = self.progress
            progress.begin_copy()

            def feed(form: Form = form) -> bytes | None:
                nonlocal waiting
                self._suffer_amid()
                item = waiting or self._next(reader)
                waiting = None
                if item is None or item[1].form is not form:
                    waiting = item
                    return None
                self._note(*item)
                return item[1].data

            try:
                result = await self._backend.copy_in(self._rules.copy_sql(form), feed, give_up)
            except BackendError as problem:
                line = _line_of(problem, progress.uncounted)
                error = self._load_error(problem, line, 0, progress.recent)
                if error is None:
                    raise
                raise _LoadFailed(error) from problem
            progress.rows += int(result.tag.split()[-1])

    def _suffer_amid(self) -> None:
        """Before the second piece is sent, a planned fault may strike. In the sending thread."""
        if self.progress.recent and self._striking is None:
            self._striking = asyncio.run_coroutine_threadsafe(self._faults.amid_copy(), self._loop)
            self._striking.result()

    async def _chunk_by_chunk(self, reader: ReadAhead[Piece]) -> None:
        """MAXERROR: a COPY per chunk, again without the record that was refused."""
        while (item := await asyncio.to_thread(self._next, reader)) is not None:
            number, piece = item
            is_first = not self.progress.recent
            await self._patiently(self._note(number, piece))
            if is_first:
                await self._faults.amid_copy()

    def _note(self, number: int, piece: Piece) -> _Sent:
        return self.progress.sent(number, piece, self._statement.ignore_header, self._rules.quote)

    async def _patiently(self, sent: _Sent) -> None:
        data = sent.piece.data
        removed: list[int] = []  # lines taken out before, in the piece's own numbers
        while data:
            await self._backend.query(f"SAVEPOINT {SAVEPOINT}")
            try:
                result = await self._backend.copy_in(
                    self._rules.copy_sql(sent.piece.form), iter([data, None]).__next__
                )
            except BackendError as problem:
                await self._backend.query(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
                here = _Sent(sent.number, 0, sent.file_line, Piece(data, 0, 0, 0))
                line = _line_of(problem, _uncounted_lines(data, self._rules.quote))
                error = self._load_error(problem, line, sum(removed), [here])
                if error is None or line is None:
                    raise
                if len(self.progress.errors) >= self._statement.max_errors:
                    raise _LoadFailed(error) from problem
                self.progress.errors.append(error)
                start, end = _record_at(data, line, self._rules.quote)
                removed.append(data.count(b"\n", start, end))
                data = data[:start] + data[end:]
                continue
            await self._backend.query(f"RELEASE SAVEPOINT {SAVEPOINT}")
            self.progress.rows += int(result.tag.split()[-1])
            return

    # -- what went wrong where -------------------------------------------------------------------

    def _load_error(
        self,
        problem: BackendError,
        line: int | None,
        lines_before: int,
        recent: deque[_Sent] | list[_Sent],
    ) -> LoadError | None:
        """PostgreSQL's error as a load error; None if it is not about a record."""
        code = problem.sqlstate
        if code not in _LOAD_ERRORS:
            return None
        context = problem.backend_fields.get("W", "")
        number, reason = _LOAD_ERRORS[code]
        column = self._column_of(problem, context)
        if code == "22P04" and "missing data" in problem.message:
            number, reason = 1203, "Delimiter not found"
        elif code == "22P04" and "quoted field" in problem.message:
            number, reason = 1214, "Missing closing quote: " + problem.message
        elif code == "22P02" and column is not None:
            number, reason = _type_error(column, problem.message)
        value = _VALUE.search(context)
        sent = _find(recent, line)
        raw, file_line, file_number = "", 0, 0
        if sent is not None and line is not None:
            place = line - sent.first_line
            start, end = _record_at(sent.piece.data, place, self._rules.quote)
            raw = sent.piece.data[start:end].rstrip(b"\r\n").decode("utf-8", "replace")
            file_line = sent.file_line + place + lines_before
            file_number = sent.number
        return LoadError(
            file=self._objects[file_number].url if self._objects else "",
            line=file_line,
            column=column.name if column is not None else "",
            type_name=_short_type(column.type_name) if column is not None else "",
            length=str(column.length or 0) if column is not None else "0",
            raw_line=raw,
            raw_value=value[1] if value else "",
            code=number,
            reason=reason,
        )

    def _column_of(self, problem: BackendError, context: str) -> Column | None:
        check = byte_check(problem.backend_fields.get("n", ""))
        if check is not None:
            return next((c for c in self._rules.columns if c.number == check[0]), None)
        named = problem.backend_fields.get("c")
        if named is None:
            found = _COLUMN.search(context)
            named = found[1] if found else None
        return next((c for c in self._rules.columns if c.name == named), None)

    def _field_count(self, number: int, problem: FieldCountError) -> LoadError:
        before = self.progress.file_lines.get(number, self._statement.ignore_header)
        many = problem.found > problem.expected
        return LoadError(
            file=self._objects[number].url,
            line=before + problem.line + 1,
            column="",
            type_name="",
            length="0",
            raw_line=problem.text,
            raw_value="",
            code=1202 if many else 1203,
            reason="Extra column(s) found" if many else "Delimiter not found",
        )


def _line_of(problem: BackendError, uncounted: int) -> int | None:
    """The line of the stream that PostgreSQL complains about."""
    found = _LINE.search(problem.backend_fields.get("W", ""))
    if found is None:
        return None
    line = int(found[1])
    return line if line == 1 else line + uncounted


def _uncounted_lines(data: bytes, quote: str) -> int:
    """Line feeds inside the first record: PostgreSQL counts such from the second record on."""
    start, end = _record_at(data, 1, quote)
    return max(data.count(b"\n", start, end) - 1, 0)


def _find(recent: deque[_Sent] | list[_Sent], line: int | None) -> _Sent | None:
    if line is None:
        return recent[-1] if recent else None
    return next((sent for sent in reversed(recent) if sent.first_line < line), None)


def _record_at(data: bytes, line: int, quote: str) -> tuple[int, int]:
    """The record that holds line ``line`` (from 1) of a piece: (start, end) of its bytes.

    PostgreSQL names the last line of a record whose quoted field spans several.
    """
    position = 0
    for _ in range(line - 1):
        following = data.find(b"\n", position)
        if following < 0:
            break
        position = following + 1
    end = data.find(b"\n", position)
    end = len(data) if end < 0 else end + 1
    mark = quote.encode()
    start = position
    while data.count(mark, 0, start) & 1:
        start = data.rfind(b"\n", 0, start - 1) + 1
    while data.count(mark, start, end) & 1 and end < len(data):
        following = data.find(b"\n", end)
        end = len(data) if following < 0 else following + 1
    return start, end


def _type_error(column: Column, message: str) -> tuple[int, str]:
    kind = column.type_name
    value = message.rsplit(': "', 1)[-1].rstrip('"') if ': "' in message else ""
    if kind in ("integer", "bigint", "smallint"):
        return 1207, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: {_TYPES[kind]}"
    if kind == "numeric":
        return 1209, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Decimal"
    if kind in ("real", "double precision"):
        return 1208, "Invalid value for a FLOAT"
    if kind == "boolean":
        return 1210, "Unknown boolean format"
    if kind == "date":
        return 1205, "Invalid Date Format - length must be 10 or more"
    return 1206, "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]"


_TYPES = {"integer": "Integer", "bigint": "Long", "smallint": "Short"}
_SHORT_TYPES = {
    "character varying": "varchar",
    "character": "char",
    "integer": "int4",
    "bigint": "int8",
    "smallint": "int2",
    "double precision": "float8",
    "real": "float4",
    "boolean": "bool",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}


def _short_type(name: str) -> str:
    return _SHORT_TYPES.get(name, name)[:10]


def _failure(statement: CopyStatement, error: LoadError) -> RedshiftError:
    where = f"{error.file} line {error.line}"
    column = f", column {error.column}" if error.column else ""
    return RedshiftError(
        f"Load into table '{statement.table}' failed.  Check 'stl_load_errors' or"
        " 'sys_load_error_detail' system table for details.",
        detail=f"{where}{column}: {error.reason} (code {error.code})",
        hint="Mend or leave out the record, or allow for some with MAXERROR.",
    )


# -- the target --------------------------------------------------------------------------------


async def _target_columns(
    session: Session, statement: CopyStatement
) -> tuple[tuple[Column, ...], int]:
    """(columns that COPY fills, in the order of the fields; the table's number)."""
    assert session.backend is not None
    found = await session.backend.query(
        "SELECT a.attrelid::bigint, a.attname, a.attnum, format_type(a.atttypid, NULL),"  # noqa: S608
        " CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 0 THEN a.atttypmod - 4 END,"
        " a.attnotnull, a.attidentity, c.relkind FROM pg_catalog.pg_attribute AS a"
        " JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid WHERE a.attrelid ="
        f" pg_catalog.to_regclass({lexer.quote_literal(statement.qualified)})"
        " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
    if not found.rows or found.rows[0][7] != "r":
        raise RedshiftError(f"Cannot COPY into nonexistent table {statement.table}")
    every = [
        Column(
            name=str(row[1]),
            number=int(row[2] or 0),
            type_name=str(row[3]),
            length=int(row[4]) if row[4] else None,
            not_null=row[5] == "t",
            identity=row[6] or "",
        )
        for row in found.rows
    ]
    by_name = {column.name: column for column in every}
    if statement.columns is None:
        chosen = [c for c in every if statement.explicit_ids or not c.identity]
    else:
        for name in statement.columns:
            if name not in by_name:
                raise RedshiftError(
                    f'column "{name}" of relation "{statement.table}" does not exist',
                    sqlstate="42703",
                )
        chosen = [by_name[name] for name in statement.columns]
        generated = [c for c in chosen if c.identity == "a"]
        if generated and not statement.explicit_ids:
            raise RedshiftError(
                f"COPY: IDENTITY column {generated[0].name} is listed without EXPLICIT_IDS",
                sqlstate=DATATYPE_MISMATCH,
                hint="Leave the column out of the list, or add EXPLICIT_IDS.",
            )
        if statement.explicit_ids and not any(c.identity for c in chosen):
            raise RedshiftError("COPY: EXPLICIT_IDS needs the IDENTITY column in the list")
    return tuple(chosen), int(found.rows[0][0] or 0)


# -- histories ---------------------------------------------------------------------------------


async def _record_errors(
    session: Session,
    statement: CopyStatement,
    table_id: int,
    query_id: int,
    start: object,
    errors: list[LoadError],
) -> None:
    """STL_LOAD_ERRORS, on a connection of its own: it stays when the client rolls back."""
    await session.front.internal.insert(
        "load_errors",
        (
            "query_id", "user_name", "session_id", "database_name", "table_id", "table_name",
            "start_time", "file_name", "line_number", "column_name", "column_type",
            "column_length", "position", "raw_line", "raw_field_value", "error_code",
            "error_reason",
        ),
        [
            (
                query_id, session.user, session.session_id, session.database, table_id,
                statement.table, start, error.file, error.line, error.column, error.type_name,
                error.length, 0, error.raw_line[:1024], error.raw_value[:1024], error.code,
                error.reason[:100],
            )
            for error in errors
        ],
    )  # fmt: skip


async def _record_history(
    session: Session,
    statement: CopyStatement,
    query_id: int,
    start: object,
    progress: _Progress,
    files: int,
) -> None:
    await session.front.internal.insert(
        "load_history",
        (
            "query_id", "user_name", "session_id", "database_name", "table_name", "data_source",
            "file_format", "status", "loaded_rows", "loaded_bytes", "source_file_count",
            "error_count", "start_time", "end_time",
        ),
        [
            (
                query_id, session.user, session.session_id, session.database, statement.table,
                statement.source.url, statement.format, "completed", progress.rows,
                progress.bytes, files, len(progress.errors), start, utc_now(),
            )
        ],
    )  # fmt: skip
