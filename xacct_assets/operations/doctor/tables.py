"""The feed's tables and procedure: columns, types, signature, and the database user's rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import InvalidRequest
from xacct_assets.aws.redshift.iam_login import role_user
from xacct_assets.aws.redshift.sql import load_statement
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.deployment import require_tables
from xacct_assets.feed.spec import LOADED_AT_COLUMN, FeedSpec
from xacct_assets.feed.sql_files.table_checks import holds
from xacct_assets.feed.sql_files.table_columns import canonical_type

if TYPE_CHECKING:
    from xacct_assets.operations.doctor.installation import Installation

_PACKAGE = "xacct_assets.operations.doctor"
_DEPLOY = "`xacct deploy --account b`"
_LOAD_AUDIT = {
    "feed": "varchar(128)",
    "partition_date": "date",
    "load_id": "varchar(64)",
    "rows_loaded": "bigint",
    "loaded_at": "timestamp",
    "transformed_at": "timestamp",
}
_SIGNATURE = "date, date"
# Rights of sql/feed_grants.sql, and of sql/load_grants.sql.
_RUN_RIGHTS = {
    "staging": ("SELECT", "DELETE"),
    "fact": ("SELECT", "INSERT", "DELETE"),
    "load_audit": ("SELECT", "UPDATE"),
}
_LOAD_RIGHTS = {
    "staging": ("SELECT", "INSERT", "DELETE"),
    "load_audit": ("SELECT", "INSERT", "DELETE"),
}
#: A right: how a message calls it, and the arguments of ``has_<kind>_privilege``.
Right = tuple[str, str, list[str]]

Columns = dict[str, Mapping[str, Any]]


def tables_and_procedure(here: Installation, feed: FeedSpec) -> str:
    """The feed's tables have its columns with its types, and its procedure its signature."""
    require_tables(feed, here.aws)
    tables = feed.warehouse
    found = _columns(here, [tables.staging, tables.fact, tables.load_audit])
    feeds = {column.name: column.type for column in feed.columns}
    required = {column.name for column in feed.columns if not column.nullable}
    expected = {
        tables.staging: {**feeds, PARTITION_COLUMN: "date"},
        tables.fact: {**feeds, PARTITION_COLUMN: "date", LOADED_AT_COLUMN: "timestamp"},
        tables.load_audit: _LOAD_AUDIT,
    }
    always = {PARTITION_COLUMN, LOADED_AT_COLUMN, *_LOAD_AUDIT}
    problems = [
        problem
        for table, columns in expected.items()
        for problem in _problems(
            table, columns, found[table], required | always, keeps_rows=table != tables.staging
        )
    ]
    if problems:
        raise InvalidRequest(
            f"the tables are not as feed {feed.name} needs: "
            f"{'; '.join(what for what, _ in problems)}",
            # Redshift changes no type of a column in a transaction (ALTER TABLE).
            fix="as the admin of the database, each statement by itself: "
            + ", ".join(f"`{sql}`" for _, sql in problems)
            + f"; then {_DEPLOY}",
        )
    _require_signature(here, feed)
    return f"{tables.staging}, {tables.fact}, {tables.load_audit} and {tables.procedure}() fit"


def grants(here: Installation, feed: FeedSpec) -> str:
    """The pipeline's users may use the feed's tables and call its procedure."""
    settings = here.settings
    run, load = _run_rights(feed), _load_rights(feed)
    rights = run if settings.logs_in_by_iam else run + load
    if lacking := _lacking(here, rights):
        raise _without_rights(here.aws.warehouse_credentials().user, lacking)
    if not settings.logs_in_by_iam:
        return f"the {len(rights)} rights that a run needs are granted"
    job = role_user(settings.glue_role_arn)
    if not here.aws.warehouse.query("SELECT 1 AS one FROM pg_user WHERE usename = %s", [job]):
        raise InvalidRequest(f"there is no database user {job}", fix=f"{_DEPLOY} makes it")
    if lacking := _lacking(here, load, job):
        raise _without_rights(job, lacking)
    return f"the {len(run)} rights that a run needs are granted, and {len(load)} to {job}"


def _without_rights(user: str, lacking: Sequence[str]) -> InvalidRequest:
    return InvalidRequest(
        f"database user {user} lacks {', '.join(lacking)}", fix=f"{_DEPLOY} grants it"
    )


def _run_rights(feed: FeedSpec) -> list[Right]:
    tables = feed.warehouse
    schemas = {_schema(getattr(tables, kind)) for kind in (*_RUN_RIGHTS, "procedure")}
    procedure = f"{tables.procedure}(date, date)"
    return [
        *_of_tables(feed, _RUN_RIGHTS),
        *((f"USAGE on schema {name}", "schema", [name, "USAGE"]) for name in sorted(schemas)),
        (f"EXECUTE on {procedure}", "function", [procedure, "EXECUTE"]),
    ]


