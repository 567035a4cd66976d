"""Redshift's SQL where it is not PostgreSQL's: keys, text, procedures, names, numbers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.conformance.warehouse import Warehouse


@pytest.fixture
def name(warehouse: Warehouse) -> Iterator[str]:
    name = f"public.sql_{uuid.uuid4().hex[:8]}"
    yield name
    warehouse.run(f"DROP TABLE IF EXISTS {name}")


@pytest.mark.claim("redshift-keys-are-not-enforced")
def test_a_primary_key_is_not_enforced(warehouse: Warehouse, name: str) -> None:
    warehouse.run(f"CREATE TABLE {name} (id INT PRIMARY KEY, code INT UNIQUE)")
    warehouse.run(f"INSERT INTO {name} VALUES (1, 1), (1, 1)")
    assert warehouse.rows(f"SELECT COUNT(*) FROM {name}") == [[2]]


@pytest.mark.claim("redshift-varchar-counts-bytes")
def test_a_varchar_counts_bytes(warehouse: Warehouse, name: str) -> None:
    warehouse.run(f"CREATE TABLE {name} (a VARCHAR(4))")
    warehouse.run(f"INSERT INTO {name} VALUES ('éé')")
    error = warehouse.error(f"INSERT INTO {name} VALUES ('ééé')")
    assert "value too long for type character varying(4)" in error


@pytest.mark.claim("redshift-trailing-blanks")
def test_blanks_at_the_end_do_not_count_in_comparisons(warehouse: Warehouse, name: str) -> None:
    warehouse.run(f"CREATE TABLE {name} (a VARCHAR(9))")
    warehouse.run(f"INSERT INTO {name} VALUES ('A'), ('A  '), (' A')")
    assert warehouse.rows(f"SELECT COUNT(*) FROM {name} WHERE a = 'A'") == [[2]]
    assert warehouse.rows(f"SELECT COUNT(DISTINCT a) FROM {name}") == [[2]]
    assert warehouse.rows(f"SELECT LEN(a) FROM {name} ORDER BY 1") == [[1], [2], [3]]


@pytest.mark.claim("redshift-names-fold-to-lower-case")
def test_names_are_folded_to_lower_case_with_quotes_too(warehouse: Warehouse, name: str) -> None:
    warehouse.run(f'CREATE TABLE {name} ("MixedCase" INT, Plain INT)')
    ended = warehouse.run(f"SELECT * FROM {name}")
    answer = warehouse.data.get_statement_result(Id=ended["Id"])
    assert [column["label"] for column in answer["ColumnMetadata"]] == ["mixedcase", "plain"]


@pytest.mark.claim("redshift-call-is-a-transaction")
def test_a_procedure_that_fails_leaves_nothing(warehouse: Warehouse, name: str) -> None:
    procedure = name.replace(".sql_", ".sp_")
    warehouse.run(f"CREATE TABLE {name} (id INT)")
    warehouse.run(
        f"CREATE OR REPLACE PROCEDURE {procedure}(a IN INT) AS $$\n"
        f"BEGIN\n  INSERT INTO {name} VALUES (a);\n"
        "  IF a > 1 THEN RAISE EXCEPTION 'too many'; END IF;\nEND;\n$$ LANGUAGE plpgsql"
    )
    try:
        warehouse.run(f"CALL {procedure}(1)")
        assert "too many" in warehouse.error(f"CALL {procedure}(2)")
        assert warehouse.rows(f"SELECT id FROM {name}") == [[1]]
    finally:
        warehouse.run(f"DROP PROCEDURE {procedure}(INT)")


@pytest.mark.claim("redshift-truncate-commits")
def test_truncate_commits_and_so_cannot_be_undone(warehouse: Warehouse, name: str) -> None:
    warehouse.run(f"CREATE TABLE {name} (id INT)")
    warehouse.run(f"INSERT INTO {name} VALUES (1)")
    warehouse.error(f"TRUNCATE {name}", "SELECT * FROM no_such_table")
    assert warehouse.rows(f"SELECT COUNT(*) FROM {name}") == [[0]]


@pytest.mark.claim("redshift-delete-is-undone")
def test_a_delete_is_undone_with_its_transaction(warehouse: Warehouse, name: str) -> None:
    warehouse.run(f"CREATE TABLE {name} (id INT)")
    warehouse.run(f"INSERT INTO {name} VALUES (1)")
    warehouse.error(f"DELETE FROM {name}", "SELECT * FROM no_such_table")
    assert warehouse.rows(f"SELECT COUNT(*) FROM {name}") == [[1]]


@pytest.mark.claim("redshift-decimal-overflow")
def test_a_decimal_that_does_not_fit_is_refused_and_its_scale_rounded(
    warehouse: Warehouse, name: str
) -> None:
    warehouse.run(f"CREATE TABLE {name} (price DECIMAL(5,2))")
    warehouse.run(f"INSERT INTO {name} VALUES ('1.005'), ('999.99')")
    assert warehouse.rows(f"SELECT price FROM {name} ORDER BY 1") == [["1.01"], ["999.99"]]
    assert "overflow" in warehouse.error(f"INSERT INTO {name} VALUES (1000)").lower()


@pytest.mark.claim("redshift-identity")
def test_an_identity_column_numbers_rows(warehouse: Warehouse, name: str) -> None:
    warehouse.run(f"CREATE TABLE {name} (id BIGINT IDENTITY(1, 1), a INT)")
    warehouse.run(f"INSERT INTO {name} (a) VALUES (1), (2)")
    found = [row[0] for row in warehouse.rows(f"SELECT id FROM {name}")]
    assert len(set(found)) == 2
    error = warehouse.error(f"INSERT INTO {name} (id, a) VALUES (9, 9)")
    assert "identity" in error.lower()


@pytest.mark.claim("redshift-table-attributes")
def test_tables_take_distribution_sort_keys_and_encodings(warehouse: Warehouse, name: str) -> None:
    warehouse.run(
        f"CREATE TABLE {name} (day DATE ENCODE az64 NOT NULL, id BIGINT ENCODE raw)"
        " DISTSTYLE KEY DISTKEY (id) SORTKEY (day)"
    )
    schema, table = name.split(".")
    found = warehouse.rows(
        "SELECT diststyle, sortkey1 FROM svv_table_info"
        f" WHERE \"schema\" = '{schema}' AND \"table\" = '{table}'"
    )
    # Empty tables are not in the view on AWS.
    assert found in ([["KEY(id)", "day"]], [])
