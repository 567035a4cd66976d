"""The wire front through redshift_connector, unmodified: protocol, SQL, isolation, durability."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from redshift_connector import Cursor
from redshift_connector.error import InterfaceError, ProgrammingError

from tests.support.sandbox import free_port, free_wire_port
from tests.support.simple_protocol import Simple, kinds
from tests.support.warehouse import ADMIN, PASSWORD, Warehouse, running_warehouse, trusting
from xacct_sandbox.redshift.api.control import Control, md5_digest
from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.query_connection import QueryConnection
from xacct_sandbox.redshift.storage.postgres import DATABASE, SUPERUSER, PostgresCluster


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    with (
        tempfile.TemporaryDirectory(prefix="xacct-tests-") as folder,
        running_warehouse(Path(folder), free_port(), free_wire_port()) as running,
    ):
        yield running


@pytest.fixture
def cursor(warehouse: Warehouse) -> Cursor:
    return warehouse.cursor()


def rows(cursor: Cursor, sql: str, *parameters: object) -> list[list[object]]:
    cursor.execute(sql, parameters or None)
    return [list(row) for row in cursor.fetchall()]


def refusal(cursor: Cursor, sql: str) -> dict[str, str]:
    with pytest.raises(ProgrammingError) as caught:
        cursor.execute(sql)
    return caught.value.args[0]


# -- connecting --------------------------------------------------------------------------------

REFUSED_LOGIN = "password authentication failed"


def test_a_wrong_password_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(InterfaceError, match=REFUSED_LOGIN):
        warehouse.connect(password="Wrong1234")


@pytest.fixture
def control(warehouse: Warehouse) -> Iterator[Control]:
    """The daemon's connection, which gives out temporary passwords."""
    with trusting(warehouse.config.ca_bundle):
        control = Control(warehouse.config)
        yield control
        control.close()


def test_each_temporary_password_logs_in_until_it_expires(
    warehouse: Warehouse, control: Control
) -> None:
    user, until = "IAMR:Load-Role", datetime.now(UTC) + timedelta(hours=1)
    control.add_temporary_password(user, "Aa1-first-one", until)
    control.add_temporary_password(user, "Aa1-other-one", until)
    opened = [warehouse.cursor(user, "Aa1-first-one"), warehouse.cursor(user, "Aa1-other-one")]
    control.run(
        "UPDATE sandbox_internal.temporary_passwords SET valid_until = pg_catalog.now()"
        " WHERE digest = %s",
        (md5_digest(user, "Aa1-first-one"),),
    )
    warehouse.cursor(user, "Aa1-other-one")
    for wrong in ("Aa1-first-one", "Aa1-nobodys"):
        with pytest.raises(InterfaceError, match=REFUSED_LOGIN):
            warehouse.connect(user, wrong)
    for cursor in opened:
        assert rows(cursor, "SELECT current_user") == [[user]]


def test_a_user_without_a_password_can_be_granted_rights_before_its_role_logs_in(
    warehouse: Warehouse, cursor: Cursor, control: Control
) -> None:
    user = "IAMR:Reader-Role"
    cursor.execute(f'CREATE USER "{user}" PASSWORD DISABLE')
    cursor.execute("CREATE TABLE for_reader (a INTEGER)")
    cursor.execute("INSERT INTO for_reader VALUES (7)")
    cursor.execute(f'GRANT SELECT ON for_reader TO "{user}"')
    with pytest.raises(InterfaceError, match=REFUSED_LOGIN):
        warehouse.connect(user, "Aa1-given-later")
    until = datetime.now(UTC) + timedelta(hours=1)
    control.add_temporary_password(user, "Aa1-given-later", until)
    reader = warehouse.cursor(user, "Aa1-given-later")
    assert rows(reader, "SELECT a FROM for_reader") == [[7]]
    assert refusal(reader, "DELETE FROM for_reader")["C"] == "42501"
    shown = rows(cursor, "SELECT usesuper FROM pg_user WHERE usename IN (%s, %s)", user, ADMIN)
    assert sorted(shown) == [[False], [True]]


def test_an_unknown_database_is_named(warehouse: Warehouse) -> None:
    with pytest.raises(ProgrammingError, match='database "other" does not exist'):
        connect_to(warehouse, "other")


def connect_to(warehouse: Warehouse, database: str) -> None:
    import redshift_connector

    with trusting(warehouse.config.ca_bundle):
        redshift_connector.connect(
            host="127.0.0.1",
            port=warehouse.config.redshift_port,
            user=ADMIN,
            password=PASSWORD,
            database=database,
            sslmode="verify-full",
        )