def _load_rights(feed: FeedSpec) -> list[Right]:
    staging = _schema(feed.warehouse.staging)
    return [
        *_of_tables(feed, _LOAD_RIGHTS),
        (f"CREATE on schema {staging}", "schema", [staging, "CREATE"]),
    ]


def _of_tables(feed: FeedSpec, rights_of: Mapping[str, Sequence[str]]) -> list[Right]:
    return [
        (
            f"{right} on {getattr(feed.warehouse, kind)}",
            "table",
            [getattr(feed.warehouse, kind), right],
        )
        for kind, rights in rights_of.items()
        for right in rights
    ]


def _lacking(here: Installation, rights: Sequence[Right], user: str | None = None) -> list[str]:
    """The rights that a database user lacks; by default, the user of this login."""
    whose = "" if user is None else "%s, "
    selected = ", ".join(
        f"has_{kind}_privilege({whose}%s, %s) AS r{number}"
        for number, (_, kind, _) in enumerate(rights)
    )
    own = [] if user is None else [user]
    values = [value for _, _, pair in rights for value in (*own, *pair)]
    (row,) = here.aws.warehouse.query(f"SELECT {selected}", values)
    lacking = [name for number, (name, _, _) in enumerate(rights) if not row[f"r{number}"]]
    return list(dict.fromkeys(lacking))


def _columns(here: Installation, tables: Sequence[str]) -> dict[str, Columns]:
    parameters = [part for name in tables for part in (_schema(name), name.rpartition(".")[2])]
    sql = load_statement(_PACKAGE, "table_columns")
    rows = here.aws.warehouse.query(sql, parameters)
    found: dict[str, Columns] = {name: {} for name in tables}
    for row in rows:
        found[f"{row['schema_name']}.{row['table_name']}"][row["column_name"]] = row
    return found


def _problems(
    table: str,
    expected: Mapping[str, str],
    found: Columns,
    required: set[str],
    *,
    keeps_rows: bool,
) -> Iterator[tuple[str, str]]:
    """What is wrong with a table, and the SQL that mends it."""
    for name, wanted in expected.items():
        if name not in found:
            sql = f"ALTER TABLE {table} ADD COLUMN {name} {wanted}"
            yield f"{table} has no column {name}", sql
            continue
        type_ = canonical_type(str(found[name]["type_name"]))
        if not holds(type_, wanted):
            what = f"{table}.{name} is {type_} (the feed says {wanted})"
            yield what, _retype(table, name, type_, wanted) if keeps_rows else f"DROP TABLE {table}"
        elif found[name]["is_required"] and name not in required:
            what = f"{table}.{name} is NOT NULL, in the feed it is nullable"
            yield what, _retype(table, name, type_, wanted) if keeps_rows else f"DROP TABLE {table}"
    for name, row in found.items():
        if name not in expected and row["is_required"] and not row["has_default"]:
            what = f"{table}.{name} is no column of the feed, and NOT NULL without a default"
            yield what, f"ALTER TABLE {table} DROP COLUMN {name}"


def _retype(table: str, name: str, is_: str, wanted: str) -> str:
    """Statements that give a column another type and keep its values."""
    if is_.startswith("varchar") and wanted.startswith("varchar"):
        # The only change of a type that Redshift makes in place (ALTER TABLE).
        return f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {wanted}"
    new = f"{name}_new"
    return "; ".join(
        [
            f"ALTER TABLE {table} ADD COLUMN {new} {wanted}",
            f"UPDATE {table} SET {new} = CAST({name} AS {wanted})",  # noqa: S608 -- of the catalog
            f"ALTER TABLE {table} DROP COLUMN {name}",
            f"ALTER TABLE {table} RENAME COLUMN {new} TO {name}",
        ]
    )


def _require_signature(here: Installation, feed: FeedSpec) -> None:
    procedure = feed.warehouse.procedure
    sql = load_statement(_PACKAGE, "procedure_signatures")
    rows = here.aws.warehouse.query(sql, [_schema(procedure), procedure.rpartition(".")[2]])
    signatures = [str(row["parameters"]) for row in rows]
    if _SIGNATURE not in signatures:
        raise InvalidRequest(
            f"procedure {procedure} takes ({'), ('.join(signatures)}), the pipeline calls it with "
            f"({_SIGNATURE})",
            fix=f"{_DEPLOY} makes it again",
        )


def _schema(name: str) -> str:
    return name.rpartition(".")[0] or "public"
