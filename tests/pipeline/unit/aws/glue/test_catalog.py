"""The Data Catalog."""

import pytest

from xacct_assets.aws.errors import NotFound
from xacct_assets.aws.glue.catalog import BATCH, Catalog


def partition(values):
    return {
        "Values": values,
        "StorageDescriptor": {
            "Location": f"s3://raw/products/{'/'.join(values)}/",
            "Columns": [{"Name": "id", "Type": "bigint"}],
        },
    }


def test_a_table_has_columns_partition_keys_and_location(modelled):
    table = {
        "Name": "products",
        "StorageDescriptor": {
            "Columns": [{"Name": "id", "Type": "bigint"}],
            "Location": "s3://raw/products/",
        },
        "PartitionKeys": [{"Name": "partition_0", "Type": "string"}],
        "Parameters": {"classification": "csv"},
    }
    found = Catalog(modelled("glue", get_table=lambda **_: {"Table": table})).table("d", "products")
    assert found.columns == [("id", "bigint")]
    assert found.partition_keys == [("partition_0", "string")]
    assert (found.location, found.classification) == ("s3://raw/products/", "csv")


def test_a_missing_table_is_named(modelled, refusal):
    def missing(**_):
        raise refusal("EntityNotFoundException", "Entity Not Found")

    with pytest.raises(NotFound, match=r"table d\.t"):
        Catalog(modelled("glue", get_table=missing)).table("d", "t")


def test_only_partitions_that_exist_are_returned(modelled):
    client = modelled(
        "glue",
        batch_get_partition=lambda **_: {"Partitions": [partition(["2026", "01", "01"])]},
    )
    wanted = [["2026", "01", "01"], ["2026", "01", "02"]]
    found = Catalog(client).partitions("d", "t", wanted)
    assert set(found) == {("2026", "01", "01")}
    assert found["2026", "01", "01"].location == "s3://raw/products/2026/01/01/"


def test_keys_that_glue_left_unprocessed_are_asked_for_again(modelled):
    answers = iter(
        [
            {"Partitions": [partition(["1"])], "UnprocessedKeys": [{"Values": ["2"]}]},
            {"Partitions": [partition(["2"])]},
        ]
    )
    client = modelled("glue", batch_get_partition=lambda **_: next(answers))
    assert set(Catalog(client).partitions("d", "t", [["1"], ["2"]])) == {("1",), ("2",)}


def test_a_partition_that_does_not_exist_is_among_the_unprocessed_keys(modelled):
    client = modelled(
        "glue", batch_get_partition=lambda **_: {"UnprocessedKeys": [{"Values": ["1"]}]}
    )
    assert Catalog(client).partitions("d", "t", [["1"]]) == {}
    assert len(client.named("batch_get_partition")) == 1


def test_many_partitions_are_asked_for_in_batches(modelled):
    client = modelled("glue", batch_get_partition=lambda **_: {})
    Catalog(client).partitions("d", "t", [[str(n)] for n in range(BATCH + 1)])
    sizes = [len(call["PartitionsToGet"]) for call in client.named("batch_get_partition")]
    assert sizes == [BATCH, 1]


COLUMNS = [("id", "bigint"), ("name", "string")]
DESCRIBED = [{"Name": "id", "Type": "bigint"}, {"Name": "name", "Type": "string"}]


@pytest.mark.parametrize(
    ("write", "operation"),
    [
        (Catalog.add_partition, "create_partition"),
        (Catalog.update_partition, "update_partition"),
    ],
)
def test_a_partition_is_described_as_its_table_is_with_the_columns_given(
    modelled, write, operation
):
    table = {
        "Name": "t",
        "StorageDescriptor": {"Location": "s3://raw/products/", "Columns": [], "Compressed": False},
        "Parameters": {"classification": "csv", "recordCount": "7"},
    }
    client = modelled("glue", get_table=lambda **_: {"Table": table}, **{operation: lambda **_: {}})
    values, place = ["2026", "01", "02"], "s3://raw/products/2026/01/02/"
    write(Catalog(client), "d", "t", values, place, COLUMNS)
    (call,) = client.named(operation)
    assert call.get("PartitionValueList", values) == values
    assert call["PartitionInput"] == {
        "Values": ["2026", "01", "02"],
        "StorageDescriptor": {
            "Location": "s3://raw/products/2026/01/02/",
            "Columns": DESCRIBED,
            "Compressed": False,
        },
        "Parameters": {"classification": "csv"},
    }


def test_adding_a_partition_that_is_there_is_no_error(modelled, refusal):
    def there(**_):
        raise refusal("AlreadyExistsException")

    client = modelled(
        "glue",
        get_table=lambda **_: {"Table": {"Name": "t", "StorageDescriptor": {}}},
        create_partition=there,
    )
    Catalog(client).add_partition("d", "t", ["1"], "s3://raw/products/1/", COLUMNS)


@pytest.mark.parametrize("there", [False, True])
def test_a_table_is_made_as_the_crawler_would_and_one_that_is_there_is_left(
    modelled, refusal, there
):
    def create(**_):
        if there:
            raise refusal("AlreadyExistsException")
        return {}

    client = modelled("glue", create_table=create)
    Catalog(client).create_table(
        *("d", "t", "s3://raw/products/"),
        columns=COLUMNS,
        partition_keys=["year", "month", "day"],
        delimiter=";",
        crawler="xacct-products",
    )
    (call,) = client.named("create_table")
    table = call["TableInput"]
    assert table["StorageDescriptor"]["Columns"] == DESCRIBED
    assert table["StorageDescriptor"]["SerdeInfo"]["Parameters"] == {"field.delim": ";"}
    assert [key["Name"] for key in table["PartitionKeys"]] == ["year", "month", "day"]
    assert table["Parameters"]["UPDATED_BY_CRAWLER"] == "xacct-products"
    assert table["Parameters"]["skip.header.line.count"] == "1"
