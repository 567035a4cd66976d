"""The partition filter parses Glue's SQL and follows SQL's three-valued logic."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.glue.catalog.expressions import InvalidExpression, compile_expression

DAY = [("partition_0", "string"), ("partition_1", "string"), ("partition_2", "string")]
TYPED = [("year", "int"), ("day", "date"), ("at", "timestamp"), ("price", "decimal(6,2)")]


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        ("partition_0 = '2026'", ("2026", "01", "02"), True),
        ("partition_0='2025' OR partition_2 >= '02'", ("2026", "01", "02"), True),
        ("partition_0='2026' and not (partition_1 = '01')", ("2026", "01", "02"), False),
        ("partition_2 BETWEEN '01' AND '03'", ("2026", "01", "03"), True),
        ("partition_2 not between '01' and '03'", ("2026", "01", "04"), True),
        ("partition_1 in ('01', '02')", ("2026", "02", "01"), True),
        ("partition_1 NOT IN ('01', '02')", ("2026", "02", "01"), False),
        ("partition_0 LIKE '%26'", ("2026", "01", "01"), True),
        ("partition_0 like '20_6'", ("2026", "01", "01"), True),
        ("partition_0 NOT LIKE '2026'", ("2026", "01", "01"), False),
        ("PARTITION_0 <> '2026'", ("2026", "01", "01"), False),
        ("'2026' = \"partition_0\"", ("2026", "01", "01"), True),
        ("`partition_0` != '2025'", ("2026", "01", "01"), True),
        # AND binds tighter than OR.
        (
            "partition_0='2026' OR partition_0='2025' AND partition_1='99'",
            ("2026", "01", "01"),
            True,
        ),
        ("partition_0 = 'it''s'", ("it's", "", ""), True),
        ("", ("anything", "", ""), True),
    ],
)
def test_an_expression_over_string_keys_selects_as_in_sql(expression, values, expected):
    assert compile_expression(expression, DAY)(values) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("year = 2026", True),
        ("year > 999", True),  # as a number, not as text
        ("day >= '2026-01-31'", True),
        ("day < date '2026-02-01'", True),
        ("at = timestamp '2026-01-31 12:00:00'", True),
        ("price = 9.5", True),
        ("price in (9.50, 10)", True),
        ("year is null", False),
        ("year is not null", True),
        ("2025 < year", True),
    ],
)
def test_keys_are_compared_as_their_type(expression, expected):
    values = ("2026", "2026-01-31", "2026-01-31T12:00:00", "9.50")
    assert compile_expression(expression, TYPED)(values) is expected


def test_a_value_that_is_not_of_its_type_is_unknown():
    hive_default = ("__HIVE_DEFAULT_PARTITION__", "2026-01-01", "2026-01-01", "1")
    assert not compile_expression("year = 2026", TYPED)(hive_default)
    assert not compile_expression("NOT year = 2026", TYPED)(hive_default)
    assert compile_expression("year IS NULL", TYPED)(hive_default)


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("month = '01'", "month"),
        ("year = 'abc'", "abc"),
        ("year LIKE '20%'", "LIKE"),
        ("year = ", "literal"),
        ("year 2026", "operator"),
        ("(year = 2026", "')'"),
        ("year = 2026 extra", "extra"),
        ("year = 2026; drop", ";"),
        ("1 = 1", "partition key"),
        ("year NOT 5", "NOT"),
        ("x" * 2049, "2048"),
    ],
)
def test_an_invalid_expression_is_refused_by_name(expression, named):
    with pytest.raises(InvalidExpression, match=re.escape(named)):
        compile_expression(expression, TYPED)


def test_a_key_of_a_type_without_filter_is_refused_by_name():
    with pytest.raises(InvalidExpression, match="struct"):
        compile_expression("a = 'x'", [("a", "struct<b:int>")])


texts = st.text(min_size=0, max_size=8)


@given(value=texts, wanted=texts)
def test_equality_holds_for_any_text_however_it_is_quoted(value, wanted):
    literal = wanted.replace("'", "''")
    matches = compile_expression(f"partition_0 = '{literal}'", DAY)
    assert matches((value, "", "")) is (value == wanted)


@given(
    values=st.lists(st.integers(0, 99), min_size=3, max_size=3),
    low=st.integers(0, 99),
    high=st.integers(0, 99),
)
def test_between_is_the_same_as_its_two_comparisons(values, low, high):
    keys = [("a", "int"), ("b", "int"), ("c", "int")]
    texts = [str(value) for value in values]
    between = compile_expression(f"b BETWEEN {low} AND {high}", keys)
    spelled = compile_expression(f"b >= {low} AND b <= {high}", keys)
    negated = compile_expression(f"NOT (b NOT BETWEEN {low} AND {high})", keys)
    assert between(texts) is spelled(texts) is negated(texts)
