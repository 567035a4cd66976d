"""COPY and UNLOAD: what is read and written, under which names, with whose rights."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Iterator

import pytest

from tests.conformance.target import Target, document, putting_back, trusting
from tests.conformance.warehouse import Warehouse, trust_of_role_a

DATA_FILE = re.compile(r"\d{4}_part_\d\d")


@pytest.fixture(scope="module")
def table(warehouse: Warehouse) -> Iterator[str]:
    name = f"public.copy_{uuid.uuid4().hex[:8]}"
    warehouse.run(f"CREATE TABLE {name} (id INT NOT NULL, name VARCHAR(8))")
    yield name
    warehouse.run(f"DROP TABLE {name}")


@pytest.fixture(autouse=True)
def _empty(warehouse: Warehouse, table: str) -> None:
    warehouse.run(f"DELETE FROM {table}")


def loaded(warehouse: Warehouse, table: str) -> list[list[object]]:
    return warehouse.rows(f"SELECT id, name FROM {table} ORDER BY 1, 2")


# -- COPY --------------------------------------------------------------------------------------


@pytest.mark.claim("copy-source-is-a-prefix")
def test_the_source_of_a_copy_is_a_prefix_of_keys(warehouse: Warehouse, table: str) -> None:
    url = warehouse.put("prefix/part", "1,a\n")
    warehouse.put("prefix/part-2", "2,b\n")
    warehouse.put("prefix/other", "9,x\n")
    warehouse.run(warehouse.copy(table, url))
    assert loaded(warehouse, table) == [[1, "a"], [2, "b"]]


@pytest.mark.claim("copy-appends")
def test_a_copy_adds_rows_also_twice_the_same(warehouse: Warehouse, table: str) -> None:
    url = warehouse.put("append/one", "1,a\n")
    warehouse.run(warehouse.copy(table, url))
    warehouse.run(warehouse.copy(table, url))
    assert loaded(warehouse, table) == [[1, "a"], [1, "a"]]


@pytest.mark.claim("copy-nothing-found-fails")
def test_a_copy_of_nothing_is_an_error(warehouse: Warehouse, table: str) -> None:
    error = warehouse.error(warehouse.copy(table, f"s3://{warehouse.files}/nothing/here"))
    assert "does not exist" in error


@pytest.mark.claim("copy-manifest")
@pytest.mark.claim("copy-manifest-mandatory")
def test_a_manifest_loads_its_files_and_fails_without_a_mandatory_one(
    warehouse: Warehouse, table: str
) -> None:
    one = warehouse.put("manifest/1.csv", "1,a\n")
    warehouse.put("manifest/1.csv.more", "2,b\n")
    lenient = warehouse.put_manifest("manifest/lenient", **{one: True, f"{one}.gone": False})
    warehouse.run(warehouse.copy(table, lenient, "CSV MANIFEST"))
    assert loaded(warehouse, table) == [[1, "a"]]
    strict = warehouse.put_manifest("manifest/strict", **{one: True, f"{one}.gone": True})
    error = warehouse.error(warehouse.copy(table, strict, "CSV MANIFEST"))
    assert "1.csv.gone" in error
    assert loaded(warehouse, table) == [[1, "a"]]


@pytest.mark.claim("copy-gzip-must-be-told")
def test_gzip_files_are_read_where_gzip_is_said(warehouse: Warehouse, table: str) -> None:
    url = warehouse.put("gzip/one.gz", gzip.compress(b"1,a\n"))
    warehouse.run(warehouse.copy(table, url, "CSV GZIP"))
    assert loaded(warehouse, table) == [[1, "a"]]


@pytest.mark.claim("copy-csv-null-and-empty")
def test_an_empty_field_is_empty_text_and_null_is_what_null_as_says(
    warehouse: Warehouse, table: str
) -> None:
    url = warehouse.put("null/one", '1,\n2,@N@\n3,"a ""b"""\n')
    warehouse.run(warehouse.copy(table, url, "CSV NULL AS '@N@'"))
    found = warehouse.rows(f"SELECT id, name IS NULL, name FROM {table} ORDER BY 1")
    assert [row[:2] for row in found] == [[1, False], [2, True], [3, False]]
    assert (found[0][2], found[2][2]) == ("", 'a "b"')


