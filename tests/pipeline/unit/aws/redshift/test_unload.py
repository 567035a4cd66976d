"""The UNLOAD statement."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_assets.aws.redshift.unload import UnloadOptions, UnloadSpec, statement

ROLES = ("arn:aws:iam::222222222222:role/RoleB", "arn:aws:iam::111111111111:role/RoleA")
SPEC = UnloadSpec(
    query="SELECT * FROM products_f WHERE partition_date = '2026-01-01'",
    target="s3://sample-opt-bucket-etl-local/products/2026/01/01/",
    role_chain=ROLES,
)


def test_the_roles_are_one_literal_in_order_without_spaces():
    assert f"IAM_ROLE '{ROLES[0]},{ROLES[1]}'" in statement(SPEC)


def test_quotes_of_the_query_are_doubled():
    assert "partition_date = ''2026-01-01''" in statement(SPEC)


def test_an_export_replaces_what_was_there_and_has_a_verbose_manifest():
    text = statement(SPEC)
    assert text.index("CLEANPATH") < text.index("MANIFEST VERBOSE")
    assert "ALLOWOVERWRITE" not in text
    assert "FORMAT AS PARQUET" in text


def test_csv_options_are_written_for_csv():
    options = UnloadOptions(delimiter=";", null_as="@NULL@", compression="zstd", max_file_mb=64)
    text = statement(dataclasses.replace(SPEC, format="CSV", options=options))
    for part in ("DELIMITER AS ';'", "HEADER", "NULL AS '@NULL@'", "ZSTD", "MAXFILESIZE 64 MB"):
        assert part in text


def test_parquet_takes_no_csv_options():
    text = statement(SPEC)
    assert "HEADER" not in text
    assert "DELIMITER" not in text


def test_partition_columns_are_quoted_and_kept():
    options = UnloadOptions(partition_by=("partition_date",))
    text = statement(dataclasses.replace(SPEC, options=options))
    assert 'PARTITION BY ("partition_date") INCLUDE' in text


@given(st.text(max_size=60))
def test_no_query_can_close_its_literal(query):
    try:
        text = statement(dataclasses.replace(SPEC, query=query))
    except ValueError:
        return
    inner = text[len("UNLOAD ('") : text.rindex("')\nTO ")]
    assert "'" not in inner.replace("''", "")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"role_chain": ()}, "at least one role"),
        ({"role_chain": ("arn:aws:iam::1:role/x",)}, "arn:aws:iam::1:role/x"),
        ({"role_chain": (ROLES[0] + "','x",)}, "not the ARN"),
        ({"target": "s3://bucket/products/2026/01/1"}, "final slash"),
        ({"target": "https://bucket/x/"}, "not a usable target"),
        ({"query": "SELECT * FROM t LIMIT 5"}, "no LIMIT"),
        ({"query": "SELECT '\\'"}, "backslash"),
        ({"format": "ORC"}, "ORC"),
        ({"options": UnloadOptions(max_file_mb=4)}, "max_file_mb is 4"),
        ({"options": UnloadOptions(partition_by=("a b",))}, "a b"),
    ],
)
def test_an_unusable_part_is_refused_by_name(change, named):
    with pytest.raises(ValueError, match="(?s)" + named.replace("(", r"\(")):
        statement(dataclasses.replace(SPEC, **change))


@pytest.mark.parametrize("delimiter", ["", ";;", "¦"])
def test_an_unusable_delimiter_is_refused(delimiter):
    options = UnloadOptions(delimiter=delimiter)
    with pytest.raises(ValueError, match="not one ASCII character"):
        statement(dataclasses.replace(SPEC, format="CSV", options=options))
