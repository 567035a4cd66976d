"""Writing a frame to Redshift as Glue's connector (spark-redshift 6) does it.

Temporary files and a manifest go to S3; then one transaction creates the table if it is missing,
runs the preactions, COPYs the manifest (unless there are no rows), and runs the postactions.
As there, the transaction is tried again when it fails, ``copyretrycount`` times (2).
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import redshift_connector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from awsglue.errors import check_options, refuse

log = logging.getLogger("glue")

KNOWN = {
    "useConnectionProperties",
    "connectionName",
    "url",
    "user",
    "password",
    "dbtable",
    "redshiftTmpDir",
    "aws_iam_role",
    "preactions",
    "postactions",
    "extracopyoptions",
    "tempformat",
    "csvnullstring",
    "include_column_list",
    "legacy_trim_csv_writes",
    "copyretrycount",
    "copydelay",
    "diststyle",
    "distkey",
    "sortkeyspec",
}
FORMATS = ("CSV", "CSV GZIP")
# No temporary file of this size or more is without rows: gzip of nothing takes 20 bytes.
SURELY_NOT_EMPTY = 64
# How the warehouse tells whose COPY it runs.
RUN_PREFIX = "glue-"
PART = re.compile(r"/part-[^/]*$")


def write_redshift(frame: DataFrame, options: dict[str, Any]) -> None:
    """Append a frame to ``dbtable``.

    Raises:
        UnsupportedByLocalGlueError: an option the sandbox does not have.
        ValueError: a needed option is missing.
        redshift_connector.Error: what Redshift said; nothing was changed.
    """
    check_options("writing to redshift", options, KNOWN)
    for needed in ("dbtable", "redshiftTmpDir"):
        if not options.get(needed):
            raise ValueError(f"connection option {needed!r} is missing")
    if not options.get("aws_iam_role"):
        raise refuse("COPY with the job's temporary keys", "give aws_iam_role")
    if str(options.get("tempformat", "AVRO")).upper() not in FORMATS:
        raise refuse(
            f"tempformat {options.get('tempformat', 'AVRO (the default)')}",
            f"use one of {', '.join(FORMATS)}",
        )
    frame = _as_text(frame)
    manifest = _write_temporary_files(frame, options)
    statements = _statements(frame, options, manifest)
    attempts = 1 + int(options.get("copyretrycount", 2))
    for attempt in range(1, attempts + 1):
        try:
            _transaction(options, statements)
        except redshift_connector.Error as problem:
            log.warning("load attempt %s of %s failed: %s", attempt, attempts, problem)
            if attempt == attempts:
                raise
            time.sleep(int(options.get("copydelay", 0)) / 1000)
        else:
            return


def _as_text(frame: DataFrame) -> DataFrame:
    """Dates, timestamps and decimals as the connector writes them; column names in lower case."""
    columns = []
    for item in frame.schema.fields:
        column = F.col(f"`{item.name}`")
        if isinstance(item.dataType, T.StructType | T.ArrayType | T.MapType):
            raise refuse(f"column {item.name} of type {item.dataType.simpleString()}", "flatten it")
        if isinstance(item.dataType, T.TimestampType):
            column = F.date_format(column, "yyyy-MM-dd HH:mm:ss.SSSSSS")
        elif isinstance(item.dataType, T.DateType | T.DecimalType):
            column = column.cast("string")
        columns.append(column.alias(item.name.lower()))
    return frame.select(*columns)


def _write_temporary_files(frame: DataFrame, options: dict[str, Any]) -> str | None:
    """Write the rows and a manifest of the files that have any; None if no file has."""
    folder = f"{options['redshiftTmpDir'].rstrip('/')}/{uuid.uuid4()}"
    trim = str(options.get("legacy_trim_csv_writes", "false")).lower()
    writer = frame.write.format("csv").options(
        escape='"',
        nullValue=options.get("csvnullstring", "@NULL@"),
        ignoreLeadingWhiteSpace=trim,
        ignoreTrailingWhiteSpace=trim,
    )
    if options["tempformat"].upper() == "CSV GZIP":
        writer = writer.option("compression", "gzip")
    writer.save(f"{folder}/")

    s3 = boto3.client("s3")
    bucket, _, prefix = folder.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    entries = [
        {
            "url": f"s3://{bucket}/{item['Key']}",
            "mandatory": True,
            "meta": {"content_length": item["Size"]},
        }
        for page in pages
        for item in page.get("Contents", [])
        if PART.search(item["Key"]) and _has_rows(s3, bucket, item)
    ]
    if not entries:
        return None
    manifest = f"{prefix}/manifest.json"
    s3.put_object(Bucket=bucket, Key=manifest, Body=json.dumps({"entries": entries}).encode())
    return f"s3://{bucket}/{manifest}"


def _has_rows(s3: Any, bucket: str, item: dict[str, Any]) -> bool:
    if item["Size"] >= SURELY_NOT_EMPTY:
        return True
    content = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
    return bool(gzip.decompress(content) if item["Key"].endswith(".gz") else content)


def _statements(frame: DataFrame, options: dict[str, Any], manifest: str | None) -> list[str]:
    table = options["dbtable"]
    copy = [_copy(frame, options, manifest)] if manifest else []
    return [
        _create_table(frame, options),
        *_actions(options.get("preactions"), table),
        *copy,
        *_actions(options.get("postactions"), table),
    ]


def _create_table(frame: DataFrame, options: dict[str, Any]) -> str:
    names = {
        "bigint": "BIGINT",
        "int": "INTEGER",
        "smallint": "SMALLINT",
        "double": "DOUBLE PRECISION",
        "float": "REAL",
        "boolean": "BOOLEAN",
        "string": "TEXT",
    }
    columns = []
    for item in frame.schema.fields:
        kind = names.get(item.dataType.simpleString())
        if kind is None:
            raise refuse(f"column {item.name} of type {item.dataType.simpleString()}", "cast it")
        columns.append(f'"{item.name}" {kind}')
    distribution = f"DISTSTYLE {options.get('diststyle', 'EVEN')}"
    if options.get("distkey"):
        distribution += f" DISTKEY ({options['distkey']})"
    return (
        f"CREATE TABLE IF NOT EXISTS {options['dbtable']} ({', '.join(columns)}) "
        f"{distribution} {options.get('sortkeyspec', '')}"
    ).rstrip()


def _actions(text: str | None, table: str) -> list[str]:
    """Statements between semicolons; as in the connector, ``%s`` stands for the table."""
    statements = [part.strip() for part in (text or "").split(";")]
    return [part.replace("%s", table) for part in statements if part]


def _copy(frame: DataFrame, options: dict[str, Any], manifest: str) -> str:
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


def _transaction(options: dict[str, Any], statements: list[str]) -> None:
    with _connect(options) as connection:
        cursor = connection.cursor()
        began = datetime.now(UTC).replace(tzinfo=None)
        # As in JDBC; with "format" a percent sign in an action would need doubling.
        cursor.paramstyle = "qmark"
        try:
            for statement in statements:
                log.info("Redshift: %s", statement)
                cursor.execute(statement)
        except redshift_connector.Error as problem:
            connection.rollback()
            detail = _load_error(connection, statement, began)
            raise redshift_connector.ProgrammingError(
                f"{_said(problem)}{detail} (statement: {statement[:500]})"
            ) from problem
        connection.commit()


def _connect(options: dict[str, Any]) -> Any:
    login = _login(options)
    try:
        return redshift_connector.connect(**login)
    except redshift_connector.Error as problem:
        raise redshift_connector.InterfaceError(
            f"cannot connect to Redshift at {login['host']}:{login['port']}/{login['database']} "
            f"as {login['user']} (connection {options.get('connectionName', 'by url')}): "
            f"{_said(problem)}"
        ) from problem


def _run_id() -> str:
    """Of the job run, which Glue hands to every script."""
    place = sys.argv.index("--JOB_RUN_ID") if "--JOB_RUN_ID" in sys.argv else -1
    return sys.argv[place + 1] if place >= 0 else ""


def _said(problem: redshift_connector.Error) -> str:
    """The server's message out of the dictionary that the driver raises.

    With its detail, as in JDBC: only there a COPY without access says who lacks which permission.
    """
    said = problem.args[0] if problem.args else str(problem)
    if isinstance(said, dict):
        detail = f"; {said['D']}" if said.get("D") else ""
        return f"{said.get('M', said)} [{said.get('C', 'no SQLSTATE')}]{detail}"
    return str(said)


def _load_error(connection: Any, statement: str, began: datetime) -> str:
    """What stl_load_errors says of a COPY that just failed in this session; empty if nothing.

    Process ids come around again, so what the session of another day left is told by the time.
    """
    if not statement.startswith("COPY "):
        return ""
    cursor = connection.cursor()
    cursor.execute(
        "SELECT colname, type, err_code, err_reason, line_number, filename FROM stl_load_errors "
        "WHERE session = pg_backend_pid() AND starttime >= %s ORDER BY query DESC LIMIT 1",
        (began,),
    )
    row = cursor.fetchone()
    connection.rollback()
    if row is None:
        return ""
    name, kind, code, reason, line, file = (str(value).strip() for value in row)
    return f"; error {code} in {file} line {line}, column {name} ({kind}): {reason}"


def _login(options: dict[str, Any]) -> dict[str, Any]:
    """Where to connect and as whom: from the Glue connection or ``url``, ``user``, ``password``."""
    if options.get("connectionName"):
        if str(options.get("useConnectionProperties", "false")).lower() != "true":
            raise refuse("connectionName without useConnectionProperties", 'set it to "true"')
        properties = boto3.client("glue").get_connection(Name=options["connectionName"])[
            "Connection"
        ]["ConnectionProperties"]
        url = properties["JDBC_CONNECTION_URL"]
        if properties.get("SECRET_ID"):
            answer = boto3.client("secretsmanager").get_secret_value(
                SecretId=properties["SECRET_ID"]
            )
            secret = json.loads(answer["SecretString"])
            user, password = secret["username"], secret["password"]
        else:
            user, password = properties["USERNAME"], properties["PASSWORD"]
    elif options.get("url"):
        url = options["url"]
        query = parse_qs(urlsplit(url.removeprefix("jdbc:")).query)
        user = options.get("user") or query["user"][0]
        password = options.get("password") or query["password"][0]
    else:
        raise ValueError("connection option 'connectionName' or 'url' is missing")
    place = urlsplit(url.removeprefix("jdbc:"))
    if place.scheme not in ("redshift", "postgresql") or not place.hostname:
        raise ValueError(f"{url.partition('?')[0]} is not jdbc:redshift://host:port/database")
    return {
        "host": place.hostname,
        "port": place.port or 5439,
        "database": place.path.lstrip("/"),
        "user": user,
        "password": password,
        "sslmode": "verify-full",
        "application_name": f"{RUN_PREFIX}{_run_id()}",
    }