@pytest.mark.claim("copy-varchar-counts-bytes")
@pytest.mark.claim("copy-load-error-table")
def test_text_that_is_too_long_in_bytes_is_a_load_error_with_file_line_and_column(
    warehouse: Warehouse, table: str
) -> None:
    url = warehouse.put("long/one", "1,éééé\n2,ééééé\n")
    error = warehouse.error(warehouse.copy(table, url))
    assert re.search(r"Load into table '\w+' failed\.\s+Check '\w+'.* system table", error)
    found = warehouse.rows(
        "SELECT TRIM(file_name), line_number, TRIM(column_name), error_code FROM"
        f" sys_load_error_detail WHERE TRIM(file_name) = '{url}'"
    )
    assert found == [[url, 2, "name", 1204]]
    assert loaded(warehouse, table) == []


@pytest.mark.claim("copy-maxerror")
def test_a_load_fails_at_maxerror_errors_and_with_fewer_loads_the_other_rows(
    warehouse: Warehouse, table: str
) -> None:
    url = warehouse.put("max/one", "1,a\nx,b\n3,c\n")
    assert "failed" in warehouse.error(warehouse.copy(table, url, "CSV MAXERROR 1"))
    assert loaded(warehouse, table) == []
    warehouse.run(warehouse.copy(table, url, "CSV MAXERROR 2"))
    assert loaded(warehouse, table) == [[1, "a"], [3, "c"]]


@pytest.mark.claim("copy-truncatecolumns")
def test_truncatecolumns_cuts_what_is_too_long(warehouse: Warehouse, table: str) -> None:
    url = warehouse.put("cut/one", "1,abcdefghijk\n")
    warehouse.run(warehouse.copy(table, url, "CSV TRUNCATECOLUMNS"))
    assert loaded(warehouse, table) == [[1, "abcdefgh"]]


@pytest.mark.claim("copy-in-a-transaction")
def test_a_copy_is_undone_with_its_transaction(warehouse: Warehouse, table: str) -> None:
    warehouse.run(f"INSERT INTO {table} VALUES (7, 'kept')")
    url = warehouse.put("tx/one", "1,a\n")
    warehouse.error(
        f"DELETE FROM {table}", warehouse.copy(table, url), "SELECT * FROM no_such_table"
    )
    assert loaded(warehouse, table) == [[7, "kept"]]
    warehouse.run(f"DELETE FROM {table}", warehouse.copy(table, url))
    assert loaded(warehouse, table) == [[1, "a"]]


@pytest.mark.claim("copy-role-must-be-attached")
def test_a_role_that_is_not_attached_to_the_namespace_is_refused(
    warehouse: Warehouse, table: str
) -> None:
    url = warehouse.put("role/one", "1,a\n")
    error = warehouse.error(warehouse.copy(table, url).replace(warehouse.role_b, warehouse.role_a))
    assert "is not associated to cluster" in error or "not authorized to assume" in error


@pytest.mark.claim("copy-denied-read")
def test_a_read_that_the_role_may_not_do_is_an_s3_error(warehouse: Warehouse, table: str) -> None:
    error = warehouse.error(warehouse.copy(table, f"s3://{warehouse.exports}/any/thing"))
    assert "S3ServiceException" in error
    assert "403" in error


# -- UNLOAD ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def facts(warehouse: Warehouse) -> Iterator[str]:
    name = f"public.facts_{uuid.uuid4().hex[:8]}"
    warehouse.run(f"CREATE TABLE {name} (id INT, name VARCHAR(20), price DECIMAL(12,2))")
    warehouse.run(f"INSERT INTO {name} VALUES (1, 'it''s', 1.50), (2, NULL, NULL)")
    yield name
    warehouse.run(f"DROP TABLE {name}")


