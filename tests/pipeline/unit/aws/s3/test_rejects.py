"""The manifest of a day's rejected rows."""

import gzip
import io
import json
from datetime import date

import pytest

from xacct_assets.aws.errors import ManifestInvalid, NotFound
from xacct_assets.aws.s3.rejects import Rejects

B = "222222222222"
DAY = date(2026, 1, 1)
KEY = "rejects/products/2026/01/01/manifest.json"
PART = "rejects/products/2026/01/01/work-1/part-0000.json.gz"
ROWS = [{"source_file": "a.csv", "raw_record": str(n), "reason": "cast"} for n in range(3)]
MANIFEST = {
    "feed": "products",
    "day": "2026-01-01",
    "load_id": "work-1",
    "rejected_rows": 3,
    "reasons": {"cast": 3},
    "files": [{"key": PART, "rows": 3}],
}


@pytest.fixture
def rejects(modelled, refusal):
    def make(objects):
        def get(Bucket, Key, ExpectedBucketOwner):
            assert ExpectedBucketOwner == B
            if Key not in objects:
                raise refusal("NoSuchKey", status=404)
            return {"Body": io.BytesIO(objects[Key])}

        return Rejects(modelled("s3", get_object=get), "work", B, "products")

    return make


PARTS = {PART: gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode())}


def test_a_days_manifest_is_read(rejects):
    found = rejects({KEY: json.dumps(MANIFEST).encode()}).manifest(DAY)
    assert (found.load_id, found.rejected_rows, found.reasons) == ("work-1", 3, {"cast": 3})
    assert found.files == [(PART, 3)]


def test_a_day_that_was_never_loaded_has_none(rejects):
    assert rejects({}).manifest(DAY) is None


def test_a_missing_bucket_is_not_a_day_without_rejects(modelled, refusal):
    def missing(**_):
        raise refusal("NoSuchBucket", status=404)

    with pytest.raises(NotFound):
        Rejects(modelled("s3", get_object=missing), "work", B, "products").manifest(DAY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"day": "2026-01-02"}, "day 2026-01-02"),
        ({"feed": "orders"}, "feed orders"),
        ({"rejected_rows": 4}, "add up to 3 rows"),
        ({"rejected_rows": "many"}, "ValueError"),
        ({"files": None}, "TypeError"),
    ],
)
def test_an_inconsistent_manifest_is_refused(rejects, change, message):
    with pytest.raises(ManifestInvalid, match=message):
        rejects({KEY: json.dumps(MANIFEST | change).encode()}).manifest(DAY)
