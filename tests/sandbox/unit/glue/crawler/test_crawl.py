"""A crawl writes the tables and partitions that it found to the catalog, and nothing else."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from xacct_sandbox.glue.crawler.crawl import CrawlFailed, CrawlStopped
from xacct_sandbox.glue.crawler.s3_listing import S3Denied

NEW_ONLY = {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}}
DELETE = {"SchemaChangePolicy": {"DeleteBehavior": "DELETE_FROM_DATABASE"}}
LOG_ALL = {"SchemaChangePolicy": {"DeleteBehavior": "LOG", "UpdateBehavior": "LOG"}}


def test_three_days_are_a_table_with_three_partitions(bench):
    for day in (1, 2, 3):
        bench.day(day)
    changes = bench.crawl()
    assert bench.values() == [("2026", "01", f"{day:02}") for day in (1, 2, 3)]
    table = bench.glue.tables["products"]
    assert bench.columns() == {"id": "bigint", "name": "string", "price": "double"}
    assert [key["Name"] for key in table["PartitionKeys"]] == [
        "partition_0",
        "partition_1",
        "partition_2",
    ]
    expected = {
        "classification": "csv",
        "compressionType": "none",
        "delimiter": ",",
        "skip.header.line.count": "1",
        "objectCount": "3",
        "recordCount": "6",
        "UPDATED_BY_CRAWLER": "c",
    }
    assert expected.items() <= table["Parameters"].items()
    partition = bench.glue.partitions["products"]["2026", "01", "02"]
    assert partition["StorageDescriptor"]["Location"] == "s3://raw/products/2026/01/02/"
    assert partition["Parameters"]["objectCount"] == "1"
    assert (changes.count("TABLE", "ADD"), changes.count("PARTITION", "ADD")) == (1, 3)


def test_the_summary_is_json_in_json_and_fits_the_api(bench):
    for day in range(1, 29):
        bench.day(day)
    summary = bench.crawl().summary()
    assert len(summary) <= 255
    kinds = {kind: json.loads(text) for kind, text in json.loads(summary).items()}
    assert json.loads(kinds["PARTITION"]["ADD"])["Count"] == 28
    bench.day(29)
    named = json.loads(json.loads(json.loads(bench.crawl().summary())["PARTITION"])["ADD"])
    assert named == {"Details": {"names": ["products/2026/01/29"]}, "Count": 1}


def test_crawling_again_changes_nothing_and_reads_nothing(bench):
    bench.day(1)
    bench.crawl()
    bench.s3.reads.clear()
    before = bench.glue.tables["products"]
    changes = bench.crawl()
    assert changes.summary() == "{}"
    assert bench.s3.reads == []
    assert bench.glue.tables["products"] == before


def test_hidden_and_excluded_files_are_never_read(bench):
    bench.day(1)
    for key in (
        "_tmp/2026/01/02/x.csv",
        "2026/01/03/.x.csv",
        "2026/01/04/x.bak",
        "2026/01/05/",
        "2026//x.csv",
        "2026/01/01/../x.csv",
    ):
        bench.s3.objects[f"products/{key}"] = b"id,name\n1,a\n"
    bench.crawl(target={"Exclusions": ["**.bak"]})
    assert bench.values() == [("2026", "01", "01")]
    assert set(bench.s3.reads) == {"products/2026/01/01/products.csv"}
    exclusions = bench.glue.tables["products"]["Parameters"]["exclusions"]
    assert json.loads(exclusions) == ["s3://raw/products/**.bak"]


def test_an_include_path_with_nothing_in_it_gives_nothing(bench):
    assert bench.crawl().summary() == "{}"
    assert bench.glue.tables == {}


@pytest.mark.parametrize("content", [b"", b"id,name,price\n", b"\xff\xfe\x00", b"no delimiter"])
def test_a_file_that_is_not_classified_is_left_out_and_logged(bench, content):
    bench.day(1)
    bench.s3.objects["products/2026/01/02/products.csv"] = content
    bench.crawl()
    assert bench.values() == [("2026", "01", "01")]
    if content:
        assert any("01/02/products.csv is not classified" in line for line in bench.log)


def test_a_day_with_another_delimiter_becomes_its_own_table(bench):
    for day in (1, 2, 3):
        bench.day(day)
    bench.day(4, text="1;a;2.5\n2;b;3.5\n", header="id;name;price\n")
    bench.crawl()
    assert len(bench.values()) == 3
    assert bench.glue.tables["04"]["Parameters"]["delimiter"] == ";"


def test_a_gzip_day_is_kept_apart_from_plain_days(bench):
    for day in (1, 2):
        bench.day(day)
    key = bench.day(3)
    bench.s3.objects[f"{key}.gz"] = gzip.compress(bench.s3.objects.pop(key))
    bench.crawl()
    assert bench.values() == [("2026", "01", "01"), ("2026", "01", "02")]
    assert bench.glue.tables["03"]["Parameters"]["compressionType"] == "gzip"


def test_an_unsupported_format_fails_the_crawl_by_name(bench):
    bench.s3.objects["products/2026/01/01/x.avro"] = b"Obj\x01...."
    with pytest.raises(CrawlFailed, match=r"x\.avro: Avro"):
        bench.crawl()


@pytest.mark.parametrize(
    "body", [b"Obj\x01....", b"PK\x03\x04....", b"<?xml?>....", b"PAR1....", bytes(range(256))]
)
def test_a_file_of_another_format_leaves_the_other_days_alone(bench, body):
    for day in (1, 3):
        bench.day(day)
    bench.s3.objects["products/2026/01/02/products.csv"] = body
    bench.crawl(**NEW_ONLY, **LOG_ALL)
    assert bench.values() == [("2026", "01", "01"), ("2026", "01", "03")]
    assert any("2026/01/02/products.csv" in line for line in bench.log)
    bench.day(4)
    bench.crawl(**NEW_ONLY, **LOG_ALL)
    assert ("2026", "01", "04") in bench.values()
    # A crawl whose only new folder is that one has nothing to add.
    assert bench.crawl(**NEW_ONLY, **LOG_ALL).summary() == "{}"


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_file_is_logged_and_leaves_the_other_days_alone(bench, storage_class):
    for day in (1, 2, 3):
        bench.day(day)
    key = bench.day(2)
    bench.s3.storage_classes[key] = storage_class
    bench.crawl(**NEW_ONLY, **LOG_ALL)
    assert bench.values() == [("2026", "01", "01"), ("2026", "01", "03")]
    (line,) = [line for line in bench.log if "InvalidObjectState" in line]
    assert f"retrieving file at s3://raw/{key}" in line
    bench.s3.storage_classes.clear()
    bench.crawl(**NEW_ONLY, **LOG_ALL)
    assert ("2026", "01", "02") in bench.values()


def test_a_refusal_to_list_names_principal_action_and_resource(bench):
    bench.s3.denied.add("list_objects_v2")
    with pytest.raises(S3Denied) as refusal:
        bench.crawl()
    for part in ("assumed-role/glue/AWS-Crawler", "s3:ListBucket", "arn:aws:s3:::raw"):
        assert part in str(refusal.value)


def test_a_refusal_to_read_names_the_object(bench):
    key = bench.day(1)
    bench.s3.denied.add("get_object")
    with pytest.raises(S3Denied, match=f"s3:GetObject on resource: arn:aws:s3:::raw/{key}"):
        bench.crawl()


def test_a_refusal_of_the_catalog_names_the_operation(bench):
    bench.day(1)
    bench.glue.denied.add("create_table")
    with pytest.raises(CrawlFailed, match="create_table failed for the crawler's role: AccessDen"):
        bench.crawl()


def test_a_partitioned_table_gets_one_partition_index(bench):
    bench.day(1)
    bench.crawl()
    bench.day(2)
    bench.crawl()
    keys = [key["Name"] for key in bench.glue.tables["products"]["PartitionKeys"]]
    assert bench.glue.indexes == {"products": [keys]}


@pytest.mark.parametrize("operation", ["get_partition_indexes", "create_partition_index"])
def test_a_role_that_may_not_index_partitions_fails_the_crawl_unless_it_need_not(bench, operation):
    bench.day(1)
    bench.glue.denied.add(operation)
    with pytest.raises(CrawlFailed, match=f"{operation} failed for the crawler's role: AccessDen"):
        bench.crawl()
    bench.crawl(Configuration='{"Version": 1.0, "CreatePartitionIndex": false}')
    assert bench.glue.indexes == {}


def test_a_table_without_partitions_gets_no_index(bench):
    bench.s3.objects["products/products.csv"] = b"id,name\n1,a\n2,b\n"
    bench.crawl()
    assert "products" in bench.glue.tables
    assert bench.glue.indexes == {}


def test_a_missing_database_fails_before_anything_is_read(bench):
    bench.day(1)
    with pytest.raises(CrawlFailed, match="EntityNotFoundException"):
        bench.crawl(DatabaseName="other")
    assert bench.s3.reads == []


def test_a_stopped_crawl_writes_nothing_more(bench):
    bench.day(1)
    with pytest.raises(CrawlStopped):
        bench.crawl(stopped=True)
    assert bench.glue.tables == {}


# -- new folders only ------------------------------------------------------------------------


def test_only_new_folders_are_read_after_the_first_crawl(bench):
    bench.day(1)
    bench.crawl(**NEW_ONLY)
    bench.s3.reads.clear()
    new = bench.day(2)
    changes = bench.crawl(**NEW_ONLY)
    assert bench.s3.reads == [new]
    assert bench.values() == [("2026", "01", "01"), ("2026", "01", "02")]
    assert changes.count("PARTITION", "ADD") == 1
    assert changes.count("TABLE", "UPDATE") == 0


def test_a_file_added_to_a_crawled_folder_is_not_read(bench):
    bench.day(1)
    bench.crawl(**NEW_ONLY)
    bench.s3.reads.clear()
    bench.s3.objects["products/2026/01/01/late.csv"] = b"id,name,price,extra\n1,a,2,3\n"
    assert bench.crawl(**NEW_ONLY).summary() == "{}"
    assert bench.s3.reads == []


def test_a_folder_without_a_schema_is_read_again(bench):
    bench.day(1)
    bench.s3.objects["products/2026/01/02/products.csv"] = b""
    bench.crawl(**NEW_ONLY)
    bench.day(2)
    bench.crawl(**NEW_ONLY)
    assert ("2026", "01", "02") in bench.values()


def test_a_new_folder_of_another_schema_is_ignored_and_logged(bench):
    bench.day(1)
    bench.crawl(**NEW_ONLY)
    bench.day(2, text="1,x\n", header="other,columns\n")
    assert bench.crawl(**NEW_ONLY).summary() == "{}"
    assert any("is ignored" in line and "products" in line for line in bench.log)


def test_a_new_folder_beside_separate_tables_becomes_a_table(bench):
    bodies = {"a": b"id,name\n1,x\n", "b": b"key;value\n1;x\n", "c": b"k|v|w\n1|x|y\n"}
    for name in ("a", "b"):
        bench.s3.objects[f"products/{name}/2026/f"] = bodies[name]
    bench.crawl(**NEW_ONLY)
    assert sorted(bench.glue.tables) == ["a", "b"]
    bench.s3.objects["products/c/2026/f"] = bodies["c"]
    bench.crawl(**NEW_ONLY)
    assert sorted(bench.glue.tables) == ["a", "b", "c"]
    assert [key["Name"] for key in bench.glue.tables["c"]["PartitionKeys"]] == ["partition_0"]
    assert bench.values("c") == [("2026",)]


def test_deleted_folders_are_ignored(bench):
    key = bench.day(1)
    bench.day(2)
    bench.crawl(**NEW_ONLY)
    del bench.s3.objects[key]
    bench.crawl(**NEW_ONLY)
    assert len(bench.values()) == 2


def test_after_the_table_was_dropped_everything_is_crawled_again(bench):
    bench.day(1)
    bench.crawl(**NEW_ONLY)
    bench.glue.tables.clear()
    bench.day(2)
    bench.crawl(**NEW_ONLY)
    assert len(bench.values()) == 2


# -- schema changes and deletions ------------------------------------------------------------


def changed_schema(bench: Any, **definition: Any) -> None:
    bench.day(1)
    bench.crawl(**definition)
    bench.day(1, text="1,a,2.5,9\n", header="id,name,price,stock\n")
    bench.day(2, text="1,a,2.5,9\n", header="id,name,price,stock\n")
    bench.crawl(**definition)


def test_a_new_column_is_written_to_the_table(bench):
    changed_schema(bench)
    assert list(bench.columns()) == ["id", "name", "price", "stock"]


def test_update_behavior_log_leaves_the_table_and_still_adds_partitions(bench):
    changed_schema(bench, **LOG_ALL)
    assert list(bench.columns()) == ["id", "name", "price"]
    assert len(bench.values()) == 2
    assert any("UpdateBehavior is LOG" in line for line in bench.log)


def test_merge_new_columns_adds_but_never_retypes(bench):
    merge = {
        "Configuration": json.dumps(
            {
                "Version": 1.0,
                "CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}},
            }
        ),
        **LOG_ALL,
    }
    bench.day(1)
    bench.crawl(**merge)
    bench.day(1, text="1,a,no number,9\n", header="id,name,price,stock\n")
    bench.crawl(**merge)
    assert bench.columns() == {
        "id": "bigint",
        "name": "string",
        "price": "double",
        "stock": "bigint",
    }


def test_inherited_partitions_have_the_tables_columns(bench):
    bench.day(1)
    bench.day(2, text="1,a,2,9\n", header="id,name,price,stock\n")
    inherit = {"CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}}
    bench.crawl(Configuration=json.dumps({"Version": 1.0, **inherit}))
    for partition in bench.glue.partitions["products"].values():
        assert len(partition["StorageDescriptor"]["Columns"]) == 4


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(DELETE, "deleted"), ({}, "deprecated"), (LOG_ALL, "kept")],
)
def test_a_partition_without_a_folder_is_treated_as_the_policy_says(bench, policy, expected):
    key = bench.day(1)
    bench.day(2)
    bench.crawl(**policy)
    del bench.s3.objects[key]
    bench.crawl(**policy)
    gone = bench.glue.partitions["products"].get(("2026", "01", "01"))
    found = (
        "deleted"
        if gone is None
        else "deprecated"
        if "DEPRECATED_BY_CRAWLER" in gone["Parameters"]
        else "kept"
    )
    assert found == expected
    assert ("2026", "01", "02") in bench.values()


def test_a_table_without_data_is_deleted_if_the_policy_says_so(bench):
    key = bench.day(1)
    bench.crawl(**DELETE)
    del bench.s3.objects[key]
    assert bench.crawl(**DELETE).count("TABLE", "DELETE") == 1
    assert bench.glue.tables == {}


def test_a_table_of_somebody_else_is_never_touched(bench):
    foreign = {
        "Name": "products",
        "StorageDescriptor": {"Location": "s3://elsewhere/"},
        "PartitionKeys": [],
        "Parameters": {},
    }
    bench.glue.tables["products"] = dict(foreign)
    bench.day(1)
    bench.crawl(**DELETE)
    assert bench.glue.tables["products"] == foreign
    (created,) = [name for name in bench.glue.tables if name != "products"]
    assert created.startswith("products_")
    bench.day(2)
    bench.crawl(**DELETE)
    assert len(bench.values(created)) == 2
