"""Which objects count as files of a day, and what makes two sets of them the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.arrival_model import Object
from xacct_assets.contract.file_patterns import FilePatterns, is_hidden
from xacct_assets.contract.fingerprint import RollingHash, fingerprint

NOW = datetime(2026, 3, 10, tzinfo=UTC)
A = Object("products/2026/03/10/a.csv", 10, '"aa"', NOW)
B = Object("products/2026/03/10/b.csv", 20, '"bb"', NOW)


def test_the_order_of_a_listing_does_not_matter() -> None:
    assert fingerprint([A, B]) == fingerprint([B, A])


def test_the_time_of_an_upload_does_not_matter() -> None:
    assert fingerprint([replace(A, last_modified=NOW + timedelta(days=1))]) == fingerprint([A])


def test_quotes_around_an_etag_do_not_matter() -> None:
    assert fingerprint([replace(A, etag="aa")]) == fingerprint([A])


@pytest.mark.parametrize(
    "other",
    [replace(A, key="products/2026/03/10/c.csv"), replace(A, size=11), replace(A, etag='"ac"')],
)
def test_key_size_and_etag_each_matter(other: Object) -> None:
    assert fingerprint([other]) != fingerprint([A])


def test_one_file_more_or_less_matters() -> None:
    assert len({fingerprint([]), fingerprint([A]), fingerprint([A, B])}) == 3


def test_a_part_of_the_key_is_not_mistaken_for_the_etag() -> None:
    one = Object("a:1:x", 1, "y", NOW)
    other = Object("a", 1, "x:1:y", NOW)
    assert fingerprint([one]) != fingerprint([other])


@given(
    keys=st.sets(st.text(min_size=1, max_size=8), max_size=12),
    cut=st.integers(0, 12),
)
def test_a_continued_listing_gives_the_same_fingerprint(keys: set[str], cut: int) -> None:
    items = sorted(
        (Object(key, len(key), f"e{len(key)}", NOW) for key in keys),
        key=lambda item: item.key.encode("utf-8", "surrogatepass"),
    )
    first = RollingHash()
    for item in items[:cut]:
        first.add(item)
    second = RollingHash(first.digest)
    for item in items[cut:]:
        second.add(item)
    assert second.digest == fingerprint(items)
    assert len(second.digest) == 22


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "a.csv.gz", False),
        ("*.csv", "sub/a.csv", False),
        ("*/*.csv", "sub/a.csv", True),
        ("*/*.csv", "sub/deep/a.csv", False),
        ("part-?.csv", "part-1.csv", True),
        ("part-?.csv", "part-/.csv", False),
        ("[ab].csv", "a.csv", True),
        ("[!ab].csv", "a.csv", False),
        ("[!ab].csv", "/.csv", False),
        ("[!].csv", "[!].csv", False),
        ("[]a].csv", "].csv", True),
        ("a.csv", "aXcsv", False),
        ("*.csv", "a b+%20.csv", True),
        ("*.csv", "line\nbreak.csv", True),
        ("*.csv", "a.csv\n", False),
    ],
)
def test_a_star_does_not_cross_a_slash(pattern: str, path: str, matches: bool) -> None:
    if pattern == "[!].csv":
        with pytest.raises(ValueError, match="never closed"):
            FilePatterns([pattern])
        return
    assert FilePatterns([pattern]).match(path) is matches


@pytest.mark.parametrize("pattern", ["", "**/*.csv", "[z-a].csv"])
def test_a_pattern_that_means_nothing_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a file pattern"):
        FilePatterns([pattern])


def test_no_pattern_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no file pattern"):
        FilePatterns([])


@pytest.mark.parametrize("key", ["a/_tmp.csv", "a/.hidden.csv", "a/_SUCCESS", "a/", "_x"])
def test_hidden_files_and_folders_are_no_files(key: str) -> None:
    assert is_hidden(key)


@pytest.mark.parametrize("key", ["_a/b.csv", "a/b_.csv", "b.csv"])
def test_only_the_last_part_hides_a_file(key: str) -> None:
    assert not is_hidden(key)
