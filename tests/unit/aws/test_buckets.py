"""Whole-bucket work."""

import pytest

from xacct_assets.aws import buckets
from xacct_assets.aws.errors import AccessDenied

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
    changes = [buckets.put_if_changed(s3, "b", B, "k", body) for body in (b"1", b"1", b"2")]
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
    assert buckets.empty(s3, "b", B) == 1501
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
        buckets.empty(s3, "b", B)


def test_a_bucket_of_somebody_else_is_not_taken_for_ours(modelled, refusal):
    def denied(**_):
        raise refusal("403", "Forbidden", 403)

    with pytest.raises(AccessDenied):
        buckets.exists(modelled("s3", head_bucket=denied), "b", B)


def test_folders_are_named_without_their_prefix(modelled):
    s3 = modelled("s3", list_objects_v2=lambda **_: {"CommonPrefixes": [{"Prefix": "p/2026/"}]})
    assert buckets.folders(s3, "b", B, "p/") == ["2026"]
