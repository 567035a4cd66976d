"""COPY and UNLOAD against real buckets and real IAM decisions, in the client's transaction."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redshift_connector import Connection, Cursor
from redshift_connector.error import ProgrammingError

from tests.support.sandbox import RunningSandbox
from tests.support.warehouse import connect
from xacct_sandbox.redshift.server import protocol

PREFIX = "glue-tmp/engine/"


class Stage:
    """The deployed sandbox as an engineer with the warehouse's secret sees it."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        config = sandbox.config
        self.sandbox = sandbox
        self.working = f"xacct-processing-{config.suffix}"
        self.exports = f"sample-opt-bucket-etl-{config.suffix}"
        self.role_b = f"arn:aws:iam::{config.account_b}:role/xacct-RoleB-{config.suffix}"
        self.role_a = f"arn:aws:iam::{config.account_a}:role/xacct-RoleA-{config.suffix}"
        secrets = sandbox.client("account-b-admin", "secretsmanager")
        name = f"xacct/redshift-{config.suffix}"
        self.secret = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
        self.s3_a = sandbox.client("account-a-admin", "s3")
        self.s3_b = sandbox.client("account-b-admin", "s3")

    def connect(self) -> Connection:
        return connect(self.sandbox.config, self.secret["username"], self.secret["password"])

    def put(self, name: str, body: bytes) -> str:
        self.s3_b.put_object(Bucket=self.working, Key=PREFIX + name, Body=body)
        return f"s3://{self.working}/{PREFIX}{name}"

    def copy(self, table: str, url: str, options: str) -> str:
        return f"COPY {table} FROM '{url}' IAM_ROLE '{self.role_b}' {options}"

    def unload(self, query: str, folder: str, options: str) -> str:
        quoted = query.replace("\\", "\\\\").replace("'", "''")
        return (
            f"UNLOAD ('{quoted}') TO 's3://{self.exports}/{folder}'"
            f" IAM_ROLE '{self.role_b},{self.role_a}' {options}"
        )

    def exported(self, folder: str) -> dict[str, bytes]:
        listed = self.s3_a.list_objects_v2(Bucket=self.exports, Prefix=folder)
        return {
            item["Key"][len(folder) :]: self.s3_a.get_object(Bucket=self.exports, Key=item["Key"])[
                "Body"
            ].read()
            for item in listed.get("Contents", ())
        }


@pytest.fixture(scope="module")
def stage(sandbox: RunningSandbox) -> Iterator[Stage]:
    stage = Stage(sandbox)
    yield stage
    for s3, bucket, prefix in (
        (stage.s3_b, stage.working, PREFIX),
        (stage.s3_a, stage.exports, "engine/"),
    ):
        for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])


@pytest.fixture
def connection(stage: Stage) -> Iterator[Connection]:
    connection = stage.connect()
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture
def cursor(connection: Connection) -> Cursor:
    cursor = connection.cursor()
    cursor.execute(
        "CREATE TEMP TABLE t (id int not null, name varchar(8), n decimal(6, 2), d date)"
    )
    return cursor


def rows(cursor: Cursor, sql: str) -> list[list[Any]]:
    cursor.execute(sql)
    return [list(row) for row in cursor.fetchall()]


def refusal(cursor: Cursor, sql: str) -> dict[str, str]:
    with pytest.raises(ProgrammingError) as caught:
        cursor.execute(sql)
    return caught.value.args[0]


# -- COPY --------------------------------------------------------------------------------------


def test_csv_loads_as_redshift_reads_it(stage: Stage, cursor: Cursor) -> None:
    text = 'id,name,n,d\r\n1,"a,\n""b",1.5,2026-01-02\r\n2,,,\r\n3,"",@N@,2026-01-03\r\n4,@N@,"2",'
    url = stage.put("a/one.csv", text.encode())
    cursor.execute(stage.copy("t", url, "CSV IGNOREHEADER 1 NULL AS '@N@'"))
    assert rows(cursor, "select * from t order by id") == [
        [1, 'a,\n"b', Decimal("1.50"), date(2026, 1, 2)],
        [2, "", None, None],
        [3, "", None, date(2026, 1, 3)],
        [4, None, Decimal("2.00"), None],
    ]
    assert rows(cursor, "select pg_last_copy_count()") == [[4]]


