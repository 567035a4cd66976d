"""UNLOAD: a query's rows to files in S3, on the client's own connection and in its transaction.

PostgreSQL's COPY TO writes the rows. They are dealt out to slices, as many files at once as a small
warehouse has. A thread per slice packs and uploads its files, with a bounded number of bytes in
memory. Files become visible when all rows were read. After a failure nothing new is left behind,
except files that MAXFILESIZE had ended before.

A query without rows writes no data file. A manifest is written, with no entries, so that a reader
can tell an empty export from none.
"""

from __future__ import annotations

import asyncio

from xacct_sandbox.redshift import roles
from xacct_sandbox.redshift.copy.rules import NO_QUOTE
from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.server.statement_context import StatementContext
from xacct_sandbox.redshift.sql import dialect, lexer
from xacct_sandbox.redshift.sql.errors import SYNTAX_ERROR, UNDEFINED_COLUMN, RedshiftError
from xacct_sandbox.redshift.sql.option_lists import JSON
from xacct_sandbox.redshift.sql.plans import Pass, Refuse
from xacct_sandbox.redshift.sql.system_catalog import utc_now
from xacct_sandbox.redshift.unload.copy_query import copy_sql
from xacct_sandbox.redshift.unload.destination import prepare_destination
from xacct_sandbox.redshift.unload.files import (
    ResultColumn,
    Slice,
    WrittenFile,
    manifest,
    partition_folder,
)
from xacct_sandbox.redshift.unload.options import TEXT, UnloadStatement
from xacct_sandbox.redshift.unload.s3_writing import ObjectWriter
from xacct_sandbox.redshift.unload.slices import Dealer

SLICES = 2
TEMPORARY_TABLE = "sandbox_unload"
MAX_PARTITIONS = 10_000


async def run_unload(context: StatementContext, statement: UnloadStatement) -> str:
    """Run an UNLOAD.

    Returns:
        The command tag.

    Raises:
        RedshiftError: Nothing was unloaded.
    """
    backend = context.backend
    namespace, chain = await context.role_chain(statement.roles)
    plan = dialect.translate(statement.query)
    if isinstance(plan, Refuse):
        raise plan.error
    assert isinstance(plan, Pass)
    async with context.transaction() as own_transaction:
        columns = await _result_columns(backend, plan.sql)
        role_session = await context.assume(namespace, chain, statement.region)
        await asyncio.to_thread(prepare_destination, statement, role_session)
        unload = _Unload(
            context, statement, role_session, plan.sql, columns, commits=own_transaction
        )
        files = await unload.run()
        await backend.query(
            f"SELECT set_config('sandbox.last_unload_count', '{unload.rows}', false)"
        )
    identity = context.identity
    await context.catalog.insert(
        "unload_history",
        (
            "query_id", "user_name", "session_id", "database_name", "location", "file_format",
            "status", "unloaded_rows", "unloaded_files_count", "unloaded_files_size",
            "start_time", "end_time",
        ),
        [
            (
                context.query_id, identity.user, identity.session_id, identity.database,
                statement.target.url, statement.format, "completed", unload.rows, len(files),
                sum(file.size for file in files), context.start, utc_now(),
            )
        ],
    )  # fmt: skip
    context.send_info(f"UNLOAD completed, {unload.rows} record(s) unloaded successfully.")
    return "UNLOAD"