def test_a_client_without_tls_is_refused(warehouse: Warehouse) -> None:
    with socket.create_connection(("127.0.0.1", warehouse.config.redshift_port)) as plain:
        plain.sendall(protocol.startup({"user": ADMIN, "database": "dev"}))
        assert b"SSL is required" in plain.recv(4096)


def test_a_paused_workgroup_takes_no_connections(warehouse: Warehouse) -> None:
    control = warehouse.cursor("rdsdb", warehouse.token)
    control.execute("UPDATE sandbox_internal.namespace SET status = 'paused'")
    try:
        with pytest.raises(ProgrammingError, match="the workgroup is paused"):
            warehouse.connect()
    finally:
        control.execute("UPDATE sandbox_internal.namespace SET status = 'available'")
    warehouse.connect()


def test_the_server_says_it_is_redshift(cursor: Cursor) -> None:
    assert "Redshift" in str(rows(cursor, "select version()")[0][0])


def test_the_sandboxs_own_schema_is_out_of_reach(cursor: Cursor) -> None:
    assert refusal(cursor, "select * from sandbox_internal.namespace")["C"] == "42501"
    assert rows(cursor, "select * from svv_tables where table_schema = 'sandbox_internal'") == []


# -- statements --------------------------------------------------------------------------------


def test_values_of_every_type_come_back(cursor: Cursor) -> None:
    found = rows(
        cursor,
        "select %s::bigint, %s::decimal(12, 2), %s::varchar(20), %s::boolean, date '2026-01-02',"
        " timestamp '2026-01-02 03:04:05.5', null::int, 1.5::float8, json_parse('{\"a\": 1}')",
        5,
        Decimal("3.10"),
        "naïve 🙂",
        True,
    )[0]
    assert found[:4] == [5, Decimal("3.10"), "naïve 🙂", True]
    assert found[4:6] == [date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 500000)]
    assert found[6:] == [None, 1.5, '{"a": 1}']


def test_a_long_result_arrives_whole(cursor: Cursor) -> None:
    found = rows(cursor, "select i, repeat('x', 200) from generate_series(1, 20000) as i")
    assert len(found) == 20000
    assert found[-1][0] == 20000
    assert rows(cursor, "select 1") == [[1]]


def test_an_error_fails_the_transaction_until_rollback(warehouse: Warehouse) -> None:
    connection = warehouse.connect()
    cursor = connection.cursor()
    cursor.execute("create temp table t (a int)")
    assert "ON CONFLICT" in refusal(cursor, "insert into t values (1) on conflict do nothing")["M"]
    assert refusal(cursor, "select 1")["C"] == "25P02"
    connection.rollback()
    assert rows(cursor, "select 1") == [[1]]


def test_functions_of_redshift(cursor: Cursor) -> None:
    assert rows(
        cursor,
        "select datediff(day, '2026-01-01', '2026-01-31'), datediff(year, '2025-12-31',"
        " '2026-01-01'), dateadd(month, 1, '2026-01-31')::date, len('naïve'), nvl(null, 7),"
        " decode(null, null, 'n', 'x'), charindex('b', 'abc'), strtol('ff', 16),"
        " last_day(date '2026-02-03')::varchar, trunc(timestamp '2026-01-02 10:00:00')::varchar,"
        " 7::decimal / 2, datediff(week, '2026-01-03', '2026-01-04')",
    )[0][:2] == [30, 1]


def test_names_fold_to_lower_case_even_quoted(cursor: Cursor) -> None:
    cursor.execute('create temp table "Mixed" ("Id" int, Name varchar(5))')
    cursor.execute("insert into MIXED values (1, 'a')")
    cursor.execute('select "ID", NAME as "Label" from mixed')
    assert [column[0] for column in cursor.description or ()] == ["id", "label"]


def test_varchar_counts_bytes(cursor: Cursor) -> None:
    cursor.execute("create temp table v (a varchar(4), c char(2))")
    cursor.execute("insert into v values ('éé', 'ab')")
    error = refusal(cursor, "insert into v values ('ééx', 'ab')")
    assert (error["M"], error["C"]) == ("value too long for type character varying(4)", "22001")
    assert refusal(cursor, "update v set a = 'ééé'")["C"] == "22001"
    assert "character(2)" in refusal(cursor, "insert into v values ('a', 'éé')")["M"]
    cursor.execute("alter table v alter column a type varchar(6)")
    cursor.execute("update v set a = 'ééé'")
    assert refusal(cursor, "update v set a = 'éééx'")["M"].endswith("varying(6)")


