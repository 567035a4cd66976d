"""Names and literals cannot leave their quotes; scripts are split into statements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_assets.aws.redshift.sql import (
    identifier,
    literal,
    load_statement,
    qualified,
    split_statements,
)


@given(st.text(max_size=140))
def test_no_name_can_leave_its_quotes(name):
    try:
        quoted = identifier(name)
    except ValueError:
        return
    assert quoted[0] == quoted[-1] == '"'
    assert '"' not in quoted[1:-1]
    assert quoted[1:-1] == name.lower()


@pytest.mark.parametrize("name", ["", "1a", 'a"b', "a b", "a;b", "ä", "a.b", "a" * 128, "a\n"])
def test_odd_names_are_refused_by_name(name):
    with pytest.raises(ValueError, match="is not a usable SQL name"):
        identifier(name)


def test_each_part_of_a_qualified_name_is_quoted():
    assert qualified("Public.Products") == '"public"."products"'


def test_a_name_has_at_most_three_parts():
    with pytest.raises(ValueError, match="4 parts"):
        qualified("a.b.c.d")


@given(st.text(max_size=80))
def test_a_literal_reads_back_as_what_it_was(text):
    try:
        quoted = literal(text)
    except ValueError:
        assert "\\" in text or "\0" in text
        return
    body = quoted[1:-1]
    assert "'" not in body.replace("''", "")
    assert body.replace("''", "'") == text


statement = st.one_of(
    st.sampled_from(
        [
            "SELECT ';' AS a",
            "SELECT 'it''s; ok'",
            'SELECT 1 AS "odd;name"',
            "CREATE PROCEDURE p() AS $$ BEGIN a; b; END; $$ LANGUAGE plpgsql",
            "CREATE PROCEDURE q() AS $body$ x; $$ ; $body$ LANGUAGE plpgsql",
            "SELECT 1 /* not; here */ + 1",
            "SELECT 1 -- nor; here\n + 1",
            "SELECT a$b FROM t",
        ]
    ),
)


@given(st.lists(statement, max_size=8), st.sampled_from([";\n", ";", " ;\n\n", ";\n-- c;c\n"]))
def test_a_script_splits_into_the_statements_it_was_joined_from(statements, separator):
    script = "".join(text + separator for text in statements)
    assert split_statements(script) == statements


def test_the_last_statement_needs_no_semicolon():
    assert split_statements("SELECT 1;\nSELECT 2") == ["SELECT 1", "SELECT 2"]


def test_comments_alone_are_no_statement():
    assert split_statements("-- nothing; here\n/* nor; here */;\n;;") == []


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("SELECT 1;\nSELECT 'open;", "string"),
        ('SELECT "open', "name"),
        ("SELECT 1 /* open", "block"),
        ("CREATE PROCEDURE p() AS $$ open;", "dollar"),
        ("SELECT '", "string"),
    ],
)
def test_what_is_not_closed_is_named_with_its_line(script, kind):
    line = script.count("\n") + 1
    with pytest.raises(ValueError, match=rf"the {kind} that starts on line {line}"):
        split_statements(script)


def test_a_statement_is_read_from_its_file_with_names_quoted_and_parameters_left():
    sql = load_statement("xacct_assets.feed", "count_keys_by_day", fact="public.F", key=["a", "b"])
    assert sql.startswith("SELECT partition_date")
    assert 'FROM "public"."f"' in sql
    assert 'GROUP BY partition_date, "a", "b"' in sql
    assert "BETWEEN %s AND %s" in sql


def test_no_name_in_a_statement_can_leave_its_quotes():
    with pytest.raises(ValueError, match="is not a usable SQL name"):
        load_statement("xacct_assets.feed", "count_by_day", table='x"; DROP TABLE y')


def test_a_statement_needs_all_its_names():
    with pytest.raises(KeyError, match="load_audit"):
        load_statement("xacct_assets.feed", "count_transformed_staging", staging="public.s")
