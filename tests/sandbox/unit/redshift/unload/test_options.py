"""UNLOAD statements, the names of their files, and the manifest."""

from __future__ import annotations

import json

import pytest

from xacct_sandbox.redshift.sql.dialect import translate
from xacct_sandbox.redshift.sql.plans import Refuse
from xacct_sandbox.redshift.unload.copy_query import copy_sql
from xacct_sandbox.redshift.unload.files import (
    ResultColumn,
    WrittenFile,
    file_key,
    header_row,
    manifest,
    partition_folder,
)
from xacct_sandbox.redshift.unload.options import MB, UnloadStatement

B = "arn:aws:iam::222222222222:role/RoleB"
A = "arn:aws:iam::111111111111:role/RoleA"


def unload(options: str, query: str = "select * from t") -> UnloadStatement:
    plan = translate(f"unload ('{query}') to 's3://b/a/day/' iam_role '{B},{A}' {options}")
    assert isinstance(plan, UnloadStatement), plan
    return plan


def refused(options: str, query: str = "select * from t") -> str:
    plan = translate(f"unload ('{query}') to 's3://b/a/day/' iam_role '{B},{A}' {options}")
    assert isinstance(plan, Refuse), plan
    return plan.error.message


def test_the_statement_the_pipeline_sends() -> None:
    given = unload(
        "FORMAT AS PARQUET MANIFEST VERBOSE CLEANPATH", "select * from t where a = ''x''"
    )
    assert given.query == "select * from t where a = 'x'"
    assert given.roles == (B, A)
    assert (given.format, given.manifest, given.verbose) == ("parquet", True, True)
    assert given.clean_path


def test_quotes_of_the_query_may_be_escaped_by_backslashes_too() -> None:
    assert unload("", "select \\'x\\'").query == "select 'x'"


@pytest.mark.parametrize(
    ("options", "query", "named"),
    [
        ("", "select * from t limit 5", "LIMIT"),
        ("", "select top 5 * from t", "TOP"),
        ("", "delete from t", "SELECT"),
        ("", "select 1; select 2", "single statement"),
        ("cleanpath allowoverwrite", "select 1", "CLEANPATH"),
        ("format parquet header", "select 1", "HEADER"),
        ("format parquet gzip", "select 1", "GZIP"),
        ("format avro", "select 1", "avro"),
        ("fixedwidth 'a:1'", "select 1", "FIXEDWIDTH"),
        ("encrypted", "select 1", "ENCRYPTED"),
        ("bzip2", "select 1", "BZIP2"),
        ("maxfilesize 1 mb", "select 1", "MAXFILESIZE"),
        ("rowgroupsize 5 mb", "select 1", "ROWGROUPSIZE"),
        ("csv escape", "select 1", "ESCAPE"),
        ("kms_key_id 'x'", "select 1", "KMS_KEY_ID"),
        ("encrypted auto", "select 1", "auto"),
        ("master_symmetric_key 'x' encrypted", "select 1", "MASTER_SYMMETRIC_KEY"),
        ("whatever", "select 1", "whatever"),
    ],
)
def test_what_is_wrong_or_lacking_is_named(options: str, query: str, named: str) -> None:
    assert named in refused(options, query)


@pytest.mark.parametrize(
    ("options", "encryption"),
    [
        ("kms_key_id 'k' encrypted", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}),
        ("ENCRYPTED csv KMS_KEY_ID 'k'", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}),
        # Whatever the default of the bucket is.
        ("csv", {"ServerSideEncryption": "AES256"}),
    ],
)
def test_the_files_are_encrypted_as_the_statement_says(
    options: str, encryption: dict[str, str]
) -> None:
    assert unload(options).encryption == encryption


def test_a_limit_inside_a_subquery_is_allowed() -> None:
    assert unload("", "select * from (select * from t limit 5)").query.endswith("limit 5)")


def test_sizes() -> None:
    assert unload("maxfilesize 100 mb").max_file_bytes == 100 * MB
    assert unload("maxfilesize as 1 gb").max_file_bytes == 1024 * MB
    assert unload("format parquet rowgroupsize 64 mb").row_group_bytes == 64 * MB


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ("", "a/day/0001_part_02"),
        ("parallel off", "a/day/002"),
        ("csv gzip", "a/day/0001_part_02.gz"),
        ("csv zstd", "a/day/0001_part_02.zst"),
        ("format parquet", "a/day/0001_part_02.parquet"),
        ("json", "a/day/0001_part_02.json"),
        ("csv gzip extension 'csv.gz'", "a/day/0001_part_02.csv.gz"),
    ],
)
def test_files_are_named_by_slice_and_part(options: str, key: str) -> None:
    assert file_key(unload(options), "", 1, 2) == key


def test_partitions_are_folders_of_key_and_value() -> None:
    folder = partition_folder(("d", "n"), ["2026-01-01", None])
    assert folder == "d=2026-01-01/n=__HIVE_DEFAULT_PARTITION__/"
    given = unload("format parquet partition by (d, n)")
    assert file_key(given, folder, 0, 0) == f"a/day/{folder}0000_part_00.parquet"
    assert partition_folder(("d",), ["a/b=c%"]) == "d=a%2Fb%3Dc%25/"


COLUMNS = [
    ResultColumn("id", 20, -1, "bigint"),
    ResultColumn("name", 1043, 68, "character varying"),
    ResultColumn("price", 1700, ((12 << 16) | 2) + 4, "numeric"),
    ResultColumn("at", 1114, -1, "timestamp without time zone"),
]
FILES = [WrittenFile("s3://b/a/1", 100, 3), WrittenFile("s3://b/a/2", 50, 2)]


def test_a_verbose_manifest_has_counts_schema_and_author() -> None:
    document = json.loads(manifest(unload("manifest verbose"), COLUMNS, FILES))
    assert document == {
        "entries": [
            {"url": "s3://b/a/1", "meta": {"content_length": 100, "record_count": 3}},
            {"url": "s3://b/a/2", "meta": {"content_length": 50, "record_count": 2}},
        ],
        "schema": {
            "elements": [
                {"name": "id", "type": {"base": "bigint"}},
                {"name": "name", "type": {"base": "character varying", "max_length": 64}},
                {"name": "price", "type": {"base": "numeric", "precision": 12, "scale": 2}},
                {"name": "at", "type": {"base": "timestamp without time zone"}},
            ]
        },
        "meta": {"content_length": 150, "record_count": 5},
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    }


def test_a_plain_manifest_lists_the_files() -> None:
    document = json.loads(manifest(unload("manifest"), COLUMNS, FILES))
    assert [entry["url"] for entry in document["entries"]] == ["s3://b/a/1", "s3://b/a/2"]
    assert "schema" not in document


def test_an_empty_export_has_a_manifest_without_entries() -> None:
    document = json.loads(manifest(unload("manifest verbose"), COLUMNS, []))
    assert document["entries"] == []
    assert document["meta"] == {"content_length": 0, "record_count": 0}


def test_headers() -> None:
    assert header_row(unload("csv header"), COLUMNS) == b"id,name,price,at\n"
    assert header_row(unload("header"), COLUMNS) == b"id|name|price|at\n"


def test_the_query_reaches_postgresql_as_it_is_for_csv() -> None:
    text = copy_sql(unload("csv"), "select 1", COLUMNS)
    assert text == "COPY (select 1) TO STDOUT (FORMAT csv, DELIMITER ',', NULL '')"