def test_varchar_counts_bytes_in_tables_made_by_queries_and_procedures(cursor: Cursor) -> None:
    cursor.execute("create temp table w as select 'ab'::varchar(3) as a")
    assert refusal(cursor, "insert into w values ('éé')")["C"] == "22001"
    cursor.execute(
        "create or replace procedure make_w() as $$ begin execute"
        " 'create table made_w (a varchar(3))'; end; $$ language plpgsql"
    )
    cursor.execute("call make_w()")
    assert refusal(cursor, "insert into made_w values ('éé')")["C"] == "22001"
    cursor.execute("drop table made_w")


# -- trailing blanks --------------------------------------------------------------------------

BLANKS = ("A", "A ", "A   ", "B", "A\t", " A", "")
"""Five values that differ for Redshift: the first three are equal."""


@pytest.fixture
def blanks(cursor: Cursor) -> Cursor:
    """A table with each text in columns ``v varchar(8)``, ``c char(8)`` and its number ``n``."""
    cursor.execute("create temp table blanks (n int, v varchar(8), c char(8))")
    for number, text in enumerate(BLANKS):
        cursor.execute("insert into blanks values (%s, %s, %s)", (number, text, text))
    return cursor


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select count(*) from blanks where v = 'A'", 3),
        ("select count(*) from blanks where v = 'A  '", 3),
        ("select count(*) from blanks where v <> 'A'", 4),
        ("select count(*) from blanks where v in ('A ', 'B  ')", 4),
        ("select count(*) from blanks where v not in ('A ', 'B  ')", 3),
        ("select count(*) from blanks where v between 'A' and 'A '", 3),
        ("select count(*) from blanks where v < 'A'", 2),
        ("select count(*) from blanks where v <= 'A'", 5),
        ("select count(*) from blanks where v > 'A '", 2),
        ("select count(*) from blanks where v >= 'A '", 5),
        ("select count(*) from blanks where v = '  '", 1),
        ("select count(distinct v) from blanks", 5),
        ("select count(*) from (select distinct v from blanks)", 5),
        ("select count(*) from (select v from blanks group by v)", 5),
        ("select max(k) from (select count(*) as k from blanks group by v)", 3),
        ("select count(*) from (select v from blanks union select 'B  ' union select 'C')", 6),
        ("select count(*) from (select v from blanks except select 'A  ')", 4),
        ("select count(*) from (select v from blanks intersect select 'A  ')", 1),
        ("select count(*) from blanks a join blanks b on a.v = b.v", 13),
        ("select count(*) from blanks a join blanks b on a.v = b.c", 13),
        ("select count(*) from blanks a join blanks b on a.c = b.c", 13),
        ("select count(*) from blanks a join blanks b on a.v < b.v", 18),
        ("select count(*) from blanks where v in (select v || '  ' from blanks where n = 0)", 3),
        ("select count(*) from blanks where nullif(v, 'A') is null", 3),
        ("select count(*) from blanks where case v when 'A' then true else false end", 3),
        ("select count(*) from blanks where decode(v, 'A ', 1, 0) = 1", 3),
        ("select count(*) from blanks where (v, n) = ('A', 1)", 1),
        ("select max(k) from (select rank() over (partition by v order by v) k from blanks)", 1),
        ("select max(v) = 'B ' and min(v) = ' ' from blanks", True),
        ("select greatest('A', 'A  ') = 'A'", True),
        ("select len(max(v)) from blanks where v <> 'B'", 2),
    ],
)  # fmt: skip
def test_trailing_blanks_do_not_count_in_comparisons(
    blanks: Cursor, sql: str, expected: object
) -> None:
    assert rows(blanks, sql) == [[expected]]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select sum(len(v)), sum(octet_length(v)) from blanks", [12, 12]),
        ("select sum(len(c)), sum(octet_length(c)) from blanks", [8, 56]),
        ("select count(*) from blanks where v like 'A'", [1]),
        ("select count(*) from blanks where v like 'A %%'", [2]),
        ("select count(*) from blanks where v ~ '^A$'", [1]),
        ("select count(*) from blanks where v || '!' = 'A!'", [1]),
        ("select count(*) from blanks where c || '!' = 'A!'", [3]),
        ("select count(*) from blanks where position(' ' in v) > 0", [3]),
        ("select count(*) from blanks where md5(v) = md5('A ')", [1]),
    ],
)
def test_trailing_blanks_count_where_the_text_itself_is_looked_at(
    blanks: Cursor, sql: str, expected: list[object]
) -> None:
    assert rows(blanks, sql) == [expected]


