"""The listing server answers as S3's ListObjectsV2 does, and refuses what it does not serve."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from benchmarks.s3_listing import Bucket, ListingService, keys_of

KEYS = ["a/1", "a/10", "a/2", "a b/ü&<.csv", "b/1"]
XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def service() -> ListingService:
    return ListingService({"raw": Bucket(sorted(KEYS), "2026-01-31T00:00:00.000Z")})


def ask(service: ListingService, query: str) -> ElementTree.Element:
    status, text = service.get(f"/raw?list-type=2&{query}")
    assert status == 200, text
    return ElementTree.fromstring(text)


def keys(answer: ElementTree.Element) -> list[str]:
    return [key.text or "" for key in answer.iterfind(f"{XML}Contents/{XML}Key")]


def test_only_keys_under_the_prefix_are_listed_in_the_order_of_their_bytes(service):
    assert keys(ask(service, "prefix=a%2F")) == ["a/1", "a/10", "a/2"]
    assert keys(ask(service, "prefix=a/1")) == ["a/1", "a/10"]
    assert keys(ask(service, "prefix=c/")) == []


def test_a_listing_starts_after_a_key_whether_that_is_there_or_not(service):
    assert keys(ask(service, "prefix=a/&start-after=a/1")) == ["a/10", "a/2"]
    assert keys(ask(service, "prefix=a/&start-after=a/15")) == ["a/2"]
    assert keys(ask(service, "prefix=a/&start-after=a")) == ["a/1", "a/10", "a/2"]
    assert keys(ask(service, "prefix=a/&start-after=b")) == []


def test_pages_go_on_by_their_token_which_overrules_start_after(service):
    first = ask(service, "prefix=a/&max-keys=2")
    assert (keys(first), first.findtext(f"{XML}IsTruncated")) == (["a/1", "a/10"], "true")
    token = first.findtext(f"{XML}NextContinuationToken")
    second = ask(service, f"prefix=a/&max-keys=2&start-after=a/0&continuation-token={token}")
    assert (keys(second), second.findtext(f"{XML}IsTruncated")) == (["a/2"], "false")
    assert second.find(f"{XML}NextContinuationToken") is None


def test_a_page_of_exactly_all_keys_is_the_last(service):
    assert ask(service, "prefix=a/&max-keys=3").findtext(f"{XML}IsTruncated") == "false"
    assert ask(service, "max-keys=0").findtext(f"{XML}IsTruncated") == "false"


def test_a_page_has_a_thousand_keys_at_most():
    service = ListingService({"raw": Bucket(keys_of([("d/", 1001)]), "2026-01-31T00:00:00.000Z")})
    answer = ask(service, "max-keys=5000")
    assert (len(keys(answer)), answer.findtext(f"{XML}IsTruncated")) == (1000, "true")


def test_odd_characters_are_quoted_if_asked_and_escaped_if_not(service):
    assert keys(ask(service, "prefix=a%20b")) == ["a b/ü&<.csv"]
    assert keys(ask(service, "prefix=a%20b&encoding-type=url")) == ["a%20b/%C3%BC%26%3C.csv"]


def test_an_object_that_was_put_shows_its_own_size_and_etag(service):
    at = datetime(2026, 2, 1, 12, tzinfo=UTC)
    status, _, etag = service.put("/raw/a/15", b"hello", at)
    assert (status, etag) == (200, "5d41402abc4b2a76b9719d911017c592")
    service.put("/raw/a/1", b"hello", at)
    contents = ask(service, "prefix=a/1").findall(f"{XML}Contents")
    assert [item.findtext(f"{XML}Key") for item in contents] == ["a/1", "a/10", "a/15"]
    assert [item.findtext(f"{XML}ETag") == f'"{etag}"' for item in contents] == [True, False, True]
    assert contents[2].findtext(f"{XML}LastModified") == "2026-02-01T12:00:00.000Z"


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/raw?list-type=2&delimiter=/", 501, "NotImplemented"),
        ("/raw?prefix=a", 501, "NotImplemented"),
        ("/raw/a/1", 501, "NotImplemented"),
        ("/other?list-type=2", 404, "NoSuchBucket"),
        ("/raw?list-type=2&max-keys=-1", 400, "InvalidArgument"),
        ("/raw?list-type=2&continuation-token=%21", 400, "InvalidArgument"),
        ("/raw?list-type=2&encoding-type=zip", 400, "InvalidArgument"),
    ],
)
def test_what_s3_refuses_or_the_server_does_not_serve_is_an_error(service, target, status, code):
    assert service.get(target)[0] == status
    assert f"<Code>{code}</Code>" in service.get(target)[1]
