"""COPY: objects of S3 into a table, on the client's own connection and in its transaction.

Threads fetch, unpack and cut the objects into whole records (``s3_reading``, ``records``), and one
thread sends them to PostgreSQL's COPY. A record that PostgreSQL refuses becomes a load error with
its file and line. With MAXERROR every piece is a COPY of its own under a savepoint: a refused
record is removed from the piece and noted, and the piece is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future

from xacct_sandbox.redshift import roles
from xacct_sandbox.redshift.copy import columnar, s3_reading
from xacct_sandbox.redshift.copy.conversion import FieldCountError
from xacct_sandbox.redshift.copy.load_errors import (
    LoadError,
    LoadFailed,
    field_count_error,
    line_of,
    load_error,
    load_failure,
)
from xacct_sandbox.redshift.copy.options import DELIMITED, CopyStatement
from xacct_sandbox.redshift.copy.progress import Progress, SentPiece, record_at, uncounted_lines
from xacct_sandbox.redshift.copy.records import pieces
from xacct_sandbox.redshift.copy.rules import Form, Piece, Rules
from xacct_sandbox.redshift.copy.s3_reading import ReadAhead, SourceObject
from xacct_sandbox.redshift.copy.target import target_columns
from xacct_sandbox.redshift.server.statement_context import StatementContext
from xacct_sandbox.redshift.sql.errors import BackendError
from xacct_sandbox.redshift.sql.option_lists import CSV, JSON, PARQUET
from xacct_sandbox.redshift.sql.system_catalog import utc_now

SAVEPOINT = "sandbox_copy"


async def run_copy(context: StatementContext, statement: CopyStatement) -> str:
    """Run a COPY.

    Returns:
        The command tag.

    Raises:
        RedshiftError: Nothing was loaded. An open transaction has to be rolled back.
    """
    backend = context.backend
    namespace, chain = await context.role_chain(statement.roles)
    async with context.transaction() as own_transaction:
        columns, table_id = await target_columns(backend, statement)
        role_session = await context.assume(namespace, chain, statement.region)
        list_objects = s3_reading.list_manifest if statement.manifest else s3_reading.list_prefix
        objects = await asyncio.to_thread(list_objects, role_session, statement.source)
        rules = Rules(statement, columns)
        load = _Load(context, rules, objects, role_session, commits=own_transaction)
        try:
            await load.run()
        except LoadFailed as failed:
            load.errors.append(failed.error)
            raise load_failure(statement, failed.error) from failed
        finally:
            if load.errors:
                await _record_errors(context, statement, table_id, load.errors)
        rows = load.progress.rows
        await backend.query(
            f"SELECT set_config('sandbox.last_copy_count', '{rows}', false),"
            f" set_config('sandbox.last_copy_id', '{context.query_id}', false)"
        )
    await _record_history(context, statement, load)
    context.send_info(
        f"Load into table '{statement.table}' completed, {rows} record(s) loaded successfully."
    )
    if load.errors:
        context.send_info(
            f"Load into table '{statement.table}' completed, {len(load.errors)} record(s)"
            " could not be loaded.  Check 'sys_load_error_detail' system table for details."
        )
    return "COPY"


class _Load:
    """Moves the records of the objects into the table.

    Attributes:
        errors: The records that could not be loaded.
    """

    def __init__(
        self,
        context: StatementContext,
        rules: Rules,
        objects: list[SourceObject],
        role_session: roles.RoleSession,
        *,
        commits: bool,
    ) -> None:
        self.objects = objects
        self.progress = Progress()
        self.errors: list[LoadError] = []
        self._context = context
        self._backend = context.backend
        self._rules = rules
        self._statement = rules.statement
        self._role_session = role_session
        self._commits = commits
        self._loop = asyncio.get_running_loop()
        self._fault: Future[None] | None = None

    async def run(self) -> None:
        """Load the records; with NOLOAD, undo it afterwards.

        Raises:
            LoadFailed: A record cannot be loaded.
        """
        reader = ReadAhead(self._open, self.objects)
        try:
            if self._statement.no_load:
                await self._backend.query(f"SAVEPOINT {SAVEPOINT}_all")
            if self._statement.max_errors > 1:
                await self._load_piece_by_piece(reader)
            else:
                await self._load_all(reader)
            if self._statement.no_load:
                await self._backend.query(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}_all")
                self.progress.rows = 0
        finally:
            reader.close()

    def _open(self, source: SourceObject) -> Iterator[Piece]:
        """The pieces of one object. Runs in a fetching thread."""
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
            number = reader.current
            before = self.progress.file_lines.get(number, self._statement.ignore_header)
            error = field_count_error(problem, self.objects[number].url, before)
            raise LoadFailed(error) from problem

    def _note_sent(self, number: int, piece: Piece) -> SentPiece:
        return self.progress.add(number, piece, self._statement.ignore_header, self._rules.quote)

    # -- without MAXERROR ------------------------------------------------------------------------

    async def _load_all(self, reader: ReadAhead[Piece]) -> None:
        """One COPY of PostgreSQL for consecutive pieces of one form. A bad record ends the load."""
        pending = await asyncio.to_thread(self._next, reader)

        def give_up() -> None:
            reader.close()
            if self._fault is not None:
                self._fault.cancel()

        while pending is not None:
            form = pending[1].form
            progress = self.progress
            progress.begin_copy()

            def next_chunk(form: Form = form) -> bytes | None:
                nonlocal pending
                self._wait_for_fault()
                item = pending or self._next(reader)
                pending = None
                if item is None or item[1].form is not form:
                    pending = item
                    return None
                self._note_sent(*item)
                return item[1].data

            try:
                result = await self._backend.copy_in(
                    self._rules.copy_sql(form), next_chunk, give_up
                )
            except BackendError as problem:
                line = line_of(problem, progress.uncounted)
                error = load_error(problem, line, progress.recent, self._rules, self.objects)
                if error is None:
                    raise
                raise LoadFailed(error) from problem
            progress.rows += result.row_count

    def _wait_for_fault(self) -> None:
        """Before the second piece is sent, inject a planned fault. Runs in the sending thread."""
        if self.progress.recent and self._fault is None:
            self._fault = asyncio.run_coroutine_threadsafe(self._inject_fault(), self._loop)
            self._fault.result()

    async def _inject_fault(self) -> None:
        await self._context.faults.during_copy(self._context.sql, commits=self._commits)

    # -- with MAXERROR ---------------------------------------------------------------------------

    async def _load_piece_by_piece(self, reader: ReadAhead[Piece]) -> None:
        while (item := await asyncio.to_thread(self._next, reader)) is not None:
            is_first = not self.progress.recent
            await self._load_piece(self._note_sent(*item))
            if is_first:
                await self._inject_fault()

    async def _load_piece(self, sent: SentPiece) -> None:
        """Load a piece without its bad records, as far as MAXERROR allows.

        "If the load returns the error_count number of errors or greater, the load fails" (Redshift
        guide, "Data load operations"). aws-claims: copy-maxerror
        """
        data = sent.piece.data
        removed_lines = 0
        while data:
            await self._backend.query(f"SAVEPOINT {SAVEPOINT}")
            try:
                result = await self._backend.copy_in(
                    self._rules.copy_sql(sent.piece.form), iter([data, None]).__next__
                )
            except BackendError as problem:
                await self._backend.query(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
                rest = SentPiece(sent.object_number, 0, sent.file_line, Piece(data, 0, 0, 0))
                line = line_of(problem, uncounted_lines(data, self._rules.quote))
                error = load_error(
                    problem, line, [rest], self._rules, self.objects, removed_lines=removed_lines
                )
                if error is None or line is None:
                    raise
                if len(self.errors) + 1 >= self._statement.max_errors:
                    raise LoadFailed(error) from problem
                self.errors.append(error)
                start, end = record_at(data, line, self._rules.quote)
                removed_lines += data.count(b"\n", start, end)
                data = data[:start] + data[end:]
                continue
            await self._backend.query(f"RELEASE SAVEPOINT {SAVEPOINT}")
            self.progress.rows += result.row_count
            return


async def _record_errors(
    context: StatementContext, statement: CopyStatement, table_id: int, errors: list[LoadError]
) -> None:
    """Write STL_LOAD_ERRORS, on a connection of its own: it stays when the client rolls back."""
    identity = context.identity
    await context.catalog.insert(
        "load_errors",
        (
            "query_id", "user_name", "session_id", "database_name", "table_id", "table_name",
            "start_time", "file_name", "line_number", "column_name", "column_type",
            "column_length", "position", "raw_line", "raw_field_value", "error_code",
            "error_reason",
        ),
        [
            (
                context.query_id, identity.user, identity.session_id, identity.database, table_id,
                statement.table, context.start, error.file, error.line, error.column,
                error.type_name, error.length, 0, error.raw_line[:1024], error.raw_value[:1024],
                error.code, error.reason[:100],
            )
            for error in errors
        ],
    )  # fmt: skip


async def _record_history(context: StatementContext, statement: CopyStatement, load: _Load) -> None:
    """Write SYS_LOAD_HISTORY."""
    identity, progress = context.identity, load.progress
    await context.catalog.insert(
        "load_history",
        (
            "query_id", "user_name", "session_id", "database_name", "table_name", "data_source",
            "file_format", "status", "loaded_rows", "loaded_bytes", "source_file_count",
            "error_count", "start_time", "end_time",
        ),
        [
            (
                context.query_id, identity.user, identity.session_id, identity.database,
                statement.table, statement.source.url, statement.format, "completed",
                progress.rows, progress.bytes, len(load.objects), len(load.errors),
                context.start, utc_now(),
            )
        ],
    )  # fmt: skip