@pytest.mark.parametrize("plan", ["Hash Join", "Merge Join", "Nested Loop"])
def test_every_kind_of_join_finds_the_same_rows(warehouse: Warehouse, plan: str) -> None:
    settings = {"Hash Join": "hashjoin", "Merge Join": "mergejoin", "Nested Loop": "nestloop"}
    query = "select a.n, b.n from b as a join b on a.v = b.v order by 1, 2"
    *_, explained, found = in_postgresql(
        warehouse,
        "create temp table b (n int, v varchar(8))",
        *(f"insert into b values ({number}, '{text}')" for number, text in enumerate(BLANKS)),
        *(f"set enable_{name} to {kind == plan}" for kind, name in settings.items()),
        f"explain {query}",
        query,
    )
    assert any(plan in str(row[0]) for row in explained)
    pairs = [(a, b) for a in range(3) for b in range(3)] + [(n, n) for n in range(3, 7)]
    assert found == [[str(a), str(b)] for a, b in pairs]


def in_postgresql(warehouse: Warehouse, *statements: str) -> list[list[list[str | None]]]:
    """The rows of statements in a session of PostgreSQL itself, as its superuser."""

    async def run() -> list[list[list[str | None]]]:
        cluster = PostgresCluster(warehouse.config.postgres_dir, warehouse.token)
        connection = await QueryConnection.connect(cluster.socket_path)
        await connection.log_in(SUPERUSER, warehouse.token, DATABASE)
        try:
            return [(await connection.query(statement)).rows for statement in statements]
        finally:
            connection.close()

    return asyncio.run(run())


def test_rows_are_ordered_by_the_text_without_its_trailing_blanks(blanks: Cursor) -> None:
    assert rows(blanks, "select n from blanks order by v, n") == [[6], [5], [0], [1], [2], [4], [3]]
    assert rows(blanks, "select n from blanks order by v desc, n")[0] == [3]


def test_many_keys_are_sorted_grouped_and_joined_the_same_way(cursor: Cursor) -> None:
    cursor.execute(
        "create temp table many as select"
        " ('key ' || i / 3 || repeat(' ', mod(i, 3)::int))::varchar(40) as k"
        " from generate_series(0, 29999) as i"
    )
    assert rows(cursor, "select count(distinct k) from many") == [[10000]]
    assert rows(cursor, "select count(*) from (select k from many group by k)") == [[10000]]
    assert rows(cursor, "select count(*) from many a join many b on a.k = b.k") == [[90000]]
    found = [row[0] for row in rows(cursor, "select k from many order by k")]
    assert [text.rstrip() for text in found] == sorted(text.rstrip() for text in found)


@pytest.mark.parametrize(
    ("value", "stored"),
    [("abc ", "abc"), ("abc     ", "abc"), ("ab   ", "ab "), ("    ", "   "), ("éx ", "éx")],
)
def test_a_value_too_long_by_blanks_only_is_stored(cursor: Cursor, value: str, stored: str) -> None:
    cursor.execute("create temp table cut (v varchar(3))")
    cursor.execute("insert into cut values (%s)", (value,))
    cursor.execute("insert into cut select %s", (value,))
    cursor.execute("update cut set v = %s", (value,))
    assert (
        rows(cursor, "select v = %s, v like %s from cut", stored, stored + "%")
        == [[True, True]] * 2
    )


@pytest.mark.parametrize("value", ["abcd", "abc d", "abc\t", " abc", "éé "])
def test_a_value_too_long_by_anything_else_is_refused(cursor: Cursor, value: str) -> None:
    cursor.execute("create temp table cut (v varchar(3))")
    with pytest.raises(ProgrammingError) as caught:
        cursor.execute("insert into cut values (%s)", (value,))
    assert caught.value.args[0]["C"] == "22001"


