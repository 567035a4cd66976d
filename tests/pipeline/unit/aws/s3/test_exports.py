"""An export is compared with its manifest."""

import io
import json
from datetime import UTC, datetime

import pytest

from tests.support.fakes.s3 import FakeBucket
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.s3.exports import Exports

A = "111111111111"
PREFIX = "products/2026/01/01/"


def manifest(*files, total=None):
    return json.dumps(
        {
            "entries": [
                {
                    "url": f"s3://opt/{PREFIX}{name}",
                    "meta": {"content_length": size, "record_count": rows},
                }
                for name, size, rows in files
            ],
            "schema": {"elements": [{"name": "id", "type": {"base": "bigint"}}]},
            "meta": {
                "content_length": sum(size for _, size, _ in files),
                "record_count": sum(rows for *_, rows in files) if total is None else total,
            },
            "author": {"name": "Amazon Redshift", "version": "1.0"},
        }
    ).encode()


@pytest.fixture
def exports(modelled, refusal):
    def make(objects: dict[str, bytes]) -> Exports:
        def listing(Bucket, Prefix, ExpectedBucketOwner, **_):
            assert ExpectedBucketOwner == A
            return {
                "Contents": [
                    {
                        "Key": key,
                        "Size": len(body),
                        "LastModified": datetime(2026, 1, 1, tzinfo=UTC),
                    }
                    for key, body in objects.items()
                    if key.startswith(Prefix)
                ]
            }

        def get(Bucket, Key, ExpectedBucketOwner):
            assert ExpectedBucketOwner == A
            if Key not in objects:
                raise refusal("NoSuchKey", status=404)
            return {"Body": io.BytesIO(objects[Key])}

        return Exports(modelled("s3", list_objects_v2=listing, get_object=get), "opt", A)

    return make


WHOLE = {
    PREFIX + "0000_part_00.parquet": b"12345",
    PREFIX + "0001_part_00.parquet": b"123",
    PREFIX + "manifest": manifest(("0000_part_00.parquet", 5, 7), ("0001_part_00.parquet", 3, 2)),
}


def test_a_whole_export_is_ok_and_counted(exports):
    verdict = exports(WHOLE).verify(PREFIX)
    assert verdict.ok
    assert (verdict.files, verdict.rows, verdict.bytes) == (2, 9, 8)
    assert verdict.manifest.columns == [("id", "bigint")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({PREFIX + "0000_part_00.parquet": None}, "missing: products/2026/01/01/0000_part_00"),
        ({PREFIX + "9999.parquet": b"x"}, "does not name: products/2026/01/01/9999"),
        ({PREFIX + "0000_part_00.parquet": b"1234"}, "other sizes"),
        ({PREFIX + "manifest": None}, "no manifest"),
        ({PREFIX + "manifest": b"{"}, "not a verbose UNLOAD manifest"),
        ({PREFIX + "manifest": b'{"entries": [{"url": "s3://opt/x"}]}'}, "not a verbose"),
        ({PREFIX + "manifest": b"[]"}, "not a verbose"),
        (
            {PREFIX + "manifest": manifest(("0000_part_00.parquet", 5, 7), total=8)},
            "add up to 7 rows, its total says 8",
        ),
        (
            {PREFIX + "manifest": manifest(*[("0000_part_00.parquet", 5, 7)] * 2)},
            "twice",
        ),
    ],
)
def test_anything_else_is_named(exports, change, message):
    objects = {key: body for key, body in (WHOLE | change).items() if body is not None}
    verdict = exports(objects).verify(PREFIX)
    assert not verdict.ok
    assert message in "; ".join(verdict.problems)


def test_a_manifest_of_another_bucket_is_not_believed(exports):
    other = WHOLE[PREFIX + "manifest"].replace(b"s3://opt/", b"s3://other/")
    verdict = exports(WHOLE | {PREFIX + "manifest": other}).verify(PREFIX)
    assert "not in this bucket" in "; ".join(verdict.problems)


def test_a_day_that_was_never_exported_has_no_manifest_and_no_rows(exports):
    verdict = exports({}).verify(PREFIX)
    assert (verdict.manifest, verdict.rows, verdict.ok) == (None, None, False)


def test_percent_encoded_urls_mean_the_same_key(exports):
    key = PREFIX + "a b.parquet"
    text = manifest(("a%20b.parquet", 1, 1))
    assert exports({key: b"x", PREFIX + "manifest": text}).verify(PREFIX).ok


def test_a_denied_manifest_is_not_taken_for_a_missing_one(modelled, refusal):
    def denied(**_):
        raise refusal("AccessDenied", "Access Denied", 403)

    def listed(**_):
        return {"Contents": [{"Key": PREFIX + "manifest", "Size": 1}]}

    with pytest.raises(AccessDenied, match="s3:GetObject"):
        Exports(modelled("s3", list_objects_v2=listed, get_object=denied), "opt", A).verify(PREFIX)


def test_an_archived_manifest_is_a_problem_of_its_day_alone():
    other = "products/2026/01/02/"
    fake = FakeBucket({**WHOLE, other + "manifest": manifest()}, owner=A)
    fake.storage_classes[other + "manifest"] = "GLACIER"
    found = Exports(fake.client, "opt", A).verify_all([PREFIX, other])
    assert found[PREFIX].ok
    (problem,) = found[other].problems
    assert f"s3:GetObject on arn:aws:s3:::opt/{other}manifest was refused" in problem
    assert "archived in GLACIER" in problem
