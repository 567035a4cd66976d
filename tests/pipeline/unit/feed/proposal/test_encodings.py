"""The encoding of a sample is proven, or a person sees its words."""

from __future__ import annotations

import contextlib
import gzip

import pytest

from xacct_assets.feed.proposal.decisions import Decisions, SampleProblem
from xacct_assets.feed.proposal.encodings import Sample, decode


def decoded(data: bytes, name: str = "a.csv", **answers: str) -> tuple[str, str, Decisions]:
    decisions = Decisions(answers)
    encoding, (text,) = decode([Sample(name, data)], decisions)
    return encoding, text.text, decisions


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"id,name\n", "utf-8"),
        ("Größe\n".encode(), "utf-8"),
        ("Größe\n".encode("utf-8-sig"), "utf-8"),
        ("Größe\n".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "Größe\n".encode("utf-16-be"), "utf-16"),
    ],
)
def test_utf_proves_itself(data: bytes, encoding: str) -> None:
    found, text, decisions = decoded(data)
    assert (found, decisions.questions) == (encoding, [])
    assert not text.startswith("\ufeff")


@pytest.mark.parametrize(
    ("text", "likely"),
    [
        ("Größe;Käse\n", "windows-1252"),
        ("L’été à la plage, 5 €\n", "windows-1252"),
        ("Señor Muñoz, 20 °C\n", "windows-1252"),
        ("12 m²; 3 m³\n", "windows-1252"),
    ],
)
def test_western_words_are_shown_with_a_likely_answer(text: str, likely: str) -> None:
    _, read, decisions = decoded(text.encode("windows-1252"))
    assert [question.likely for question in decisions.questions] == [likely]
    assert read == text


@pytest.mark.parametrize(
    "data",
    [
        "Чайник;Кружка\n".encode("windows-1251"),
        "sku;name;colour;size\nA-1;Чайник;green;large\n".encode("windows-1251"),
        "item;name\nA-1;Güneş\n".encode("mac-turkish"),
        "Чайник;Кружка\n".encode("koi8-r"),
        "Gałązka;Łyżka\n".encode("windows-1250"),
        "Τσάι;Κούπα\n".encode("windows-1253"),
        "שלום;תה\n".encode("windows-1255"),
    ],
)
def test_words_of_another_code_page_have_no_likely_answer(data: bytes) -> None:
    _, _, decisions = decoded(data)
    assert [(question.about, question.likely) for question in decisions.questions] == [
        ("encoding", None)
    ]


@pytest.mark.parametrize("encoding", ["shift-jis", "gbk", "cp437", "mac-roman"])
def test_others_are_refused_or_have_no_likely_answer(encoding: str) -> None:
    text = "tea ü é\n" if encoding in ("cp437", "mac-roman") else "商品,茶,説明\n"
    with contextlib.suppress(SampleProblem):
        _, _, decisions = decoded(text.encode(encoding))
        assert [question.likely for question in decisions.questions] == [None]


def test_an_encoding_that_is_given_is_taken_and_must_fit() -> None:
    assert decoded("Größe\n".encode("windows-1252"), encoding="windows-1252")[1] == "Größe\n"
    with pytest.raises(SampleProblem, match=r"a\.csv is not utf-8: byte 2"):
        decoded("Größe\n".encode("windows-1252"), encoding="utf-8")


def test_gzip_is_read_and_a_wrong_name_or_content_is_named() -> None:
    assert decoded(gzip.compress(b"id\n1\n"), "a.csv.gz")[1] == "id\n1\n"
    with pytest.raises(SampleProblem, match="its content is not gzip"):
        decoded(b"id\n1\n", "a.csv.gz")
    with pytest.raises(SampleProblem, match="cut off"):
        decoded(gzip.compress(b"id\n1\n" * 100)[:-9], "a.csv.gz")


def test_a_sample_that_is_cut_within_a_character_is_utf_8() -> None:
    data = "Größe\n".encode() * 10
    decisions = Decisions()
    encoding, _ = decode([Sample("a.csv", data[:3], is_whole=False)], decisions)
    assert (encoding, decisions.questions) == ("utf-8", [])


def test_samples_of_two_encodings_are_refused() -> None:
    samples = [
        Sample("a.csv", "Größe".encode()),
        Sample("b.csv", "Größe".encode("windows-1252")),
    ]
    with pytest.raises(SampleProblem, match="the samples differ in their encoding"):
        decode(samples, Decisions())
    ascii_too = [samples[0], Sample("c.csv", b"plain")]
    assert decode(ascii_too, Decisions())[0] == "utf-8"