def test_keys_are_declared_and_visible_but_not_enforced(cursor: Cursor) -> None:
    cursor.execute("create table parent (id int primary key, u int unique)")
    cursor.execute("create table child (id int references parent (id), a int) sortkey (a, id)")
    cursor.execute("insert into parent values (1, 1), (1, 1)")
    cursor.execute("insert into child values (9, 1)")
    assert refusal(cursor, "insert into parent values (null, 1)")["C"] == "23502"
    found = rows(
        cursor,
        "select table_name, constraint_name, constraint_type from"
        " information_schema.table_constraints where table_name in ('parent', 'child')"
        " order by constraint_type desc",
    )
    assert found == [
        ["parent", "parent_u_key", "UNIQUE"],
        ["parent", "parent_pkey", "PRIMARY KEY"],
        ["child", "child_id_fkey", "FOREIGN KEY"],
    ]
    assert rows(
        cursor, "select \"column\", sortkey from pg_table_def where tablename = 'child' order by 1"
    ) == [["a", 1], ["id", 2]]
    cursor.execute("drop table child")
    cursor.execute("drop table parent")


def test_distribution_and_encodings_are_seen_in_the_system_views(cursor: Cursor) -> None:
    cursor.execute(
        "create table d (a int encode az64, b varchar(9)) diststyle key distkey (a)"
        " compound sortkey (b)"
    )
    assert rows(cursor, "select diststyle, sortkey1 from svv_table_info where \"table\" = 'd'") == [
        ["KEY(a)", "b"]
    ]
    cursor.execute("alter table d alter diststyle all")
    cursor.execute("alter table d rename column b to c")
    assert rows(cursor, "select diststyle, sortkey1 from svv_table_info where \"table\" = 'd'") == [
        ["ALL", "c"]
    ]
    assert rows(
        cursor, "select encoding from pg_table_def where tablename = 'd' and \"column\" = 'a'"
    ) == [["az64"]]
    cursor.execute("drop table d")


def test_types_redshift_lacks_are_refused_wherever_a_table_comes_from(cursor: Cursor) -> None:
    for text in ("select '1'::text::tsvector as a", "select '(1,2)'::point as a"):
        assert "unsupported type" in refusal(cursor, f"create table bad as {text}")["M"]


def test_files_and_programs_of_the_server_are_out_of_reach(cursor: Cursor) -> None:
    cursor.execute(
        "create or replace procedure reach(what varchar(max)) as $$ begin execute what; end; $$"
        " language plpgsql"
    )
    for text in (
        "copy d from program ''id''",
        "copy pg_class to ''/tmp/x''",
        "select pg_read_file(''/etc/passwd'')",
        "select lo_import(''/etc/passwd'')",
        "create extension vector",
        "set session authorization rdsdb",
        "set role rdsdb",
    ):
        assert refusal(cursor, f"call reach('{text}')")["C"] in ("42501", "0A000"), text


def test_a_procedure_in_redshifts_dialect(cursor: Cursor) -> None:
    cursor.execute("create table pt (a int, at timestamp)")
    cursor.execute(
        "create or replace procedure fill(n in int, total inout bigint, label out varchar(9)) as $$"
        " declare r record; begin"
        " for r in select i from generate_series(1, n) as i loop"
        "   insert into pt values (r.i, dateadd(day, r.i, '2026-01-01'));"
        " end loop;"
        " select into total sum(nvl(a, 0)) from pt;"
        " label := 'done'; raise info 'filled %', total;"
        " end; $$ language plpgsql"
    )
    assert rows(cursor, "call fill(%s, 0)", 3) == [[6, "done"]]
    assert rows(cursor, "select max(at)::date::varchar from pt") == [["2026-01-04"]]
    cursor.execute("drop table pt")


def test_an_error_ends_an_atomic_procedure_whatever_its_handler_does(cursor: Cursor) -> None:
    cursor.execute("create table ph (a int)")
    cursor.execute(
        "create or replace procedure failing() as $$ begin insert into ph values (1);"
        " insert into ph values (1 / 0); exception when others then"
        " raise info 'handled: %', sqlerrm; end; $$ language plpgsql"
    )
    assert refusal(cursor, "call failing()")["M"] == "division by zero"
    assert rows(cursor, "select * from ph") == []
    cursor.execute("drop table ph")


def test_truncate_commits(warehouse: Warehouse, cursor: Cursor) -> None:
    cursor.execute("create table tr (a int)")
    connection = warehouse.connect()
    inside = connection.cursor()
    cursor.execute("insert into tr values (1)")
    inside.execute("truncate tr")
    assert not connection.in_transaction
    connection.rollback()
    assert rows(cursor, "select a from tr") == []
    cursor.execute("drop table tr")


