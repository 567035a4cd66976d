"""Tables, procedure, rights and login of the warehouse, and the warehouse itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from tests.support.misconfigurations.case import SECRET, SUFFIX, Case, Hands
from tests.support.project import ROOT
from xacct_assets.aws.redshift.sql import split_statements

USER = f"xacct_{SUFFIX}"
TABLES = "products: tables and procedure"
RIGHTS = "products: rights of the database user"
LOGIN, NETWORK = "login to Redshift", "network path and TLS to Redshift"
IN_SECRET = "login for Redshift"


def tables_and_rights() -> list[Case]:
    return [*_tables(), *_procedures(), *_rights()]


def _sql(name: str, check: str, statements: tuple[str, ...], *names: str) -> Case:
    return Case(name, check, lambda hands: hands.sql(*statements), names)


def _tables() -> Iterator[Case]:
    for table, column in (
        ("products", "brand"),
        ("products", "price"),
        ("products_f", "description"),
        ("products_f", "loaded_at"),
        ("xacct_load_audit", "transformed_at"),
        ("xacct_load_audit", "load_id"),
    ):
        drop = f"ALTER TABLE public.{table} DROP COLUMN {column}"
        yield _sql(f"{table} without {column}", TABLES, (drop,), f"no column {column}")
    for table, column, type_ in (
        ("products", "name", "varchar(16)"),
        ("products", "id", "varchar(20)"),
        ("products", "price", "decimal(12,4)"),
        ("products", "updated_at", "date"),
        ("products_f", "description", "varchar(64)"),
        ("products_f", "stock", "smallint"),
        ("products_f", "stock", "varchar(10)"),
        ("xacct_load_audit", "rows_loaded", "integer"),
    ):
        again = (
            f"ALTER TABLE public.{table} DROP COLUMN {column}",
            f"ALTER TABLE public.{table} ADD COLUMN {column} {type_}",
        )
        yield _sql(f"{table}.{column} is {type_}", TABLES, again, f"{table}.{column} is")
    for table, file in (("products", "staging.sql"), ("products_f", "fact.sql")):
        text = (ROOT / "sql" / "products" / file).read_text(encoding="utf-8")
        (made,) = split_statements(text)
        drop, day = f"DROP TABLE public.{table}", "partition_date DATE "
        again = made.replace(day, f"extra INTEGER NOT NULL, {day}")
        yield _sql(f"{table} with another NOT NULL column", TABLES, (drop, again), "extra")
    for table in ("products", "products_f", "xacct_load_audit"):
        yield _sql(f"{table} dropped", TABLES, (f"DROP TABLE public.{table}",), f"public.{table}")


def _procedures() -> Iterator[Case]:
    drop = "DROP PROCEDURE public.sp_products(DATE, DATE)"
    yield _sql("procedure dropped", TABLES, (drop,), "no procedure public.sp_products")
    for signature, arguments in (("DATE", "day IN DATE"), ("VARCHAR", "day IN VARCHAR")):
        yield _sql(
            f"procedure takes ({signature})",
            TABLES,
            (
                drop,
                f"CREATE OR REPLACE PROCEDURE public.sp_products({arguments}) "
                "AS $$ BEGIN RETURN; END; $$ LANGUAGE plpgsql",
            ),
            "sp_products takes",
        )


def _rights() -> Iterator[Case]:
    for right, on in (
        ("SELECT", "public.products"),
        ("INSERT", "public.products"),
        ("DELETE", "public.products"),
        ("SELECT", "public.products_f"),
        ("INSERT", "public.products_f"),
        ("DELETE", "public.products_f"),
        ("UPDATE", "public.xacct_load_audit"),
        ("INSERT", "public.xacct_load_audit"),
    ):
        revoke = f"REVOKE {right} ON {on} FROM {USER}"
        yield _sql(f"{right} on {on} revoked", RIGHTS, (revoke,), f"{right} on {on}")
    yield _sql(
        "CREATE on the schema revoked",
        RIGHTS,
        # PUBLIC, every user, has it by default.
        tuple(f"REVOKE CREATE ON SCHEMA public FROM {name}" for name in ("PUBLIC", USER)),
        "CREATE on schema public",
    )
    yield _sql(
        "EXECUTE of the procedure revoked",
        RIGHTS,
        (f"REVOKE EXECUTE ON PROCEDURE public.sp_products(DATE, DATE) FROM {USER}",),
        "EXECUTE on public.sp_products",
    )


def secrets() -> list[Case]:
    def case(what: str, check: str, change: Callable[[Any], Any], *names: str) -> Case:
        def make(hands: Hands) -> None:
            manager = hands.b("secretsmanager")
            now = json.loads(manager.get_secret_value(SecretId=SECRET)["SecretString"])
            new = change(now)
            text = new if isinstance(new, str) else json.dumps(new)
            manager.put_secret_value(SecretId=SECRET, SecretString=text)

        return Case(f"secret: {what}", check, make, names)

    def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda now: {key: value for key, value in now.items() if key != name}

    return [
        case("another host", IN_SECRET, lambda now: {**now, "host": "elsewhere"}, "host"),
        case("another port", IN_SECRET, lambda now: {**now, "port": 5433}, "port"),
        case("another database", IN_SECRET, lambda now: {**now, "dbname": "prod"}, "database"),
        case("another user", IN_SECRET, lambda now: {**now, "username": "other"}, "user"),
        case("no password", IN_SECRET, without("password"), "no password"),
        case("no user", IN_SECRET, without("username"), "no user"),
        case("no JSON", IN_SECRET, lambda _: "to be filled in", "neither"),
        case("another password", LOGIN, lambda now: {**now, "password": "Wrong1234"}, USER),
        Case(
            "secret: marked for deletion",
            IN_SECRET,
            lambda hands: hands.b("secretsmanager").delete_secret(SecretId=SECRET),
            ("deletion",),
        ),
        Case(
            "database user: another password",
            LOGIN,
            lambda hands: hands.sql(f"ALTER USER {USER} PASSWORD 'Other1234'"),
            (USER,),
        ),
        Case(
            "RoleB is not attached to the namespace",
            "role chain of UNLOAD",
            lambda hands: hands.b("redshift-serverless").update_namespace(
                namespaceName=f"xacct-{SUFFIX}", iamRoles=[]
            ),
            ("not attached",),
        ),
    ]


def silent() -> list[Case]:
    return [
        Case("warehouse: its process is stopped", NETWORK, _stop, ("does not answer",), _go_on),
        Case("warehouse: PostgreSQL is stopped", LOGIN, _stop_database, (), _go_on),
        Case("warehouse: another program on its port", NETWORK, _replace, ("not answer",), _start),
        Case("warehouse: its process has ended", NETWORK, _end, ("refused",), _start),
    ]


def _warehouse(hands: Hands) -> psutil.Process:
    """The process of the sandbox's Redshift."""
    daemon = json.loads(hands.sandbox.config.sandbox_json.read_text())["pid"]
    return next(
        process
        for process in psutil.Process(daemon).children()
        if "xacct_sandbox.redshift" in process.cmdline()
    )


def _stop(hands: Hands) -> None:
    os.kill(_warehouse(hands).pid, signal.SIGSTOP)


def _stop_database(hands: Hands) -> None:
    for process in _warehouse(hands).children(recursive=True):
        _signal(process, signal.SIGSTOP)


def _go_on(hands: Hands) -> None:
    process = _warehouse(hands)
    for one in (process, *process.children(recursive=True)):
        _signal(one, signal.SIGCONT)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    # A process of PostgreSQL ends with its connection.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def _end(hands: Hands) -> None:
    process = _warehouse(hands)
    process.terminate()
    deadline = time.monotonic() + 30
    # The daemon, whose child it is, may not have noticed that it has ended.
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)


_listeners: list[socket.socket] = []


def _replace(hands: Hands) -> None:
    """A program that accepts connections and never answers."""
    _end(hands)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((hands.sandbox.config.host, hands.sandbox.config.redshift_port))
    listener.listen(16)
    _listeners.append(listener)


def _start(hands: Hands) -> None:
    while _listeners:
        _listeners.pop().close()
    hands.sandbox.run("xacct_sandbox.cli", "down")
    hands.sandbox.run("xacct_sandbox.cli", "up", "--no-deploy")