def test_emptyasnull_makes_empty_text_null(stage: Stage, cursor: Cursor) -> None:
    url = stage.put("b/one.csv", b'1,,1,2026-01-01\n2,"",1,2026-01-01\n3,\\N,,\n')
    cursor.execute(stage.copy("t", url, "CSV EMPTYASNULL"))
    assert rows(cursor, "select id, name from t order by 1") == [[1, None], [2, ""], [3, None]]


def test_the_source_is_a_prefix(stage: Stage, cursor: Cursor) -> None:
    stage.put("c/part", b"1,a,1,2026-01-01\n")
    stage.put("c/part-2", b"2,b,1,2026-01-01")
    stage.put("c/part/3", b"3,c,1,2026-01-01\n")
    cursor.execute(stage.copy("t", f"s3://{stage.working}/{PREFIX}c/part", "CSV"))
    assert rows(cursor, "select id from t order by 1") == [[1], [2], [3]]


def test_a_prefix_that_matches_nothing_is_an_error(stage: Stage, cursor: Cursor) -> None:
    error = refusal(cursor, stage.copy("t", f"s3://{stage.working}/{PREFIX}none", "CSV"))
    assert "does not exist" in error["M"]


def test_a_manifest_loads_its_files_only(stage: Stage, cursor: Cursor) -> None:
    one = stage.put("m/1.gz", gzip.compress(b"1,a,1,2026-01-01\n"))
    stage.put("m/2.gz", gzip.compress(b"2,b,1,2026-01-01\n"))
    entries = [{"url": one, "mandatory": True}, {"url": f"{one}.gone"}]
    url = stage.put("m/manifest", json.dumps({"entries": entries}).encode())
    cursor.execute(stage.copy("t", url, "FORMAT AS CSV GZIP MANIFEST"))
    assert rows(cursor, "select id from t") == [[1]]


def test_a_mandatory_file_that_is_missing_is_an_error(stage: Stage, cursor: Cursor) -> None:
    one = stage.put("n/1", b"1,a,1,2026-01-01\n")
    entries = [{"url": one, "mandatory": True}, {"url": f"{one}.gone", "mandatory": True}]
    url = stage.put("n/manifest", json.dumps({"entries": entries}).encode())
    assert f"{one}.gone" in refusal(cursor, stage.copy("t", url, "CSV MANIFEST"))["M"]


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "zstd"])
def test_packed_files(stage: Stage, cursor: Cursor, packing: str) -> None:
    data = b"1,a,1,2026-01-01\n"
    packed = {
        "gzip": gzip.compress(data) + gzip.compress(b"2,b,1,2026-01-01\n"),
        "bzip2": bz2.compress(data) + bz2.compress(b"2,b,1,2026-01-01\n"),
        "zstd": bytes(pa.compress(data + b"2,b,1,2026-01-01\n", "zstd", asbytes=True)),
    }[packing]
    url = stage.put(f"p/{packing}", packed)
    cursor.execute(stage.copy("t", url, f"CSV {packing}"))
    assert rows(cursor, "select count(*) from t") == [[2]]


def test_a_broken_gzip_file_is_named(stage: Stage, cursor: Cursor) -> None:
    url = stage.put("q/cut.gz", gzip.compress(b"1,a,1,2026-01-01\n" * 1000)[:-20])
    error = refusal(cursor, stage.copy("t", url, "CSV GZIP"))
    assert "cut.gz is not valid gzip" in error["M"]
    url = stage.put("q/plain", b"1,a,1,2026-01-01\n")
    cursor._c.rollback()
    cursor.execute("CREATE TEMP TABLE t (id int, name varchar(8), n decimal(6, 2), d date)")
    assert "plain is not valid gzip" in refusal(cursor, stage.copy("t", url, "CSV GZIP"))["M"]


