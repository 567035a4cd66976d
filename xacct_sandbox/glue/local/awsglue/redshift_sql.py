"""The statements with which Glue's connector (spark-redshift 6) writes a frame."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame

from awsglue.errors import refuse

_COLUMN_TYPES = {
    "bigint": "BIGINT",
    "int": "INTEGER",
    "smallint": "SMALLINT",
    "double": "DOUBLE PRECISION",
    "float": "REAL",
    "boolean": "BOOLEAN",
    "string": "TEXT",
}
"""Redshift's type for each of Spark's."""


def write_statements(frame: DataFrame, options: dict[str, Any], manifest: str | None) -> list[str]:
    """All statements of one write, in order.

    Args:
        frame: the rows.
        options: connection options.
        manifest: URI of the COPY manifest; None if there are no rows.
    """
    table = options["dbtable"]
    copy = [copy_statement(frame, options, manifest)] if manifest else []
    return [
        _create_table(frame, options),
        *action_statements(options.get("preactions"), table),
        *copy,
        *action_statements(options.get("postactions"), table),
    ]


def action_statements(text: str | None, table: str) -> list[str]:
    """The statements of preactions or postactions, which semicolons separate.

    ``%s`` is replaced by the table, as in the connector.
    """
    statements = [part.strip() for part in (text or "").split(";")]
    return [part.replace("%s", table) for part in statements if part]


def copy_statement(frame: DataFrame, options: dict[str, Any], manifest: str) -> str:
    """The COPY of a manifest's files."""
    columns = ""
    if str(options.get("include_column_list", "false")).lower() == "true":
        columns = "(" + ", ".join(f'"{name}"' for name in frame.columns) + ") "
    null = options.get("csvnullstring", "@NULL@").replace("'", "''")
    return " ".join(
        part
        for part in (
            f"COPY {options['dbtable']} {columns}FROM '{manifest}'",
            f"IAM_ROLE '{options['aws_iam_role']}'",
            f"FORMAT AS {options['tempformat'].upper()} NULL AS '{null}' MANIFEST",
            options.get("extracopyoptions", ""),
        )
        if part
    )


def _create_table(frame: DataFrame, options: dict[str, Any]) -> str:
    columns = []
    for field in frame.schema.fields:
        kind = _COLUMN_TYPES.get(field.dataType.simpleString())
        if kind is None:
            raise refuse(f"column {field.name} of type {field.dataType.simpleString()}", "cast it")
        columns.append(f'"{field.name}" {kind}')
    distribution = f"DISTSTYLE {options.get('diststyle', 'EVEN')}"
    if options.get("distkey"):
        distribution += f" DISTKEY ({options['distkey']})"
    return (
        f"CREATE TABLE IF NOT EXISTS {options['dbtable']} ({', '.join(columns)}) "
        f"{distribution} {options.get('sortkeyspec', '')}"
    ).rstrip()
