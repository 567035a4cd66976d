"""The calls to a bucket: each names its owner, and takes as few requests as it can."""

import io

import pytest
from botocore.response import StreamingBody
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes.s3 import FakeBucket
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.s3.bucket import Bucket

B = "222222222222"


def test_a_file_is_uploaded_only_if_its_content_changed(modelled, refusal):
    stored: dict[str, dict] = {}

    def head(Key, **_):
        if Key not in stored:
            raise refusal("404", "Not Found", 404)
        return {"Metadata": stored[Key]["Metadata"]}

    def put(Key, Body, Metadata, ExpectedBucketOwner, **_):
        stored[Key] = {"Body": Body, "Metadata": Metadata}
        return {}

    s3 = modelled("s3", head_object=head, put_object=put)
    changes = [Bucket(s3, "b", B).put_if_changed("k", body) for body in (b"1", b"1", b"2")]
    assert changes == [True, False, True]


def test_emptying_deletes_versions_markers_and_unfinished_uploads(modelled):
    versions = {
        "Versions": [{"Key": f"k{n}", "VersionId": "v"} for n in range(1500)],
        "DeleteMarkers": [{"Key": "d", "VersionId": "m"}],
    }
    s3 = modelled(
        "s3",
        list_object_versions=lambda **_: versions,
        delete_objects=lambda **_: {},
        list_multipart_uploads=lambda **_: {"Uploads": [{"Key": "u", "UploadId": "1"}]},
        abort_multipart_upload=lambda **_: {},
    )
    assert Bucket(s3, "b", B).empty() == 1501
    sizes = [len(call["Delete"]["Objects"]) for call in s3.named("delete_objects")]
    assert sizes == [1000, 501]
    assert len(s3.named("abort_multipart_upload")) == 1


def test_an_object_that_cannot_be_deleted_is_not_passed_over(modelled):
    s3 = modelled(
        "s3",
        list_object_versions=lambda **_: {"Versions": [{"Key": "k", "VersionId": "v"}]},
        delete_objects=lambda **_: {"Errors": [{"Key": "k", "Code": "AccessDenied"}]},
    )
    with pytest.raises(AccessDenied, match="s3:DeleteObjectVersion"):
        Bucket(s3, "b", B).empty()


def test_a_bucket_of_somebody_else_is_not_taken_for_ours(modelled, refusal):
    def denied(**_):
        raise refusal("403", "Forbidden", 403)

    with pytest.raises(AccessDenied):
        Bucket(modelled("s3", head_bucket=denied), "b", B).exists()


def test_folders_are_named_without_their_prefix(modelled):
    s3 = modelled("s3", list_objects_v2=lambda **_: {"CommonPrefixes": [{"Prefix": "p/2026/"}]})
    assert Bucket(s3, "b", B).folders("p/") == ["2026"]


def bucket_of(keys: list[str], page_size: int = 1000) -> FakeBucket:
    return FakeBucket(dict.fromkeys(keys, b"1"), owner=B, page_size=page_size)


def listed(bucket: FakeBucket, folders: list[str]) -> dict[str, list[str]]:
    found = Bucket(bucket.client, "b", B).list_folders(folders)
    return {folder: [item["Key"] for item in items] for folder, items in found.items()}


DAYS = [f"p/2026/{month:02}/{day:02}/" for month in (1, 2) for day in range(1, 32)]


def test_neighbouring_folders_take_one_request():
    s3 = bucket_of([day + "a.csv" for day in DAYS])
    assert listed(s3, DAYS[10:25]) == {day: [day + "a.csv"] for day in DAYS[10:25]}
    assert len(s3.client.calls) == 1


def test_a_month_of_few_files_takes_one_request_and_a_full_one_no_more_than_its_pages():
    s3 = bucket_of([day + "a.csv" for day in DAYS])
    listed(s3, DAYS[:31])
    assert len(s3.client.calls) == 1
    full = bucket_of([f"{day}{n:04}" for day in DAYS[:8] for n in range(40)], page_size=20)
    assert {folder: len(keys) for folder, keys in listed(full, DAYS[:8]).items()} == dict.fromkeys(
        DAYS[:8], 40
    )
    assert len(full.client.calls) <= 8 * 2 + 8


def test_what_lies_between_the_folders_is_skipped():
    between = [f"{DAYS[1]}{number}" for number in range(50)]
    s3 = bucket_of([DAYS[0] + "a", *between, DAYS[2] + "c", "p/2026/01/03-x", *DAYS], page_size=5)
    assert listed(s3, [DAYS[0], DAYS[2]]) == {
        DAYS[0]: [DAYS[0], DAYS[0] + "a"],
        DAYS[2]: [DAYS[2], DAYS[2] + "c"],
    }
    assert len(s3.client.calls) == 2


@given(
    keys=st.sets(st.tuples(st.sampled_from(DAYS[:9]), st.text("ab/.-", max_size=3))),
    folders=st.sets(st.sampled_from(DAYS[:9]), min_size=1),
    page=st.integers(1, 4),
)
def test_listed_together_is_what_is_listed_one_by_one(keys, folders, page):
    texts = sorted({day + rest for day, rest in keys} | {"p/2026/01/0", "p/2026/01/03", "q"})
    s3 = bucket_of(texts, page)
    assert listed(s3, sorted(folders)) == {
        folder: [key for key in texts if key.startswith(folder)] for folder in sorted(folders)
    }


@pytest.mark.parametrize(("size", "expected"), [(3, (b"abc", False)), (6, (b"abcdef", True))])
def test_the_start_of_an_object_is_read_and_whether_it_is_all(modelled, size, expected):
    body = StreamingBody(io.BytesIO(b"abcdef"), 6)
    s3 = modelled("s3", get_object=lambda **_: {"Body": body, "ContentLength": 6})
    assert Bucket(s3, "b", B).read_start("k", size) == expected
    assert s3.named("get_object")[0]["ExpectedBucketOwner"] == B