def test_delimited_text_and_a_list_of_columns(stage: Stage, cursor: Cursor) -> None:
    url = stage.put("d/one", b'x"y|7\n\\N|8\n')
    cursor.execute(stage.copy("t (name, id)", url, ""))
    assert rows(cursor, "select id, name, n from t order by 1") == [
        [7, 'x"y', None],
        [8, None, None],
    ]


def test_what_escape_and_addquotes_wrote_can_be_read_again(stage: Stage, cursor: Cursor) -> None:
    cursor.execute("insert into t values (1, 'a|b\\\\\\nc', 1, null), (2, null, null, null)")
    before = rows(cursor, "select * from t order by 1")
    cursor.execute(stage.unload("select * from t", "engine/escape/", "ESCAPE"))
    cursor.execute("delete from t")
    data = b"".join(stage.exported("engine/escape/").values())
    url = stage.put("e/one", data)
    cursor.execute(stage.copy("t", url, "ESCAPE EMPTYASNULL"))
    assert rows(cursor, "select * from t order by 1") == before


def test_identity_columns_are_generated_or_given(stage: Stage, cursor: Cursor) -> None:
    cursor.execute("CREATE TEMP TABLE i (id bigint identity(10, 5), name varchar(8))")
    one, two = stage.put("i/one", b"a\nb\n"), stage.put("j/two", b"99,c\n")
    cursor.execute(stage.copy("i", one, "CSV"))
    cursor.execute(stage.copy("i", two, "CSV EXPLICIT_IDS"))
    assert rows(cursor, "select * from i order by 1") == [[10, "a"], [15, "b"], [99, "c"]]


def test_json_objects_are_matched_by_name(stage: Stage, cursor: Cursor) -> None:
    text = (
        '{"id": 1, "name": "a\\nb", "n": 1.10}\n{"ID": 9, "id": 2, "d": "2026-01-01", "more": [1]}'
    )
    url = stage.put("json/one", text.encode())
    cursor.execute(stage.copy("t", url, "JSON 'auto'"))
    assert rows(cursor, "select * from t order by 1") == [
        [1, "a\nb", Decimal("1.10"), None],
        [2, None, None, date(2026, 1, 1)],
    ]