def test_truncate_in_a_procedure_fails_inside_a_transaction(warehouse: Warehouse) -> None:
    connection = warehouse.connect()
    cursor = connection.cursor()
    cursor.execute("create table tp (a int)")
    cursor.execute(
        "create or replace procedure tpp() as $$ begin truncate tp; end; $$ language plpgsql"
    )
    connection.commit()
    assert "atomic context" in refusal(cursor, "call tpp()")["M"]
    connection.rollback()
    connection.autocommit = True
    cursor.execute("call tpp()")
    cursor.execute("drop table tp")


def test_vacuum_cannot_run_in_a_transaction(warehouse: Warehouse, cursor: Cursor) -> None:
    inside = warehouse.connect().cursor()
    assert refusal(inside, "vacuum full")["C"] == "25001"
    cursor.execute("vacuum delete only")
    cursor.execute("analyze")


def test_the_length_of_a_column_is_changed_outside_of_a_transaction_only(
    warehouse: Warehouse, cursor: Cursor
) -> None:
    cursor.execute(
        "create table al (d date, k varchar(5), v varchar(5), primary key (d, k))"
        " diststyle key distkey (k) sortkey (d)"
    )
    inside = warehouse.connect().cursor()
    failure = refusal(inside, "alter table al alter column v type varchar(9)")
    assert failure["M"] == "ALTER TABLE ALTER COLUMN cannot run inside a transaction block"
    cursor.execute("alter table al alter column v type varchar(9)")
    cursor.execute("insert into al values ('2026-01-01', 'k', 'ninechars')")
    assert "PRIMARY KEY" in refusal(cursor, "alter table al alter column k type varchar(9)")["M"]
    assert "distkey" in refusal(cursor, "alter table al drop column k")["M"]
    assert "sortkey" in refusal(cursor, "alter table public.al drop d")["M"]
    inside = warehouse.connect().cursor()
    inside.execute("alter table al rename column k to key_of_it")
    inside.execute("alter table al add column w varchar(3)")
    inside.execute("alter table al drop column v")
    inside.execute("commit")
    assert rows(cursor, "select * from al") == [[date(2026, 1, 1), "k", None]]
    cursor.execute("drop table al")


def test_users_have_only_what_they_were_granted(warehouse: Warehouse, cursor: Cursor) -> None:
    cursor.execute("create table g (a int)")
    cursor.execute("create user reader password 'Reader123'")
    cursor.execute("create group readers with user reader")
    reader = warehouse.cursor("reader", "Reader123")
    assert refusal(reader, "select * from g")["C"] == "42501"
    cursor.execute("grant select on g to group readers")
    assert rows(reader, "select * from g") == []
    assert refusal(reader, "create user x password 'Xyzxyz123'")["C"] == "42501"
    assert refusal(reader, "alter user admin password 'Xyzxyz123'")["C"] == "42501"
    reader.execute("alter user reader password 'Reader456'")
    warehouse.connect("reader", "Reader456")
    reader.execute("create table own (a int)")
    assert rows(cursor, "select * from own") == []  # a superuser sees all
    cursor.execute("drop table own")
    cursor.execute("revoke select on g from group readers")
    cursor.execute("drop group readers")
    cursor.execute("drop user reader")
    cursor.execute("drop table g")


def test_a_password_is_in_no_history_error_or_log(warehouse: Warehouse, cursor: Cursor) -> None:
    error = refusal(cursor, "create user admin password 'Geheim123'")
    assert "Geheim123" not in str(error)
    cursor.execute("create user hidden password 'Geheim123'")
    cursor.execute("drop user hidden")
    found = rows(cursor, "select query_text from sys_query_history where query_text like '%user%'")
    assert "***" in str(found)
    assert "Geheim123" not in str(found)
    home = warehouse.config.home
    for log in (home / "log" / "redshift.log", home / "postgres" / "postgres.log"):
        assert "Geheim123" not in log.read_text()


def test_the_query_history_tells_what_ran(warehouse: Warehouse, cursor: Cursor) -> None:
    cursor.execute("select 41 + 1 as marker")
    refusal(cursor, "select 1 / 0 as marker")
    found = rows(
        cursor,
        "select status, error_message, returned_rows from sys_query_history where query_text like"
        " '%marker' and query_type = 'SELECT' order by query_id",
    )
    assert found == [["success", None, 1], ["failed", "division by zero", 0]]


# -- isolation -----------------------------------------------------------------------------------


