"""Redshift SQL as PostgreSQL runs it, and what is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.redshift.copy.options import CopyStatement
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.dialect import translate, translate_script
from xacct_sandbox.redshift.sql.errors import RedshiftError
from xacct_sandbox.redshift.sql.plans import Pass, Refuse, Steps, SwitchUser
from xacct_sandbox.redshift.sql.users import redacted
from xacct_sandbox.redshift.unload.options import UnloadStatement


def sql(text: str) -> str:
    plan = translate(text)
    assert isinstance(plan, Pass), plan
    return plan.sql


def refusal(text: str) -> RedshiftError:
    plan = translate(text)
    assert isinstance(plan, Refuse), plan
    return plan.error


@pytest.mark.parametrize(
    "text",
    [
        "select id, name from products where price > 3.5 and name like 'a%' order by 1 limit 10",
        "insert into t (a, b) values ($1, $2), ($3, $4)",
        "delete from products using other where products.id = other.id",
        "begin transaction",
        "commit",
        'select count(*) from "products" -- a comment: "Create" nothing',
    ],
)
def test_a_statement_that_is_the_same_in_both_passes_untouched(text: str) -> None:
    assert sql(text) is text or sql(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select dateadd(day, 1, d) from t", "select dateadd('day', 1, d) from t"),
        (
            "select DATEDIFF(month, '2026-01-01', d)",
            "select DATEDIFF('month', '2026-01-01'::timestamp, d)",
        ),
        ("select nvl(a, b, 'nvl(c)')", "select COALESCE(a, b, 'nvl(c)')"),
        (
            "select nvl2(a, 1, nvl(b, 2))",
            "select CASE WHEN (a) IS NOT NULL THEN 1 ELSE COALESCE(b, 2) END",
        ),
        (
            "select decode(a, 1, 'x', null, 'y', 'z')",
            "select (CASE WHEN (a) IS NOT DISTINCT FROM (1) THEN 'x' WHEN (a) IS NOT DISTINCT FROM"
            " (null) THEN 'y' ELSE 'z' END)",
        ),
        ("select decode(x, 'hex')", "select decode(x, 'hex')"),
        ("select convert(varchar(max), a + 1)", "select CAST(a + 1 AS varchar(65535))"),
        ("select top 5 a from t where b > 1", "select  a from t where b > 1 LIMIT 5"),
        (
            "select * from (select top 1 a from t) x",
            "select * from (select  a from t LIMIT 1) x",
        ),
        ("select sysdate - 1 as sysdate", "select sysdate() - 1 as sysdate"),
        ("select 1 minus select 2", "select 1 EXCEPT select 2"),
        (
            "select a::decimal, cast(b as numeric(10,2))",
            "select a::numeric(18, 0), cast(b as numeric(10,2))",
        ),
        ("select cast(a as dec)", "select cast(a as numeric(18, 0))"),
        ("select a::super", "select a::jsonb"),
        (
            "select listagg(a, ',') within group (order by b)",
            "select string_agg((a)::text, ',' order by b)",
        ),
        ("select median(a)", "select percentile_cont(0.5) WITHIN GROUP (ORDER BY a)"),
        ("select approximate count(distinct a) from t", "select count(distinct a) from t"),
        ('select "Id" from "My Table"', 'select "id" from "my table"'),
        ("begin isolation level serializable", "begin isolation level REPEATABLE READ"),
        (
            "begin isolation level read committed read only",
            "begin isolation level REPEATABLE READ read only",
        ),
        ("grant select on t to role r, group g", "grant select on t to  r, group g"),
        ("set query_group to 'x'", "set redshift.query_group to 'x'"),
    ],
)
def test_redshift_words_become_postgresql_words(text: str, expected: str) -> None:
    assert " ".join(sql(text).split()) == " ".join(expected.split())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("insert into t values (1) on conflict do nothing", "ON CONFLICT"),
        ("insert into t values (1) returning id", "RETURNING"),
        ("create index i on t (a)", "CREATE INDEX"),
        ("create unique index i on t (a)", "CREATE UNIQUE"),
        ("create table t (id serial)", "SERIAL"),
        ("create table t (a int[])", "array"),
        ("create table t (a jsonb)", "JSONB"),
        ("create table t (a uuid)", "UUID"),
        ("create table t (a int check (a > 0))", "CHECK"),
        ("create table t (a int, check (a > 0))", "CHECK"),
        ("create table t (a int) partition by range (a)", "PARTITION BY"),
        ("create unlogged table t (a int)", "UNLOGGED"),
        ("create extension vector", "CREATE EXTENSION"),
        ("create external schema s from data catalog", "CREATE EXTERNAL SCHEMA"),
        ("create sequence s", "CREATE SEQUENCE"),
        ("create type t as enum ('a')", "CREATE TYPE"),
        ("create trigger x", "CREATE TRIGGER"),
        ("analyze compression t", "ANALYZE COMPRESSION"),
        ("do $$ begin end $$", "DO"),
        ("savepoint a", "SAVEPOINT"),
        ("rollback to a", "SAVEPOINT"),
        ("listen x", "LISTEN"),
        ("select distinct on (a) a from t", "DISTINCT ON"),
        ("select count(*) filter (where a > 1) from t", "FILTER"),
        ("select * from t for update", "FOR UPDATE"),
        ("select string_agg(a, ',') from t", "string_agg"),
        ("select array[1, 2]", "ARRAY"),
        ("select a -> 'b' from t", "->"),
        ("select a from t, lateral (select 1) x", "LATERAL"),
        ("select a from t qualify row_number() over (order by a) = 1", "QUALIFY"),
        ("truncate a, b", "TRUNCATE"),
        ("truncate a cascade", "TRUNCATE"),
        ("alter table t append from s", "APPEND"),
        ("alter table t alter column a type int", "TYPE"),
        ("merge into t using (select 1) s on t.a = s.a when matched then delete", "subquery"),
        ("merge into t using s on t.a = s.a remove duplicates", "REMOVE DUPLICATES"),
        ("create view v as select 1 with no schema binding", "NO SCHEMA BINDING"),
        ("create function f(int) returns int as $$ return 1 $$ language plpythonu", "plpythonu"),
        (
            "create function f() returns int as $$ begin return 1; end $$ language plpgsql",
            "plpgsql",
        ),
        ("copy t from stdin", "STDIN"),
        ("copy t from program 'id'", "PROGRAM"),
        ("copy t to 's3://b/k'", "COPY … TO"),
        ("select pg_read_file('/etc/passwd')", "pg_read_file"),
        ("set enable_case_sensitive_identifier to true", "enable_case_sensitive_identifier"),
        ("set standard_conforming_strings to on", "standard_conforming_strings"),
        ("create database other", "CREATE DATABASE"),
        ("grant assumerole on 'arn' to u for copy", "ASSUMEROLE"),
        ("prepare transaction 'x'", "PREPARE TRANSACTION"),
    ],
)
def test_what_redshift_or_the_sandbox_lacks_is_refused_by_name(text: str, named: str) -> None:
    error = refusal(text)
    assert named in error.message
    assert error.sqlstate in ("0A000", "42704")


def test_the_hint_of_a_refusal_says_what_to_do() -> None:
    error = refusal("insert into t values (1) on conflict do nothing")
    assert "MERGE" in (error.hint or "")


def test_words_inside_literals_and_comments_change_nothing() -> None:
    text = "select 'create index returning on conflict', /* truncate */ a from t"
    assert sql(text) == text


def test_a_backslash_escapes_inside_a_literal() -> None:
    text = r"select 'it\'s -> one', nvl(a, 'x')"
    assert sql(text) == r"select 'it\'s -> one', COALESCE(a, 'x')"


def test_several_statements_cannot_be_prepared_as_one() -> None:
    assert "multiple commands" in refusal("create table a (b int); drop table a").message


def test_a_script_is_split_at_its_semicolons_only() -> None:
    plans = translate_script(
        "create table t (a varchar(1) default ';'); truncate t;"
        " create procedure p() as $$ begin null; end; $$ language plpgsql;"
    )
    assert [type(plan) for plan in plans] == [Pass, Steps, Pass]


def test_copy_and_unload_and_truncate_are_the_fronts_own() -> None:
    role = "iam_role 'arn:aws:iam::222222222222:role/r'"
    assert isinstance(translate(f"copy t from 's3://b/k' {role} csv"), CopyStatement)
    assert isinstance(translate(f"unload ('select 1') to 's3://b/k' {role}"), UnloadStatement)
    plan = translate("truncate table s.t")
    assert isinstance(plan, Steps)
    assert plan.commits
    assert plan.statements == ('TRUNCATE TABLE "s"."t"',)
    assert isinstance(translate("set session authorization 'bob'"), SwitchUser)


def test_create_user_keeps_the_password_out_of_histories() -> None:
    text = "create user bob password 'Secret123' in group g createuser"
    plan = translate(text)
    assert isinstance(plan, Steps)
    assert plan.tag == "CREATE USER"
    assert "true" in plan.statements[0]
    assert "Secret123" not in redacted(text)


@pytest.mark.parametrize("password", ["short1A", "nouppercase1", "NOLOWERCASE1", "NoDigitHere"])
def test_a_weak_password_is_refused_as_redshift_does(password: str) -> None:
    assert "Password must" in refusal(f"create user bob password '{password}'").message


@given(st.text())
def test_no_text_breaks_the_translation(text: str) -> None:
    plans = translate_script(text)
    assert plans
    translate(text)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
def test_a_quoted_literal_means_what_was_quoted(value: str) -> None:
    tokens = lexer.tokenize(lexer.quote_literal(value))
    assert len(tokens) == 1
    assert lexer.unquote_literal(tokens[0]) == value


_FRAGMENTS = st.sampled_from(
    ["select ", "a", " ", "nvl(", ")", ",", "'x'", '"Q"', "$1", "::decimal", "top 3 ", "(", "\n",
     "-- c\n", "/* c */", "dateadd(day,", "1", "sysdate", "decode(", "from t ", "::",
     "cast(", " as "]
)  # fmt: skip


@given(st.lists(_FRAGMENTS, max_size=25).map("".join))
def test_translation_never_raises_and_is_stable(text: str) -> None:
    plan = translate(text)
    if isinstance(plan, Pass):
        again = translate(plan.sql)
        assert isinstance(again, (Pass, Refuse))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('GRANT SELECT ON t TO "IAMR:Load-Role"', '"IAMR:Load-Role"'),
        ('REVOKE ALL ON SCHEMA s FROM "IAM:Ann"', '"IAM:Ann"'),
        ('GRANT SELECT ON "Sales" TO "Ann"', '"sales" TO "ann"'),
    ],
)
def test_the_name_of_an_iam_identity_keeps_its_case(sql, expected):
    assert translate(sql).sql.endswith(expected)


def test_a_user_can_be_made_for_an_iam_role_before_it_logs_in():
    plan = translate('CREATE USER "IAMR:Load-Role" PASSWORD DISABLE')
    assert "'IAMR:Load-Role', 'PASSWORD NULL'" in plan.statements[0]