def test_parquet_is_matched_by_position(stage: Stage, cursor: Cursor) -> None:
    table = pa.table(
        {
            "x": pa.array([1, 2], pa.int64()),
            "y": ["a\x01", None],
            "z": pa.array([Decimal("1.25"), None], pa.decimal128(6, 2)),
            "d": [date(2026, 1, 1), None],
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    url = stage.put("parquet/one", sink.getvalue())
    cursor.execute(stage.copy("t", url, "FORMAT AS PARQUET"))
    assert rows(cursor, "select * from t order by 1") == [
        [1, "a\x01", Decimal("1.25"), date(2026, 1, 1)],
        [2, None, None, None],
    ]
    error = refusal(cursor, stage.copy("t (id)", url, "FORMAT AS PARQUET"))
    assert "has 4 columns" in error["M"]


def test_a_load_error_names_file_line_and_column(stage: Stage, connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE loads (id int not null, name varchar(3), n decimal(6, 2), d date)")
    connection.commit()
    good = b'1,"a\nb",1,2026-01-01\n'
    cases = [
        (b"x,a,1,2026-01-01\n", "id", 1207),
        ("2,éé,1,2026-01-01\n".encode(), "name", 1204),
        (b"2,abcd,1,2026-01-01\n", "name", 1204),
        (b"2,a,zz,2026-01-01\n", "n", 1209),
        (b"2,a,1,01/02\n", "d", 1206),
        (b"@N@,a,1,2026-01-01\n", "id", 1213),
        (b"2,a,1\n", "", 1203),
        (b"2,a,1,2026-01-01,5\n", "", 1202),
        (b"2,\xff,1,2026-01-01\n", "", 1220),
    ]
    try:
        for number, (bad, column, code) in enumerate(cases):
            stage.put(f"load{number}/1", good * 3)
            url = stage.put(f"load{number}/2", b"header\n" + good + bad)
            source = url.removesuffix("2")
            stage.put(f"load{number}/1", b"header\n" + good * 3)
            error = refusal(cursor, stage.copy("loads", source, "CSV IGNOREHEADER 1 NULL AS '@N@'"))
            assert "Load into table 'loads' failed.  Check 'stl_load_errors'" in error["M"]
            connection.rollback()
            found = rows(
                cursor,
                "select trim(filename), line_number, trim(colname), err_code, trim(raw_line) from"
                " stl_load_errors order by query desc limit 1",
            )[0]
            assert found[0] == url, bad
            assert found[2:4] == [column, code], bad
            assert found[1] == 4, bad
            assert found[4] == bad.decode("utf-8", "replace").strip(), bad
        details = rows(cursor, "select count(*) from sys_load_error_detail where table_id > 0")
        assert details[0][0] >= len(cases)
        assert rows(cursor, "select count(*) from loads") == [[0]]
    finally:
        connection.rollback()
        cursor.execute("DROP TABLE loads")
        connection.commit()


def test_maxerror_loads_the_rest_and_tells_of_each(stage: Stage, cursor: Cursor) -> None:
    text = "".join(f"{n},{'x' * (20 if n % 10 == 0 else 3)},1,2026-01-01\n" for n in range(1, 101))
    url = stage.put("max/one", text.encode())
    cursor.execute(stage.copy("t", url, "CSV MAXERROR 11"))
    assert rows(cursor, "select count(*) from t") == [[90]]
    lines = rows(
        stage.connect().cursor(),
        f"select line_number from stl_load_errors where trim(filename) = '{url}' order by 1",
    )
    assert lines == [[n] for n in range(10, 101, 10)]
    assert "failed" in refusal(cursor, stage.copy("t", url, "CSV MAXERROR 10"))["M"]


def test_truncatecolumns_and_acceptinvchars(stage: Stage, cursor: Cursor) -> None:
    url = stage.put("tr/one", "1,ééééé,1,\n".encode() + b"2,a\xff\xfeb,1,\n")
    cursor.execute(stage.copy("t", url, "CSV TRUNCATECOLUMNS ACCEPTINVCHARS AS '^'"))
    assert rows(cursor, "select name from t order by id") == [["éééé"], ["a^^b"]]


@pytest.mark.parametrize("options", ["CSV", "CSV BLANKSASNULL", "DELIMITER ','"])
def test_a_field_too_long_by_trailing_blanks_only_is_loaded(
    stage: Stage, cursor: Cursor, options: str
) -> None:
    fields = ["abcdefgh    ", "abc         ", "éééé  ", "éé          "]
    lines = "".join(f"{number},{text},1,\n" for number, text in enumerate(fields))
    cursor.execute(stage.copy("t", stage.put("bl/one", lines.encode()), options))
    found = [row[0] for row in rows(cursor, "select name from t order by id")]
    assert [text.rstrip() for text in found] == [text.rstrip() for text in fields]
    assert [len(text) for text in found] == [8, 8, 6, 8]


@pytest.mark.parametrize("field", ["abcdefgh i", "abcdefghi", "ééééx   ", "abcdefgh\t"])
def test_a_field_too_long_by_anything_else_is_a_load_error(
    stage: Stage, cursor: Cursor, field: str
) -> None:
    url = stage.put("bl/two", f"1,{field},1,\n".encode())
    error = refusal(cursor, stage.copy("t", url, "CSV"))
    assert "exceeds DDL length" in error["D"]


def test_keys_with_trailing_blanks_are_exported_as_they_are_in_the_order_of_the_key(
    stage: Stage, cursor: Cursor
) -> None:
    url = stage.put("bl/keys", b"1,B,1,\n2,A  ,1,\n3,A,1,\n4, A,1,\n")
    cursor.execute(stage.copy("t", url, "CSV"))
    query = "select name, id from t order by name, id"
    cursor.execute(stage.unload(query, "engine/blanks/", "CSV PARALLEL OFF ALLOWOVERWRITE"))
    (body,) = stage.exported("engine/blanks/").values()
    assert body == b" A,4\nA  ,2\nA,3\nB,1\n"


def test_noload_checks_and_loads_nothing(stage: Stage, cursor: Cursor) -> None:
    url = stage.put("no/one", b"1,a,1,\n")
    cursor.execute(stage.copy("t", url, "CSV NOLOAD"))
    assert rows(cursor, "select count(*) from t") == [[0]]


def test_copy_is_part_of_the_clients_transaction(stage: Stage, connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE tx (id int)")
    connection.commit()
    url = stage.put("tx/one", b"1\n2\n")
    cursor.execute("delete from tx")
    cursor.execute(stage.copy("tx", url, "CSV"))
    assert rows(cursor, "select count(*) from tx") == [[2]]
    connection.rollback()
    assert rows(cursor, "select count(*) from tx") == [[0]]
    cursor.execute(stage.copy("tx", url, "CSV"))
    connection.commit()
    connection.autocommit = True
    cursor.execute(stage.copy("tx", url, "CSV"))
    assert rows(cursor, "select count(*) from tx") == [[4]]
    cursor.execute("drop table tx")
    history = rows(
        cursor,
        "select status, loaded_rows, source_file_count from sys_load_history where table_name ="
        " 'tx' order by query_id desc limit 1",
    )
    assert history == [["completed", 2, 1]]


def test_a_table_that_does_not_exist(stage: Stage, cursor: Cursor) -> None:
    error = refusal(cursor, stage.copy("nowhere", f"s3://{stage.working}/x", "CSV"))
    assert "Cannot COPY into nonexistent table nowhere" in error["M"]


def test_a_role_that_is_not_attached_is_refused(stage: Stage, cursor: Cursor) -> None:
    error = refusal(cursor, f"COPY t FROM 's3://{stage.working}/x' IAM_ROLE '{stage.role_a}' CSV")
    assert f"The requested role {stage.role_a} is not associated to cluster" in error["M"]


def test_a_denied_read_names_principal_action_and_object(stage: Stage, cursor: Cursor) -> None:
    url = f"s3://sample-inp-bucket-etl-{stage.sandbox.config.suffix}/products/"
    error = refusal(cursor, stage.copy("t", url, "CSV"))
    assert error["M"].startswith("S3ServiceException:Access Denied,Status 403")
    for part in ("assumed-role/xacct-RoleB", "s3:ListBucket", url):
        assert part in error["D"]


def test_a_chain_without_trust_is_refused_naming_the_principal(
    stage: Stage, cursor: Cursor
) -> None:
    iam = stage.sandbox.client("account-a-admin", "iam")
    name = stage.role_a.rsplit("/", 1)[-1]
    policy = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    closed = {
        **policy,
        "Statement": [{**statement, "Effect": "Deny"} for statement in policy["Statement"]],
    }
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(closed))
    try:
        error = refusal(cursor, stage.unload("select 1 as a", "engine/denied/", "CSV"))
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(policy))
    assert f"is not authorized to assume IAM Role {stage.role_a}" in error["M"]
    assert "assumed-role/xacct-RoleB" in error["M"]
    cursor._c.rollback()
    cursor.execute(stage.unload("select 1 as a", "engine/denied/", "CSV CLEANPATH"))


# -- UNLOAD --------------------------------------------------------------------------------------

ROWS = (
    "select 1::bigint as id, 'a, \"b\"\n'::varchar(20) as name, 1.50::decimal(12, 2) as price,"
    " true as ok, timestamp '2026-01-02 03:04:05.678' as at, date '2026-01-02' as day,"
    " 2.5::float8 as f union all select 2, '', null::decimal(12, 2), false, null, null, null"
    " union all select 3, null, '-0.01'::decimal(12, 2), null, timestamp '2026-01-03', null,"
    " 'NaN' order by 1"
)


def test_parquet_has_the_types_of_the_query(stage: Stage, cursor: Cursor) -> None:
    cursor.execute(stage.unload(ROWS, "engine/pq/", "FORMAT PARQUET CLEANPATH PARALLEL OFF"))
    files = stage.exported("engine/pq/")
    assert list(files) == ["000.parquet"]
    table = pq.read_table(io.BytesIO(files["000.parquet"]))
    assert [str(field.type) for field in table.schema] == [
        "int64", "string", "decimal128(12, 2)", "bool", "timestamp[us]", "date32[day]", "double",
    ]  # fmt: skip
    found = table.to_pylist()
    assert found[0] == {
        "id": 1,
        "name": 'a, "b"\n',
        "price": Decimal("1.50"),
        "ok": True,
        "at": datetime(2026, 1, 2, 3, 4, 5, 678000),
        "day": date(2026, 1, 2),
        "f": 2.5,
    }
    assert (found[1]["name"], found[2]["name"], found[1]["price"]) == ("", None, None)


def test_csv_has_a_header_in_every_file_and_counts_it(stage: Stage, cursor: Cursor) -> None:
    cursor.execute(
        stage.unload(ROWS, "engine/csv/", "FORMAT CSV HEADER GZIP MANIFEST VERBOSE CLEANPATH")
    )
    files = stage.exported("engine/csv/")
    manifest = json.loads(files.pop("manifest"))
    (body,) = files.values()
    assert len(body) == manifest["meta"]["content_length"]
    found = list(csv.reader(io.StringIO(gzip.decompress(body).decode(), newline="")))
    assert found[0] == ["id", "name", "price", "ok", "at", "day", "f"]
    assert found[1][:4] == ["1", 'a, "b"\n', "1.50", "t"]
    assert manifest["meta"]["record_count"] == 4
    assert manifest["schema"]["elements"][2] == {
        "name": "price",
        "type": {"base": "numeric", "precision": 12, "scale": 2},
    }


def test_text_and_json(stage: Stage, cursor: Cursor) -> None:
    query = "select 1 as a, 'x|y'::varchar(9) as b union all select 2, null order by 1"
    cursor.execute(stage.unload(query, "engine/text/", "PARALLEL OFF HEADER"))
    assert stage.exported("engine/text/") == {"000": b"a|b\n1|x|y\n2|\n"}
    cursor.execute(stage.unload(query, "engine/json/", "JSON PARALLEL OFF"))
    (body,) = stage.exported("engine/json/").values()
    assert [json.loads(line) for line in body.splitlines()] == [
        {"a": 1, "b": "x|y"},
        {"a": 2, "b": None},
    ]


def test_an_export_that_exists_is_kept_unless_asked_otherwise(
    stage: Stage, connection: Connection
) -> None:
    cursor = connection.cursor()
    cursor.execute(stage.unload("select 1 as a", "engine/keep/", "CSV CLEANPATH"))
    stage.s3_a.put_object(Bucket=stage.exports, Key="engine/keep/stray", Body=b"x")
    error = refusal(cursor, stage.unload("select 2 as a", "engine/keep/", "CSV"))
    assert "Specified unload destination on S3 is not empty" in error["M"]
    connection.rollback()
    cursor.execute(stage.unload("select 2 as a", "engine/keep/", "CSV ALLOWOVERWRITE"))
    assert set(stage.exported("engine/keep/")) == {"0000_part_00", "stray"}
    cursor.execute(stage.unload("select 3 as a", "engine/keep/", "CSV CLEANPATH"))
    assert stage.exported("engine/keep/") == {"0000_part_00": b"3\n"}


def test_no_rows_make_a_manifest_and_no_file(stage: Stage, cursor: Cursor) -> None:
    cursor.execute(
        stage.unload("select * from t", "engine/none/", "FORMAT PARQUET MANIFEST VERBOSE CLEANPATH")
    )
    files = stage.exported("engine/none/")
    assert list(files) == ["manifest"]
    manifest = json.loads(files["manifest"])
    assert manifest["entries"] == []
    assert [element["name"] for element in manifest["schema"]["elements"]] == [
        "id",
        "name",
        "n",
        "d",
    ]
    assert rows(cursor, "select pg_last_unload_count()") == [[0]]


def test_partitions(stage: Stage, cursor: Cursor) -> None:
    query = "select i, 'k' || i % 2 as k from generate_series(1, 10) as i"
    cursor.execute(
        stage.unload(query, "engine/parts/", "FORMAT PARQUET PARTITION BY (k) MANIFEST VERBOSE")
    )
    files = stage.exported("engine/parts/")
    manifest = json.loads(files.pop("manifest"))
    assert sorted(files) == ["k=k0/0000_part_00.parquet", "k=k1/0000_part_00.parquet"]
    table = pq.read_table(io.BytesIO(files["k=k1/0000_part_00.parquet"]))
    assert table.to_pydict() == {"i": [1, 3, 5, 7, 9]}
    assert [entry["meta"]["record_count"] for entry in manifest["entries"]] == [5, 5]


def test_a_large_result_is_spread_over_slices_and_parts(stage: Stage, cursor: Cursor) -> None:
    query = "select i, repeat(md5(i::varchar), 10) as x from generate_series(1, 60000) as i"
    cursor.execute(
        stage.unload(query, "engine/large/", "CSV MAXFILESIZE 5 MB MANIFEST VERBOSE CLEANPATH")
    )
    files = stage.exported("engine/large/")
    manifest = json.loads(files.pop("manifest"))
    assert {"0000_part_00", "0000_part_01", "0001_part_00", "0001_part_01"} <= set(files)
    assert all(len(body) <= 5 << 20 for body in files.values())
    for entry in manifest["entries"]:
        body = files[entry["url"].rsplit("/", 1)[-1]]
        assert entry["meta"] == {"content_length": len(body), "record_count": body.count(b"\n")}
    assert manifest["meta"]["record_count"] == 60000
    ids = {int(line.split(b",")[0]) for body in files.values() for line in body.splitlines()}
    assert ids == set(range(1, 60001))


def test_an_export_sees_what_its_transaction_wrote(stage: Stage, connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("create temp table own (a int)")
    cursor.execute("insert into own values (7)")
    cursor.execute(stage.unload("select a from own", "engine/own/", "CSV CLEANPATH"))
    assert stage.exported("engine/own/") == {"0000_part_00": b"7\n"}
    assert connection.in_transaction
    connection.rollback()


def test_an_error_in_the_query_leaves_no_file(stage: Stage, cursor: Cursor) -> None:
    query = "select 1 / (20000 - i) as a, repeat('x', 500) as b from generate_series(1, 30000) as i"
    error = refusal(cursor, stage.unload(query, "engine/error/", "CSV MANIFEST"))
    assert "division by zero" in error["M"]
    assert stage.exported("engine/error/") == {}


def test_a_denied_write_names_principal_action_and_object(stage: Stage, cursor: Cursor) -> None:
    target = f"s3://{stage.working}/engine/"
    statement = (
        f"UNLOAD ('select 1 as a') TO '{target}'"
        f" IAM_ROLE '{stage.role_b},{stage.role_a}' CSV ALLOWOVERWRITE"
    )
    error = refusal(cursor, statement)
    assert error["M"].startswith("S3ServiceException:Access Denied,Status 403")
    for part in ("assumed-role/xacct-RoleA", "s3:PutObject", target):
        assert part in error["D"]


def cancelling(stage: Stage, connection: Connection) -> threading.Thread:
    """Cancels what runs on the connection, a second from now."""
    key = connection._backend_key_data
    assert key is not None

    def cancel() -> None:
        time.sleep(1.0)
        port = stage.sandbox.config.redshift_port
        with socket.create_connection(("127.0.0.1", port)) as other:
            other.sendall(protocol.cancel_request(key))
            other.recv(1)

    thread = threading.Thread(target=cancel)
    thread.start()
    return thread


def slow_load(stage: Stage, cursor: Cursor) -> str:
    """A COPY that takes PostgreSQL many seconds and fills every buffer on the way."""
    cursor.execute(
        "create temp table slow (a varchar(99), b varchar(9) default pg_sleep(0.0001)::varchar)"
    )
    url = stage.put("slow.csv", (b"x" * 90 + b"\n") * 60_000)
    return stage.copy("slow (a)", url, "CSV")


def test_a_cancelled_load_stops_and_leaves_the_session_usable(
    stage: Stage, connection: Connection
) -> None:
    cursor = connection.cursor()
    statement = slow_load(stage, cursor)
    thread = cancelling(stage, connection)
    started = time.monotonic()
    error = refusal(cursor, statement)
    thread.join()
    assert error["C"] == "57014"
    assert time.monotonic() - started < 15
    connection.rollback()
    assert rows(cursor, "select 1") == [[1]]


@pytest.mark.parametrize("kind", ["load", "export"])
def test_a_client_that_goes_away_takes_its_load_or_export_with_it(stage: Stage, kind: str) -> None:
    connection = stage.connect()
    cursor = connection.cursor()
    query = "select i, pg_sleep(0.0001)::varchar as s from generate_series(1, 90000) as i"
    statement = (
        slow_load(stage, cursor)
        if kind == "load"
        else stage.unload(query, "engine/gone/", "CSV CLEANPATH")
    )
    cursor.execute("select pg_backend_pid()")
    session = cursor.fetchone()[0]

    def run() -> None:
        with contextlib.suppress(Exception):  # whatever a closed socket is to the driver
            cursor.execute(statement)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(1.0)
    connection._usock.shutdown(socket.SHUT_RDWR)
    thread.join(20)
    assert not thread.is_alive()
    watching = connect(stage.sandbox.config, "rdsdb", stage.sandbox.config.token_path.read_text())
    watching.autocommit = True
    with watching.cursor() as other:
        gone = f"select count(*) from pg_stat_activity where pid = {session}"
        deadline = time.monotonic() + 20
        while rows(other, gone) != [[0]]:
            assert time.monotonic() < deadline, "its backend still runs"
            time.sleep(0.1)
    watching.close()
    assert stage.exported("engine/gone/") == {}


def test_a_cancelled_export_stops_and_leaves_the_session_usable(
    stage: Stage, connection: Connection
) -> None:
    cursor = connection.cursor()
    thread = cancelling(stage, connection)
    started = time.monotonic()
    query = "select i, pg_sleep(0.01)::varchar as s from generate_series(1, 5000) as i"
    error = refusal(cursor, stage.unload(query, "engine/cancel/", "CSV CLEANPATH"))
    thread.join()
    assert error["C"] == "57014"
    assert time.monotonic() - started < 15
    connection.rollback()
    assert rows(cursor, "select 1") == [[1]]
    assert stage.exported("engine/cancel/") == {}


def test_histories_tell_of_loads_and_exports(stage: Stage, cursor: Cursor) -> None:
    cursor.execute(stage.unload("select 1 as a", "engine/history/", "CSV CLEANPATH"))
    cursor._c.rollback()
    found = rows(
        cursor,
        "select unload_location, file_format, unloaded_rows, unloaded_files_count from"
        " sys_unload_history order by query_id desc limit 1",
    )
    assert found == [[f"s3://{stage.exports}/engine/history/", "csv", 1, 1]]
    now = datetime.now(UTC).replace(tzinfo=None)
    started = rows(cursor, "select max(start_time) from sys_query_history")[0][0]
    assert abs((now - started).total_seconds()) < 60
