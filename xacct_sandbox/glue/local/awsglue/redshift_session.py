"""Connections to Redshift: login, transactions, and errors with their load errors."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import redshift_connector
from redshift_connector.error import Error, InterfaceError, ProgrammingError

from awsglue.errors import refuse

log = logging.getLogger("glue")

IAM_SCHEME = "jdbc:redshift:iam:"
RUN_PREFIX = "glue-"
"""Before the run's id in the application name: tells the warehouse which run a COPY belongs to."""


def execute_transaction(options: dict[str, Any], statements: list[str]) -> None:
    """Execute statements in one transaction.

    Args:
        options: connection options.
        statements: in order.

    Raises:
        redshift_connector.Error: Redshift's error and the statement; nothing was changed.
    """
    with _connect(options) as connection:
        cursor = connection.cursor()
        began = datetime.now(UTC).replace(tzinfo=None)
        # As in JDBC: with "format" a percent sign in an action would have to be doubled.
        cursor.paramstyle = "qmark"
        try:
            for statement in statements:
                log.info("Redshift: %s", statement)
                cursor.execute(statement)
        except Error as problem:
            connection.rollback()
            told = _load_error(connection, statement, began) or (
                f"{_message(problem)} (statement: {statement[:500]})"
            )
            raise ProgrammingError(told) from problem
        connection.commit()


def _connect(options: dict[str, Any]) -> Any:
    login = _login(options)
    try:
        return redshift_connector.connect(**login)
    except Error as problem:
        raise InterfaceError(
            f"cannot connect to Redshift at {login['host']}:{login['port']}/{login['database']} "
            f"as {login['user']} (connection {options.get('connectionName', 'by url')}): "
            f"{_message(problem)}"
        ) from problem


def _login(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of connect(): from the Glue connection, or ``url``, ``user`` and ``password``.

    A ``jdbc:redshift:iam:`` URL has neither user nor password.
    """
    if options.get("connectionName"):
        url, user, password = _connection_properties(options)
    elif str(options.get("url", "")).startswith(IAM_SCHEME):
        url, user, password = _iam_login(options)
    elif options.get("url"):
        url = options["url"]
        query = parse_qs(urlsplit(url.removeprefix("jdbc:")).query)
        user = options.get("user") or query["user"][0]
        password = options.get("password") or query["password"][0]
    else:
        raise ValueError("connection option 'connectionName' or 'url' is missing")
    address = urlsplit(url.removeprefix("jdbc:"))
    if address.scheme not in ("redshift", "postgresql") or not address.hostname:
        raise ValueError(f"{url.partition('?')[0]} is not jdbc:redshift://host:port/database")
    return {
        "host": address.hostname,
        "port": address.port or 5439,
        "database": address.path.lstrip("/"),
        "user": user,
        "password": password,
        "sslmode": "verify-full",
        "application_name": f"{RUN_PREFIX}{_run_id()}",
    }


def _connection_properties(options: dict[str, Any]) -> tuple[str, str, str]:
    """URL, user and password of a Glue connection."""
    if str(options.get("useConnectionProperties", "false")).lower() != "true":
        raise refuse("connectionName without useConnectionProperties", 'set it to "true"')
    connection = boto3.client("glue").get_connection(Name=options["connectionName"])["Connection"]
    properties = connection["ConnectionProperties"]
    url = properties["JDBC_CONNECTION_URL"]
    if not properties.get("SECRET_ID"):
        return url, properties["USERNAME"], properties["PASSWORD"]
    secretsmanager = boto3.client("secretsmanager")
    response = secretsmanager.get_secret_value(SecretId=properties["SECRET_ID"])
    secret = json.loads(response["SecretString"])
    return url, secret["username"], secret["password"]


def _iam_login(options: dict[str, Any]) -> tuple[str, str, str]:
    """URL, user and temporary password of a ``jdbc:redshift:iam:`` URL.

    The driver asks for the password as the job's role. It knows the workgroup from the host's name,
    or from its options IsServerless and ServerlessWorkGroup (``IamHelper`` of its source).
    """
    for name in ("user", "password"):
        if options.get(name):
            raise refuse(f"{name} beside a {IAM_SCHEME} URL", "leave it out")
    url = options["url"].replace(IAM_SCHEME, "jdbc:redshift:", 1)
    address = urlsplit(url.removeprefix("jdbc:"))
    query = {name.lower(): values[-1] for name, values in parse_qs(address.query).items()}
    if query.get("isserverless") != "true" or not query.get("serverlessworkgroup"):
        raise refuse(
            f"a {IAM_SCHEME} URL of a cluster, or of a host that does not tell the workgroup",
            "give IsServerless=true and ServerlessWorkGroup",
        )
    client = boto3.client("redshift-serverless", region_name=query.get("region"))
    given = client.get_credentials(
        workgroupName=query["serverlessworkgroup"], dbName=address.path.lstrip("/")
    )
    return url, given["dbUser"], given["dbPassword"]


def _run_id() -> str:
    """The job run's id, an argument that Glue gives to every script; empty without one."""
    index = sys.argv.index("--JOB_RUN_ID") if "--JOB_RUN_ID" in sys.argv else -1
    return sys.argv[index + 1] if index >= 0 else ""


def _message(problem: Error) -> str:
    """The server's message, from the dictionary in the driver's exception.

    The detail is included, as in JDBC: only there a COPY without access names the principal and
    the missing permission.
    """
    fields = problem.args[0] if problem.args else str(problem)
    if isinstance(fields, dict):
        detail = f"; {fields['D']}" if fields.get("D") else ""
        return f"{fields.get('M', fields)} [{fields.get('C', 'no SQLSTATE')}]{detail}"
    return str(fields)


def _load_error(connection: Any, statement: str, began: datetime) -> str:
    """The connector's message about a COPY that failed for a row; empty if it failed otherwise.

    It is that of `RedshiftWriter` in spark-redshift-community, with the row of stl_load_errors.
    Process ids are reused, so the time excludes errors of earlier sessions.
    """
    if not statement.startswith("COPY "):
        return ""
    cursor = connection.cursor()
    cursor.execute(
        "SELECT err_code, err_reason, colname, type, col_length, raw_line, raw_field_value "
        "FROM stl_load_errors "
        "WHERE session = pg_backend_pid() AND starttime >= %s ORDER BY query DESC LIMIT 1",
        (began,),
    )
    row = cursor.fetchone()
    connection.rollback()
    if row is None:
        return ""
    code, reason, name, kind, length = (str(value).strip() for value in row[:5])
    table = statement.split(maxsplit=2)[1]
    return (
        f'\nError (code {code}) while loading data into Redshift: "{reason}"\nTable name: {table}\n'
        f"Column name: {name}\nColumn type: {kind}{f'({length})' if length else ''}\n"
        f"Raw line: {row[5]}\nRaw field value: {row[6]}\n"
    )