def test_writers_of_different_rows_both_succeed(warehouse: Warehouse, cursor: Cursor) -> None:
    cursor.execute("create table days (d date, n int)")
    one, two = warehouse.connect(), warehouse.connect()
    for connection, day in ((one, "2026-01-01"), (two, "2026-01-02")):
        inside = connection.cursor()
        inside.execute("delete from days where d = %s", (day,))
        inside.execute("insert into days values (%s, 1)", (day,))
    one.commit()
    two.commit()
    assert rows(cursor, "select count(*) from days") == [[2]]
    cursor.execute("drop table days")


def test_a_write_conflict_is_reported_as_redshift_does(
    warehouse: Warehouse, cursor: Cursor
) -> None:
    cursor.execute("create table c (a int)")
    cursor.execute("insert into c values (1)")
    one, two = warehouse.connect(), warehouse.connect()
    first, second = one.cursor(), two.cursor()
    second.execute("select * from c")
    first.execute("update c set a = 2")
    one.commit()
    error = refusal(second, "update c set a = 3")
    assert (error["C"], error["M"]) == ("XX000", "1023")
    assert "Serializable isolation violation on table" in error["D"]
    two.rollback()
    cursor.execute("drop table c")


def test_a_transaction_reads_one_snapshot(warehouse: Warehouse, cursor: Cursor) -> None:
    cursor.execute("create table s (a int)")
    reader = warehouse.connect().cursor()
    assert rows(reader, "select count(*) from s") == [[0]]
    cursor.execute("insert into s values (1)")
    assert rows(reader, "select count(*) from s") == [[0]]
    reader._c.rollback()
    assert rows(reader, "select count(*) from s") == [[1]]
    reader._c.rollback()
    cursor.execute("drop table s")


# -- protocol --------------------------------------------------------------------------------------


def test_the_simple_protocol_runs_scripts(warehouse: Warehouse) -> None:
    client = Simple(warehouse.config, ADMIN, PASSWORD)
    assert kinds(client.query("select 1")) == b"TDCZ"
    answer = client.query("create temp table q (a int); truncate q; insert into q values (1)")
    assert [body for kind, body in answer if kind == b"C"] == [
        b"CREATE TABLE\x00",
        b"TRUNCATE\x00",
        b"INSERT 0 1\x00",
    ]
    answer = client.query("select 1; create index i on q (a); select 2")
    assert kinds(answer) == b"TDCEZ"
    assert answer[-1][1] == b"I"
    assert kinds(client.query("")) == b"IZ"


def test_a_script_is_one_transaction(warehouse: Warehouse) -> None:
    client = Simple(warehouse.config, ADMIN, PASSWORD)
    client.query("create temp table one (a int)")
    client.query("insert into one values (1); create user x password 'bad'; select 2")
    assert kinds(client.query("select * from one")) == b"TCZ"


def test_the_transaction_status_is_always_true(warehouse: Warehouse) -> None:
    client = Simple(warehouse.config, ADMIN, PASSWORD)
    assert client.query("begin")[-1][1] == b"T"
    assert client.query("create user x password 'bad'")[-1][1] == b"E"
    assert client.query("select 1")[-1][1] == b"E"
    assert client.query("truncate pg_class")[-1][1] == b"E"
    assert client.query("rollback")[-1][1] == b"I"


def test_requests_may_be_sent_ahead(warehouse: Warehouse) -> None:
    """A pipeline of statements, one of them the front's own, one of them wrong."""
    client = Simple(warehouse.config, ADMIN, PASSWORD)
    client.query("create temp table ahead (a int)")

    def extended(sql: str) -> bytes:
        return (
            protocol.parse_message(b"", sql, b"\x00\x00")
            + protocol.message(b"B", b"\x00\x00" + b"\x00\x00" * 3)
            + protocol.message(b"D", b"P\x00")
            + protocol.message(b"E", b"\x00\x00\x00\x00\x00")
            + protocol.SYNC
        )

    client.send(
        extended("insert into ahead values (1)")
        + extended("truncate ahead")
        + extended("create index i on ahead (a)")
        + extended("select i from generate_series(1, 3000) as i")
        + extended("select count(*) from ahead")
    )
    assert kinds(client.answer()) == b"12nCZ"
    assert kinds(client.answer()) == b"12nCZ"
    assert kinds(client.answer()) == b"EZ"
    assert kinds(client.answer()) == b"12T" + b"D" * 3000 + b"CZ"
    assert kinds(client.answer()) == b"12TDCZ"