class _Unload:
    """Moves the rows of the query into files.

    Attributes:
        rows: The number of rows unloaded.
    """

    def __init__(
        self,
        context: StatementContext,
        statement: UnloadStatement,
        role_session: roles.RoleSession,
        query: str,
        columns: list[ResultColumn],
        *,
        commits: bool,
    ) -> None:
        self.rows = 0
        self._context = context
        self._backend = context.backend
        self._statement = statement
        self._role_session = role_session
        self._query = query
        self._columns = columns
        self._commits = commits

    async def run(self) -> list[WrittenFile]:
        if self._statement.partition_by:
            files = await self._partitions()
        else:
            files = await self._stream(self._query, self._columns, "", with_faults=True)
        if self._statement.manifest:
            await asyncio.to_thread(self._write_manifest, files)
        return files

    async def _partitions(self) -> list[WrittenFile]:
        """PARTITION BY: the rows into a temporary table, then partition by partition to files."""
        names = [column.name for column in self._columns]
        keys = self._statement.partition_by
        for key in keys:
            if names.count(key) != 1:
                raise RedshiftError(
                    f'column "{key}" of PARTITION BY is not in the result',
                    sqlstate=UNDEFINED_COLUMN,
                )
        unloaded = [
            column for column in self._columns if self._statement.include or column.name not in keys
        ]
        if not unloaded:
            raise RedshiftError("UNLOAD: PARTITION BY leaves no column to unload; add INCLUDE")
        quoted = [lexer.quote_name(key) for key in keys]
        table = f"pg_temp.{TEMPORARY_TABLE}"
        await self._backend.query(f"CREATE TEMPORARY TABLE {TEMPORARY_TABLE} AS {self._query}")
        found = await self._backend.query(
            f"SELECT DISTINCT {', '.join(f'{q}::text' for q in quoted)} FROM {table}"  # noqa: S608
            f" ORDER BY {', '.join(str(n + 1) for n in range(len(quoted)))}"
            f" LIMIT {MAX_PARTITIONS + 1}"
        )
        if len(found.rows) > MAX_PARTITIONS:
            raise RedshiftError(f"UNLOAD: more than {MAX_PARTITIONS} partitions")
        files: list[WrittenFile] = []
        selected = ", ".join(lexer.quote_name(column.name) for column in unloaded)
        for number, values in enumerate(found.rows):
            if number == max(1, len(found.rows) // 2):
                await self._inject_fault()
            condition = " AND ".join(
                f"{q} IS NULL" if value is None else f"{q}::text = {lexer.quote_literal(value)}"
                for q, value in zip(quoted, values, strict=True)
            )
            query = f"SELECT {selected} FROM {table} WHERE {condition}"  # noqa: S608
            files += await self._stream(query, unloaded, partition_folder(keys, values))
        await self._backend.query(f"DROP TABLE {table}")
        return files

    async def _stream(
        self, query: str, columns: list[ResultColumn], partition: str, *, with_faults: bool = False
    ) -> list[WrittenFile]:
        """Write the rows of a query to the files of the slices.

        Args:
            partition: The folder below the prefix, or empty.
            with_faults: Planned faults are injected.
        """
        count = SLICES if self._statement.parallel else 1
        dealer = Dealer(
            [
                Slice(self._statement, self._role_session, columns, number, partition)
                for number in range(count)
            ],
            strip=NO_QUOTE.encode() if self._statement.format in (TEXT, JSON) else None,
        )
        try:
            result = await self._backend.copy_out(
                copy_sql(self._statement, query, columns),
                dealer.take,
                self._context.cancel_query,
            )
            if with_faults and self._context.faults.may_inject_in_unload():
                await asyncio.to_thread(dealer.finish, max(1, count // 2))
                await self._inject_fault()
            files = await asyncio.to_thread(dealer.finish)
        except BaseException:
            await asyncio.to_thread(dealer.abandon)
            raise
        if dealer.rows != result.row_count:
            raise RedshiftError(
                f"UNLOAD: {dealer.rows} rows arrived, but PostgreSQL sent {result.tag}",
                hint="The export is not complete; run it again, and see home/log/redshift.log.",
            )
        self.rows += dealer.rows
        return files

    async def _inject_fault(self) -> None:
        """Inject a planned fault, when half of the files are written."""
        await self._context.faults.during_unload(self._context.sql, commits=self._commits)

    def _write_manifest(self, files: list[WrittenFile]) -> None:
        target, encryption = self._statement.target, self._statement.encryption
        key = f"{target.key}manifest"
        writer = ObjectWriter(self._role_session, target.bucket, key, encryption)
        writer.write(manifest(self._statement, self._columns, files))
        writer.close()


async def _result_columns(backend: Backend, query: str) -> list[ResultColumn]:
    described = await backend.describe(query)
    if not described:
        raise RedshiftError("UNLOAD: the query returns no columns", sqlstate=SYNTAX_ERROR)
    types = ", ".join(f"format_type({oid}, NULL)" for _, oid, _ in described)
    found = await backend.query(f"SELECT {types}")
    return [
        ResultColumn(name, oid, typmod, str(type_name))
        for (name, oid, typmod), type_name in zip(described, found.rows[0], strict=True)
    ]
