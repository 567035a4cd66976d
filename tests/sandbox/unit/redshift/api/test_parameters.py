"""Named parameters become bound values, only where a value is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.redshift.api.data_api.parameters import (
    ParameterError,
    bind,
    check_parameters,
    check_references,
    names_in,
)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select :id, :name", {"id", "name"}),
        ("select ':id'", set()),
        ("select 'it''s :id', :id", {"id"}),
        (r"select 'back\' :id', :id", {"id"}),
        ('select ":id" from t where a = :a', {"a"}),
        ("select :day::date, '2020-01-01'::date", {"day"}),
        ("select 1 -- :id\n, :b", {"b"}),
        ("select 1 /* :id\n */ , :b", {"b"}),
        ("create procedure p() as $$ begin x := :id; end $$", set()),
        ("select $tag$ :id $$ :b $tag$, :c", {"c"}),
        ("call p(:1, :from_day)", {"1", "from_day"}),
    ],
)
def test_a_name_is_found_only_where_a_value_is_allowed(sql, names):
    assert names_in(sql) == names


def test_names_become_numbers_and_one_that_is_used_twice_is_bound_once():
    sql = "select :b, :a, :b where x = ':a' and y::int = :a"
    assert bind(sql, {"a": "1", "b": "2"}) == (
        "select $1, $2, $1 where x = ':a' and y::int = $2",
        ["2", "1"],
    )


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ([{"name": "a", "value": ""}], "NULL or empty"),
        ([{"name": "a", "value": None}], "NULL or empty"),
        ([{"name": "a-b", "value": "x"}], "a-b"),
        ([{"name": "a", "value": "x"}, {"name": "a", "value": "y"}], "twice"),
    ],
)
def test_a_malformed_parameter_is_refused_by_name(parameters, named):
    with pytest.raises(ParameterError, match=named):
        check_parameters(parameters)


def test_a_name_without_value_and_a_value_without_name_are_refused():
    with pytest.raises(ParameterError, match="Cannot find parameter: b"):
        check_references(["select :a, :b"], {"a": "1"})
    with pytest.raises(ParameterError, match=r"Unused parameters: \[c\]"):
        check_references(["select :a", "select :b"], {"a": "1", "b": "2", "c": "3"})


@given(value=st.text(max_size=30))
def test_a_name_in_a_literal_never_becomes_a_parameter(value):
    literal = "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    sql = f"select {literal} where a = :a"
    assert bind(sql, {"a": "1"}) == (f"select {literal} where a = $1", ["1"])