def test_a_statement_can_be_cancelled(warehouse: Warehouse) -> None:
    client = Simple(warehouse.config, ADMIN, PASSWORD)
    client.send(protocol.query("select pg_sleep(30)"))
    time.sleep(0.2)
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", warehouse.config.redshift_port)) as other:
        other.sendall(protocol.cancel_request(client.key))
        assert other.recv(1) == b""
    answer = client.answer()
    assert time.monotonic() - started < 5
    assert b"57014" in dict(answer)[b"E"]
    assert kinds(client.query("select 1")) == b"TDCZ"


def test_a_client_that_goes_away_takes_its_transaction_along(warehouse: Warehouse) -> None:
    client = Simple(warehouse.config, ADMIN, PASSWORD)
    client.query("create table gone (a int)")
    client.query("begin; insert into gone values (1)")
    client.socket.close()
    cursor = warehouse.cursor()
    time.sleep(0.2)
    cursor.execute("drop table gone")


def test_many_connections_at_once(warehouse: Warehouse) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            cursor = warehouse.cursor()
            for _ in range(20):
                assert rows(cursor, f"select {number}") == [[number]]
        except BaseException as problem:  # noqa: BLE001 -- re-raised in the waiting thread
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


# -- life ------------------------------------------------------------------------------------------


def alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def wait_until_gone(pid: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Warehouse]:
    with (
        tempfile.TemporaryDirectory(prefix="xacct-tests-") as folder,
        running_warehouse(Path(folder), free_port(), free_wire_port()) as running,
    ):
        yield running


def test_committed_rows_survive_a_kill_of_every_process(own: Warehouse) -> None:
    cursor = own.cursor()
    cursor.execute("create table kept (a int)")
    cursor.execute("insert into kept select i from generate_series(1, 100000) as i")
    pid = own.postgres_pid()
    os.kill(pid, signal.SIGKILL)
    own.end(signal.SIGKILL)
    own.start()
    assert rows(own.cursor(), "select count(*), sum(a) from kept") == [[100000, 5000050000]]


def test_postgresql_ends_with_the_process_however_it_ends(own: Warehouse) -> None:
    pid = own.postgres_pid()
    own.end(signal.SIGKILL)
    wait_until_gone(pid)
    own.start()
    pid = own.postgres_pid()
    assert own.process is not None
    assert own.process.stdin is not None
    own.process.stdin.close()  # what the end of the daemon looks like
    own.process.wait(20)
    wait_until_gone(pid)
    own.process = None


def test_a_home_of_an_earlier_release_compares_as_a_new_one_after_its_next_start(
    own: Warehouse,
) -> None:
    cursor = own.cursor()
    cursor.execute("create table kept (v varchar(3))")
    cursor.execute("insert into kept values ('A'), ('A '), ('é')")
    in_postgresql(
        own,
        "set allow_system_table_mods to on",
        *(
            f"update pg_operator set oprcode = '{function}'::regproc where oprname = '{operator}'"
            " and oprleft = 'text'::regtype and oprright = 'text'::regtype"
            for operator, function in (("=", "texteq"), ("<>", "textne"), ("<", "text_lt"))
        ),
        'alter table kept drop constraint "$bytes:1:varchar:3", add constraint'
        ' "$bytes:1:varchar:3" check (octet_length(v) <= 3) not valid',
        "update sandbox_internal.installed set digest = 'of an earlier release'",
    )
    assert rows(own.cursor(), "select count(*) from kept where v = 'A'") == [[1]]
    assert refusal(own.cursor(), "insert into kept values ('éx ')")["C"] == "22001"
    own.end()
    own.start()
    cursor = own.cursor()
    assert rows(cursor, "select count(*) from kept where v = 'A'") == [[2]]
    cursor.execute("insert into kept values ('éx ')")
    assert refusal(cursor, "insert into kept values ('ééx')")["C"] == "22001"


def test_a_new_token_is_taken_over_at_the_next_start(own: Warehouse) -> None:
    own.end()
    own.config.token_path.write_text("another-token")
    own.start()
    assert rows(own.cursor("rdsdb", "another-token"), "select 1") == [[1]]


def test_a_taken_port_is_named(own: Warehouse) -> None:
    own.end()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", own.config.redshift_port))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "xacct_sandbox.redshift"],
            env={
                **os.environ,
                "XACCT_SANDBOX_HOME": str(own.config.home),
                "XACCT_SANDBOX_PORT": str(own.config.aws_port),
                "XACCT_SANDBOX_REDSHIFT_PORT": str(own.config.redshift_port),
            },
            stdin=subprocess.PIPE,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert str(own.config.redshift_port) in done.stderr
    assert "XACCT_SANDBOX_REDSHIFT_PORT" in done.stderr
