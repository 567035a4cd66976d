"""ListDatabases, ListSchemas, ListTables and DescribeTable: synchronous reads of the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xacct_sandbox.emulator.paging import page
from xacct_sandbox.redshift.api.data_api.runner import Database, Login, Session
from xacct_sandbox.redshift.api.wire_client import DatabaseError
from xacct_sandbox.service_errors import ServiceError

PAGE = 1000

Request = dict[str, Any]
FindLogin = Callable[[Request], tuple[dict[str, Any], Callable[[], Login]]]

_DATABASES = (
    "SELECT datname FROM pg_catalog.pg_database "
    "WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
)
_SCHEMAS = (
    "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname NOT LIKE 'pg!_t%' ESCAPE '!' "
    "AND nspname <> 'sandbox_internal' AND nspname LIKE $1 ORDER BY 1"
)
_TABLES = (
    "SELECT t.table_name, t.table_type, t.table_schema FROM information_schema.tables t "
    "WHERE t.table_schema <> 'sandbox_internal' AND t.table_schema LIKE $1 "
    "AND t.table_name LIKE $2 ORDER BY t.table_schema, t.table_name"
)
_COLUMNS = (
    "SELECT c.column_name, c.udt_name, c.is_nullable, c.column_default, "
    "c.character_maximum_length, c.numeric_precision, c.numeric_scale, c.table_schema "
    "FROM information_schema.columns c WHERE c.table_schema LIKE $1 AND c.table_name = $2 "
    "ORDER BY c.table_schema, c.ordinal_position"
)


class Metadata:
    """The operations. They run as the caller's own database user."""

    def __init__(self, database: Database, find_login: FindLogin) -> None:
        self._database = database
        self._find_login = find_login

    def operations(self) -> dict[str, Callable[[Request], dict[str, Any]]]:
        """The operations by name, for the emulator."""
        return {
            "ListDatabases": self.list_databases,
            "ListSchemas": self.list_schemas,
            "ListTables": self.list_tables,
            "DescribeTable": self.describe_table,
        }

    def list_databases(self, request: Request) -> dict[str, Any]:
        """ListDatabases."""
        rows = self._read(request, _DATABASES)
        return _paged(request, "Databases", [row[0] for row in rows])

    def list_schemas(self, request: Request) -> dict[str, Any]:
        """ListSchemas."""
        rows = self._read(request, _SCHEMAS, request.get("SchemaPattern") or "%")
        return _paged(request, "Schemas", [row[0] for row in rows])

    def list_tables(self, request: Request) -> dict[str, Any]:
        """ListTables."""
        rows = self._read(
            request,
            _TABLES,
            request.get("SchemaPattern") or "%",
            request.get("TablePattern") or "%",
        )
        tables = [
            {"name": name, "type": _table_type(kind, schema), "schema": schema}
            for name, kind, schema in rows
        ]
        return _paged(request, "Tables", tables)

    def describe_table(self, request: Request) -> dict[str, Any]:
        """DescribeTable."""
        table = request.get("Table")
        if not table:
            raise ServiceError("ValidationException", "Table is required")
        rows = self._read(request, _COLUMNS, request.get("Schema") or "%", table)
        columns = [
            {
                "name": name,
                "typeName": kind,
                "nullable": 1 if nullable == "YES" else 0,
                "columnDefault": default,
                "length": length or precision or 0,
                "precision": precision or length or 0,
                "scale": scale or 0,
                "schemaName": schema,
                "tableName": table,
                "isCaseSensitive": length is not None,
                "isCurrency": False,
                "isSigned": precision is not None,
            }
            for name, kind, nullable, default, length, precision, scale, schema in rows
        ]
        answer = _paged(request, "ColumnList", columns)
        return {**answer, "TableName": table}

    def _read(self, request: Request, sql: str, *values: str) -> list[tuple[Any, ...]]:
        if request.get("ConnectedDatabase") not in (None, request.get("Database")):
            raise ServiceError(
                "ValidationException", "ConnectedDatabase: the sandbox has one database only"
            )
        _, login = self._find_login(request)
        credentials = login()
        session: Session | None = None
        try:
            session = self._database.acquire(credentials)
            rows = [tuple(row) for row in session.execute(sql, values).rows]
        except DatabaseError as problem:
            if session is not None:
                self._database.release(credentials, session, reusable=False)
            raise ServiceError("DatabaseConnectionException", str(problem), 500) from problem
        self._database.release(credentials, session, reusable=True)
        return rows


def _table_type(kind: str, schema: str) -> str:
    if schema in ("pg_catalog", "information_schema"):
        return "SYSTEM VIEW" if kind == "VIEW" else "SYSTEM TABLE"
    return {"BASE TABLE": "TABLE"}.get(kind, kind)


def _paged(request: Request, key: str, items: list[Any]) -> dict[str, Any]:
    found, token = page(items, request, limit=PAGE, error="ValidationException")
    return {key: found, "NextToken": token} if token else {key: found}
