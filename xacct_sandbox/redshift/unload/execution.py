"""UNLOAD: a query's rows to files in S3, on the client's own connection and in its transaction.

PostgreSQL's COPY TO writes the rows; they are dealt out to slices (as many files at once as a
small warehouse has), each packed and uploaded by a thread, with a bounded number of bytes under
way. Files become visible when everything was read; on any failure nothing new is left behind,
except files that MAXFILESIZE had ended before.

Zero rows: no data file is written, a manifest is (with no entries), so that a reader can tell an
empty export from none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.redshift import roles
from xacct_sandbox.redshift.copy.records import NO_QUOTE
from xacct_sandbox.redshift.sql import dialect, lexer
from xacct_sandbox.redshift.sql.errors import RedshiftError
from xacct_sandbox.redshift.sql.plans import Pass, Refuse
from xacct_sandbox.redshift.sql.system_catalog import utc_now
from xacct_sandbox.redshift.unload.files import (
    ResultColumn,
    Slice,
    WrittenFile,
    manifest,
    partition_folder,
)
from xacct_sandbox.redshift.unload.options import CSV, JSON, PARQUET, UnloadStatement
from xacct_sandbox.redshift.unload.s3_writing import ObjectWriter
from xacct_sandbox.redshift.unload.slices import Dealer

if TYPE_CHECKING:
    from xacct_sandbox.redshift.server.backend import Backend
    from xacct_sandbox.redshift.server.session import Session

SLICES = 2
TEMPORARY_TABLE = "sandbox_unload"
MOST_PARTITIONS = 10_000
DELETE_AT_ONCE = 1000


async def run_unload(session: Session, statement: UnloadStatement, query_id: int) -> str:
    """Run an UNLOAD; the command's tag.

    Raises:
        RedshiftError: nothing was unloaded.
    """
    backend = session.backend
    assert backend is not None
    internal = session.front.internal
    start = utc_now()
    namespace = await internal.namespace()
    chain = roles.resolve_chain(namespace, statement.roles)
    assert namespace is not None
    plan = dialect.translate(statement.query)
    if isinstance(plan, Refuse):
        raise plan.error
    assert isinstance(plan, Pass)
    own_transaction = backend.status == b"I"
    if own_transaction:
        await backend.query("BEGIN")
    try:
        columns = await _result_columns(backend, plan.sql)
        role_session = await asyncio.to_thread(
            roles.assume_chain, namespace, chain, session.user, region=statement.region
        )
        await asyncio.to_thread(_make_room, statement, role_session)
        unload = _Unload(session, statement, role_session, plan.sql, columns)
        files = await unload.run()
        await backend.query(
            f"SELECT set_config('sandbox.last_unload_count', '{unload.rows}', false)"
        )
        if own_transaction:
            await backend.query("COMMIT")
    except BaseException:
        if own_transaction and backend.status != b"I":
            await backend.query("ROLLBACK")
        raise
    await internal.insert(
        "unload_history",
        (
            "query_id", "user_name", "session_id", "database_name", "location", "file_format",
            "status", "unloaded_rows", "unloaded_files_count", "unloaded_files_size",
            "start_time", "end_time",
        ),
        [
            (
                query_id, session.user, session.session_id, session.database,
                statement.target.url, statement.format, "completed", unload.rows, len(files),
                sum(file.size for file in files), start, utc_now(),
            )
        ],
    )  # fmt: skip
    session.info(f"UNLOAD completed, {unload.rows} record(s) unloaded successfully.")
    return "UNLOAD"


class _Unload:
    """The moving of rows, once everything is known."""

    def __init__(
        self,
        session: Session,
        statement: UnloadStatement,
        role_session: roles.RoleSession,
        query: str,
        columns: list[ResultColumn],
    ) -> None:
        assert session.backend is not None
        self._session = session
        self._backend = session.backend
        self._statement = statement
        self._role_session = role_session
        self._query = query
        self._columns = columns
        self.rows = 0

    async def run(self) -> list[WrittenFile]:
        if self._statement.partition_by:
            files = await self._partitions()
        else:
            files = await self._stream(self._query, self._columns, "", alone=True)
        if self._statement.manifest:
            await asyncio.to_thread(self._write_manifest, files)
        return files

    async def _partitions(self) -> list[WrittenFile]:
        """PARTITION BY: the rows once into a temporary table, then out partition by partition."""
        names = [column.name for column in self._columns]
        keys = self._statement.partition_by
        for key in keys:
            if names.count(key) != 1:
                raise RedshiftError(
                    f'column "{key}" of PARTITION BY is not in the result', sqlstate="42703"
                )
        kept = [
            column for column in self._columns if self._statement.include or column.name not in keys
        ]
        if not kept:
            raise RedshiftError("UNLOAD: PARTITION BY leaves no column to unload; add INCLUDE")
        quoted = [lexer.quote_name(key) for key in keys]
        table = f"pg_temp.{TEMPORARY_TABLE}"
        await self._backend.query(f"CREATE TEMPORARY TABLE {TEMPORARY_TABLE} AS {self._query}")
        found = await self._backend.query(
            f"SELECT DISTINCT {', '.join(f'{q}::text' for q in quoted)} FROM {table}"  # noqa: S608
            f" ORDER BY {', '.join(str(n + 1) for n in range(len(quoted)))}"
            f" LIMIT {MOST_PARTITIONS + 1}"
        )
        if len(found.rows) > MOST_PARTITIONS:
            raise RedshiftError(f"UNLOAD: more than {MOST_PARTITIONS} partitions")
        files: list[WrittenFile] = []
        selected = ", ".join(lexer.quote_name(column.name) for column in kept)
        for number, values in enumerate(found.rows):
            if number == max(1, len(found.rows) // 2):
                await self._session.faults.amid_unload()
            condition = " AND ".join(
                f"{q} IS NULL" if value is None else f"{q}::text = {lexer.quote_literal(value)}"
                for q, value in zip(quoted, values, strict=True)
            )
            query = f"SELECT {selected} FROM {table} WHERE {condition}"  # noqa: S608
            files += await self._stream(query, kept, partition_folder(keys, values))
        await self._backend.query(f"DROP TABLE {table}")
        return files

    async def _stream(
        self, query: str, columns: list[ResultColumn], partition: str, *, alone: bool = False
    ) -> list[WrittenFile]:
        """One query's rows to the slices' files; ``alone``: they are all there will be."""
        count = SLICES if self._statement.parallel else 1
        dealer = Dealer(
            [
                Slice(self._statement, self._role_session, columns, number, partition)
                for number in range(count)
            ],
            strip=NO_QUOTE.encode() if self._statement.format in ("text", JSON) else None,
        )
        try:
            result = await self._backend.copy_out(
                copy_sql(self._statement, query, columns),
                dealer.take,
                self._session.cancel_own_query,
            )
            if alone and self._session.faults.may_strike_amid_unload:
                await asyncio.to_thread(dealer.finish, max(1, count // 2))
                await self._session.faults.amid_unload()
            files = await asyncio.to_thread(dealer.finish)
        except BaseException:
            await asyncio.to_thread(dealer.abandon)
            raise
        if dealer.rows != int(result.tag.split()[-1]):
            raise RedshiftError(
                f"UNLOAD: {dealer.rows} rows arrived of {result.tag}; nothing was exported rightly",
                hint="Something else than rows came in their midst; see home/log/redshift.log.",
            )
        self.rows += dealer.rows
        return files

    def _write_manifest(self, files: list[WrittenFile]) -> None:
        target = self._statement.target
        writer = ObjectWriter(self._role_session, target.bucket, f"{target.key}manifest")
        writer.write(manifest(self._statement, self._columns, files))
        writer.close()


def copy_sql(statement: UnloadStatement, query: str, columns: list[ResultColumn]) -> str:
    """PostgreSQL's COPY TO for the rows of ``query`` in the statement's format."""
    if statement.format == CSV:
        return (
            f"COPY ({query}) TO STDOUT (FORMAT csv, "
            f"DELIMITER {lexer.quote_literal(statement.delimiter)}, "
            f"NULL {lexer.quote_literal(statement.null_as)})"
        )
    aliases = [f"c{number}" for number in range(len(columns))]
    source = f"FROM ({query}) AS unloaded({', '.join(aliases)})"
    if statement.format == PARQUET:
        selected = [
            _columnar_value(alias, column) for alias, column in zip(aliases, columns, strict=True)
        ]
        if selected != aliases:
            query = f"SELECT {', '.join(selected)} {source}"
        return f"COPY ({query}) TO STDOUT (FORMAT csv, NULL '')"
    # Text and JSON are written raw: PostgreSQL may quote only with a byte that is stripped again.
    raw = f"FORMAT csv, QUOTE '{NO_QUOTE}', ESCAPE '{NO_QUOTE}'"
    if statement.format == JSON:
        pairs = ", ".join(
            f"{lexer.quote_literal(column.name)}, {_json_value(alias, column)}"
            for alias, column in zip(aliases, columns, strict=True)
        )
        return (
            f"COPY (SELECT json_build_object({pairs}) {source}) TO STDOUT ({raw}, DELIMITER '\x02')"
        )
    if statement.escape or statement.add_quotes:
        selected = ", ".join(
            _escaped(alias, column, statement)
            for alias, column in zip(aliases, columns, strict=True)
        )
        query = f"SELECT {selected} {source}"
    return (
        f"COPY ({query}) TO STDOUT ({raw}, "
        f"DELIMITER {lexer.quote_literal(statement.delimiter)}, "
        f"NULL {lexer.quote_literal(statement.null_as)})"
    )


def _columnar_value(alias: str, column: ResultColumn) -> str:
    """A value of a type that Parquet does not hold as it is."""
    if column.type_name == "timestamp with time zone":
        return f"{alias} AT TIME ZONE 'UTC'"
    if column.type_name == "numeric" and column.typmod < 0:
        # Computed, so PostgreSQL knows no scale; every value gets the one the file declares.
        return f"{alias}::numeric({column.precision}, {column.scale})"
    return alias


def _json_value(alias: str, column: ResultColumn) -> str:
    return f"{alias}::text" if column.type_name.startswith("timestamp") else alias


def _escaped(alias: str, column: ResultColumn, statement: UnloadStatement) -> str:
    """A text field with a backslash before what would end or change it, and quotes around it."""
    value = f"{alias}::text"
    if statement.escape and column.type_name in ("character varying", "character", "text"):
        special = ["\\", "\n", "\r", statement.delimiter]
        if statement.add_quotes:
            special.append('"')
        for character in special:
            value = (
                f"replace({value}, {lexer.quote_literal(character)},"
                f" {lexer.quote_literal(chr(92) + character)})"
            )
    return f"'\"' || {value} || '\"'" if statement.add_quotes else value


async def _result_columns(backend: Backend, query: str) -> list[ResultColumn]:
    described = await backend.describe(query)
    if not described:
        raise RedshiftError("UNLOAD: the query returns no columns", sqlstate="42601")
    types = ", ".join(f"format_type({oid}, NULL)" for _, oid, _ in described)
    found = await backend.query(f"SELECT {types}")
    return [
        ResultColumn(name, oid, typmod, str(type_name))
        for (name, oid, typmod), type_name in zip(described, found.rows[0], strict=True)
    ]


def _make_room(statement: UnloadStatement, session: roles.RoleSession) -> None:
    """CLEANPATH deletes what is under the prefix; without it, something there is an error."""
    if statement.allow_overwrite:
        return
    target = statement.target
    action = "s3:ListBucket"
    try:
        pages = session.s3.get_paginator("list_objects_v2").paginate(
            Bucket=target.bucket, Prefix=target.key
        )
        keys = [
            item["Key"]
            for page in pages
            for item in page.get("Contents", ())
            if not (item["Key"].endswith("/") and item["Size"] == 0)
        ]
        if keys and not statement.clean_path:
            raise RedshiftError(
                "Specified unload destination on S3 is not empty. Consider using a different bucket"
                " / prefix, manually removing the target files in S3, or using the ALLOWOVERWRITE"
                " option.",
                detail=f"{target.url} holds {len(keys)} object(s), for one s3://{target.bucket}/{keys[0]}",
            )
        action = "s3:DeleteObject"
        for first in range(0, len(keys), DELETE_AT_ONCE):
            batch = [{"Key": key} for key in keys[first : first + DELETE_AT_ONCE]]
            answer = session.s3.delete_objects(
                Bucket=target.bucket, Delete={"Objects": batch, "Quiet": True}
            )
            for error in answer.get("Errors", ()):
                raise ClientError(
                    {
                        "Error": {"Code": error.get("Code"), "Message": error.get("Message")},
                        "ResponseMetadata": {"HTTPStatusCode": 403, **answer["ResponseMetadata"]},
                    },
                    "DeleteObjects",
                )
    except (ClientError, BotoCoreError) as problem:
        raise roles.s3_failure(problem, action, target.url, session.principal) from problem