@pytest.mark.claim("unload-through-two-roles")
@pytest.mark.claim("unload-file-names")
def test_an_export_goes_through_both_roles_into_files_with_names_by_slice(
    warehouse: Warehouse, facts: str
) -> None:
    warehouse.run(warehouse.unload(f"SELECT * FROM {facts}", "names/", "CSV"))
    files = warehouse.exported("names/")
    assert files
    assert [name for name in files if not DATA_FILE.fullmatch(name)] == []
    lines = sorted(line for body in files.values() for line in body.splitlines())
    assert lines == [b"1,it's,1.50", b"2,,"]
    warehouse.run(warehouse.unload(f"SELECT * FROM {facts}", "one/", "CSV PARALLEL OFF"))
    assert list(warehouse.exported("one/")) == ["000"]
    warehouse.run(warehouse.unload(f"SELECT * FROM {facts}", "pq/", "PARQUET PARALLEL OFF"))
    assert list(warehouse.exported("pq/")) == ["000.parquet"]


@pytest.mark.claim("unload-manifest-verbose")
@pytest.mark.claim("unload-header-is-counted")
def test_a_verbose_manifest_has_files_rows_bytes_and_columns(
    warehouse: Warehouse, facts: str
) -> None:
    query = f"SELECT * FROM {facts}"
    warehouse.run(warehouse.unload(query, "verbose/", "CSV HEADER PARALLEL OFF MANIFEST VERBOSE"))
    files = warehouse.exported("verbose/")
    manifest = json.loads(files.pop("manifest"))
    assert [entry["url"] for entry in manifest["entries"]] == [
        f"s3://{warehouse.exports}/verbose/{name}" for name in files
    ]
    assert [entry["meta"] for entry in manifest["entries"]] == [
        {"content_length": len(files["000"]), "record_count": 3}
    ]
    assert manifest["meta"]["record_count"] == 3
    assert manifest["meta"]["content_length"] == len(files["000"])
    assert [element["name"] for element in manifest["schema"]["elements"]] == [
        "id",
        "name",
        "price",
    ]
    assert manifest["author"]["name"]


@pytest.mark.claim("unload-does-not-replace")
@pytest.mark.claim("unload-allowoverwrite-leaves-the-rest")
@pytest.mark.claim("unload-cleanpath")
def test_an_export_replaces_what_is_there_only_where_it_is_told_to(
    warehouse: Warehouse, facts: str
) -> None:
    def export(where: str, options: str) -> str:
        return warehouse.unload(f"SELECT id FROM {facts} WHERE {where}", "again/", options)

    warehouse.run(export("id = 1", "CSV PARALLEL OFF"))
    stray = {"Bucket": warehouse.exports, "Key": "again/stray", "Body": b"x"}
    warehouse.target.a.client("s3").put_object(**stray)
    error = warehouse.error(export("id = 2", "CSV PARALLEL OFF"))
    assert "Specified unload destination on S3 is not empty" in error
    assert warehouse.exported("again/")["000"] == b"1\n"
    warehouse.run(export("id = 2", "CSV PARALLEL OFF ALLOWOVERWRITE"))
    assert warehouse.exported("again/") == {"000": b"2\n", "stray": b"x"}
    warehouse.run(export("id = 1", "CSV PARALLEL OFF CLEANPATH"))
    assert warehouse.exported("again/") == {"000": b"1\n"}


@pytest.mark.claim("unload-cleanpath-or-allowoverwrite")
def test_cleanpath_and_allowoverwrite_exclude_each_other(warehouse: Warehouse, facts: str) -> None:
    query = f"SELECT * FROM {facts}"
    error = warehouse.error(warehouse.unload(query, "both/", "CSV CLEANPATH ALLOWOVERWRITE"))
    assert "CLEANPATH" in error.upper()
    assert warehouse.exported("both/") == {}


