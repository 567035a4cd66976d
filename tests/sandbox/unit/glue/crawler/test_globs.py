"""Exclusions are matched as the Glue developer guide's examples say."""

from __future__ import annotations

import pytest

from xacct_sandbox.glue.crawler.globs import InvalidGlob, compile_glob, excluder


@pytest.mark.parametrize(
    ("pattern", "excluded", "kept"),
    [
        ("*.csv", ["a.csv"], ["a/b.csv", "a.json"]),
        ("*.*", ["a.csv", ".hidden"], ["plain"]),
        ("*.{csv,avro}", ["a.csv", "a.avro"], ["a.json"]),
        ("foo.?", ["foo.x"], ["foo.xy", "foo./"]),
        ("myfolder/*", ["myfolder/a"], ["myfolder/a/b"]),
        ("myfolder/*/*", ["myfolder/a/b"], ["myfolder/a"]),
        ("myfolder/**", ["myfolder/a", "myfolder/a/b"], ["other/a"]),
        ("departments/market*", ["departments/market-us.json"], ["departments/finance.json"]),
        ("**.csv", ["a.csv", "deep/down/a.csv"], ["a.csv.gz"]),
        ("**/_*", ["2026/01/01/_SUCCESS"], ["2026/01/01/products.csv"]),
        ("[abce-g]x", ["ax", "gx"], ["dx", "/x"]),
        ("[!a-c]x", ["dx"], ["ax", "/x"]),
        ("[-a]x", ["-x", "ax"], ["bx"]),
        (r"\*x", ["*x"], ["ax"]),
        ("a+(b)", ["a+(b)"], ["aab"]),
        ("[*]x", ["*x"], ["ax"]),
    ],
)
def test_a_pattern_excludes_what_the_guide_says(pattern, excluded, kept):
    matches = excluder([pattern])
    assert all(matches(key) for key in excluded)
    assert not any(matches(key) for key in kept)


def test_the_guides_first_week_of_january_is_what_remains():
    patterns = ["2015/01/{[!0],0[8-9]}**", "2015/0[2-9]/**", "2015/1[0-2]/**"]
    excluded = excluder(patterns)
    days = [f"2015/{month:02}/{day:02}/f" for month in range(1, 13) for day in range(1, 29)]
    assert [day for day in days if not excluded(day)] == [f"2015/01/0{d}/f" for d in range(1, 8)]


@pytest.mark.parametrize("pattern", ["[abc", "{a,b", "{a,{b,c}}", "a\\"])
def test_a_pattern_that_is_no_glob_is_refused_by_name(pattern):
    with pytest.raises(InvalidGlob, match="exclude pattern"):
        compile_glob(pattern)