@pytest.mark.claim("unload-no-outer-limit")
def test_the_outer_select_has_no_limit(warehouse: Warehouse, facts: str) -> None:
    error = warehouse.error(warehouse.unload(f"SELECT id FROM {facts} LIMIT 1", "limit/", "CSV"))
    assert "LIMIT" in error.upper()
    inner = f"SELECT * FROM (SELECT id FROM {facts} ORDER BY id LIMIT 1)"
    warehouse.run(warehouse.unload(inner, "limit/", "CSV PARALLEL OFF"))
    assert warehouse.exported("limit/") == {"000": b"1\n"}


@pytest.mark.claim("unload-quotes-are-doubled")
def test_quotes_in_the_query_are_doubled(warehouse: Warehouse, facts: str) -> None:
    query = f"SELECT id FROM {facts} WHERE name = 'it''s'"
    warehouse.run(warehouse.unload(query, "quotes/", "CSV PARALLEL OFF"))
    assert warehouse.exported("quotes/") == {"000": b"1\n"}


@pytest.mark.claim("unload-partition-by")
def test_partitions_are_folders_and_their_column_is_left_out(
    warehouse: Warehouse, facts: str
) -> None:
    query = f"SELECT id, name FROM {facts} WHERE id = 1"
    warehouse.run(warehouse.unload(query, "parts/", "CSV PARTITION BY (id)"))
    files = warehouse.exported("parts/")
    assert [name.partition("/")[0] for name in files] == ["id=1"]
    assert list(files.values()) == [b"it's\n"]


@pytest.mark.claim("unload-in-a-transaction-writes-at-once")
def test_what_an_export_wrote_stays_when_its_transaction_fails(
    warehouse: Warehouse, facts: str
) -> None:
    export = warehouse.unload(f"SELECT id FROM {facts}", "failed/", "CSV PARALLEL OFF")
    warehouse.error(export, "SELECT * FROM no_such_table")
    assert list(warehouse.exported("failed/")) == ["000"]


@pytest.mark.claim("unload-external-id")
def test_the_last_role_can_ask_for_the_database_user_that_exports(
    target: Target, warehouse: Warehouse, facts: str
) -> None:
    iam, name = target.a.client("iam"), warehouse.role_a.rpartition("/")[2]

    def trust(policy: str) -> None:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy)

    export = warehouse.unload(f"SELECT id FROM {facts}", "external/", "CSV CLEANPATH")

    def status() -> str:
        return str(warehouse.wait(warehouse.submit(export))["Status"])

    own = trust_of_role_a(target, warehouse.role_b, warehouse.admin)
    with putting_back(lambda: (trust(own), target.becomes("FINISHED", status))):
        trust(trust_of_role_a(target, warehouse.role_b, "somebody_else"))
        target.becomes("FAILED", status)
        assert "not authorized to assume" in warehouse.error(export)


@pytest.mark.claim("redshift-first-role-external-id")
def test_the_first_role_of_a_chain_can_ask_for_the_database_user_too(
    target: Target, warehouse: Warehouse, table: str
) -> None:
    iam, name = target.b.client("iam"), warehouse.role_b.rpartition("/")[2]
    found = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    principal = found["Statement"][0]["Principal"]
    url = warehouse.put("first/one", "1,a\n")

    def trust(user: str) -> None:
        ids = f"arn:aws:redshift:{target.region}:{target.b.id}:dbuser:*/{user}"
        condition = {"StringLike": {"sts:ExternalId": ids}}
        policy = document(trusting(principal, **condition))
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy)

    def status() -> str:
        return str(warehouse.wait(warehouse.submit(warehouse.copy(table, url)))["Status"])

    before = json.dumps(found)
    undo = lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=before)  # noqa: E731
    with putting_back(lambda: (undo(), target.becomes("FINISHED", status))):
        trust("somebody_else")
        target.becomes("FAILED", status)
        trust(warehouse.admin)
        target.becomes("FINISHED", status)
