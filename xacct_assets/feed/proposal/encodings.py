"""The encoding of a sample: a strict cascade, and a question where bytes do not tell.

UTF-8 and UTF-16 prove themselves: other text is hardly ever valid in them. Every 8-bit code page,
on the other hand, decodes nearly any bytes, so that Windows-1252 is never taken without a person
having seen its words, and not even offered as likely if they look wrong.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from xacct_assets.aws.s3.file_signatures import SIGNATURE_BYTES, foreign_format
from xacct_assets.contract.gzip_stream import gunzip
from xacct_assets.contract.malformed_csv import MalformedCsv
from xacct_assets.feed.proposal.decisions import Decisions, SampleProblem, quoted

SUPPORTED = ("utf-8", "utf-16", "windows-1252", "iso-8859-1")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Characters that Western European texts have besides ASCII.
_WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœšžÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝŸŒŠŽ")
_SIGNS = frozenset("€£¥§©®™°±²³µ·¹º»¼½¾¿¡ª«¬´¨‘’“”‚„†‡•…‰‹›–—\u00a0\u00ad×÷")
_WORD = re.compile(r"[^\W\d_]+(?:[^\x00-\x7f]+[^\W\d_]*)*")
#: Letters beyond ASCII among all letters. German has 2 %, French 4 %, a few words at most a third;
#: Cyrillic read as Windows-1252 has nearly 100 %.
_MOST_ACCENTED = 0.34
#: A word of this many letters or more has not mostly such letters.
_LONG_WORD = 4


@dataclass(frozen=True)
class Sample:
    """A sample file.

    Attributes:
        name: as the user gave it.
        data: its first bytes, or all of them.
        is_whole: whether these are all bytes.
    """

    name: str
    data: bytes
    is_whole: bool = True


@dataclass(frozen=True)
class SampleText:
    """A sample as text.

    Attributes:
        name: of the sample.
        text: decoded, without a byte order mark.
        is_whole: whether it is the whole file.
    """

    name: str
    text: str
    is_whole: bool


def decode(samples: Sequence[Sample], decisions: Decisions) -> tuple[str, list[SampleText]]:
    """The encoding of all samples, and their texts.

    Raises:
        SampleProblem: a sample is no text, is empty, or they differ in their encoding.
    """
    contents = [_content(sample) for sample in samples]
    plain = [content for content in contents if _is_plain(content.data)]
    found = {_encoding(content): content for content in contents if content not in plain}
    encoding = next(iter(found), "utf-8")
    if len(found) > 1:
        raise SampleProblem(
            "the samples differ in their encoding: "
            + ", ".join(f"{content.name} is {name or 'no UTF'}" for name, content in found.items())
            + "; a feed has one: ask the supplier for UTF-8, or leave the other sample out"
        )
    if "encoding" in decisions.answers:
        encoding = decisions.answers["encoding"]
        if encoding not in SUPPORTED:
            raise SampleProblem(
                f"--encoding {encoding} is not one of {', '.join(SUPPORTED)}: ask for UTF-8"
            )
    elif encoding is None:
        encoding = _ask_for_code_page(contents, decisions)
    texts = [_decoded(content, encoding) for content in contents]
    return encoding, texts


def _is_plain(data: bytes) -> bool:
    """Whether the bytes are the same text in each 8-bit encoding."""
    return data.isascii() and b"\0" not in data


def _content(sample: Sample) -> Sample:
    """The sample, decompressed if it is gzip."""
    data, is_gzip = sample.data, sample.data.startswith(b"\x1f\x8b")
    if is_gzip:
        if not sample.name.endswith(".gz"):
            raise SampleProblem(
                f"{sample.name}: its content is gzip, which a file's name must say: name it "
                f"{sample.name}.gz"
            )
        try:
            data = b"".join(gunzip([data], is_whole=sample.is_whole))
        except MalformedCsv as problem:
            raise SampleProblem(f"{sample.name}: {problem}") from None
    elif sample.name.endswith(".gz"):
        raise SampleProblem(f"{sample.name}: its name ends in .gz but its content is not gzip")
    if not data.strip():
        raise _empty(sample)
    foreign = foreign_format(data[:SIGNATURE_BYTES])
    if foreign and "UTF-16" not in foreign:
        raise SampleProblem(f"{sample.name}: {foreign}")
    return Sample(sample.name, data, sample.is_whole)


def _empty(sample: Sample) -> SampleProblem:
    return SampleProblem(f"{sample.name} is empty: give a file with some rows")


def _encoding(content: Sample) -> str | None:
    """``utf-8``, ``utf-16``, or None if it is neither."""
    data = content.data
    if data.startswith(_UTF16_MARKS):
        return "utf-16"
    if foreign_format(data[:SIGNATURE_BYTES]) or b"\0" in data[:64]:
        raise SampleProblem(
            f"{content.name} has NUL bytes and no byte order mark: it is UTF-16 without its mark, "
            "or no text. Ask the supplier for UTF-8, or for UTF-16 with a byte order mark"
        )
    try:
        _utf8(content)
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _utf8(content: Sample) -> str:
    # The last character of a sample that is not whole may be cut.
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    return decoder.decode(content.data, final=content.is_whole)


def _ask_for_code_page(contents: Sequence[Sample], decisions: Decisions) -> str:
    for content in contents:
        _refuse_other_code_pages(content)
    text = b"\n".join(content.data for content in contents).decode("windows-1252")
    words = list(dict.fromkeys(word for word in _WORD.findall(text) if not word.isascii()))
    signs = dict.fromkeys(character for character in text if character in _SIGNS)
    examples = words or list(signs)
    return decisions.ask(
        "encoding",
        "The file is not UTF-8. Read as Windows-1252 it has "
        f"{', '.join(quoted(word) for word in examples[:5])}: is that spelled right? "
        "(If not, it is of another code page: ask the supplier for UTF-8.)",
        {"windows-1252": "yes, these are spelled right"},
        likely="windows-1252" if _looks_western(text, words) else None,
    )


def _refuse_other_code_pages(content: Sample) -> None:
    """Refuse what is not Windows-1252, and UTF-8 with some bytes of something else in it."""
    name, data = content.name, content.data
    read = data.decode("utf-8", "surrogateescape")
    # Each byte that is not UTF-8 is one of these characters.
    wrong = sum("\udc80" <= character <= "\udcff" for character in read)
    if sum(character > "\x7f" for character in read) > 2 * wrong > 0:
        at = next(at for at, character in enumerate(read) if "\udc80" <= character <= "\udcff")
        raise SampleProblem(
            f"{name} is UTF-8 up to line {read.count(chr(10), 0, at) + 1}, where byte "
            f"0x{ord(read[at]) - 0xDC00:02x} is not: a file has one encoding. Ask the supplier for "
            "UTF-8 in the whole file"
        )
    try:
        data.decode("windows-1252")
    except UnicodeDecodeError as error:
        raise SampleProblem(
            f"{name} is neither UTF-8 nor UTF-16 nor Windows-1252 (byte 0x{data[error.start]:02x} "
            "has no meaning there): another code page. Ask the supplier for UTF-8"
        ) from None


def _looks_western(text: str, words: Sequence[str]) -> bool:
    letters = sum(character.isalpha() for character in text)
    accented = sum(character in _WESTERN for character in text)
    is_known = all(
        character.isascii() or character in _WESTERN or character in _SIGNS for character in text
    )
    # A sign between letters, as in "Ca³y": it is a letter of another code page.
    has_sign_in_word = any(
        character in "³¹¿¼¾¥£ªº¡" for word in words for character in word.strip("³¹²ªº")[1:]
    )
    # A Cyrillic word among Latin ones; and "gŸn", with a capital letter in its middle.
    is_foreign = any(
        (len(word) >= _LONG_WORD and sum(c in _WESTERN for c in word) > 0.6 * len(word))
        or re.search("[A-Za-zß-ÿ][À-ÞŸŒŠŽ](?=[a-zß-ÿ])|[a-zß-ÿ][À-ÞŸŒŠŽ]$", word)
        for word in words
    )
    return (
        is_known
        and not is_foreign
        and not has_sign_in_word
        and accented <= max(1, letters) * _MOST_ACCENTED
    )


def _decoded(content: Sample, encoding: str) -> SampleText:
    try:
        if encoding == "utf-8":
            text = _utf8(content)
        elif encoding == "utf-16":
            if not content.data.startswith(_UTF16_MARKS):
                raise SampleProblem(f"{content.name} has no byte order mark of UTF-16")
            text = codecs.getincrementaldecoder("utf-16")().decode(
                content.data, final=content.is_whole
            )
        else:
            text = content.data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SampleProblem(
            f"{content.name} is not {encoding}: byte {error.start:,} ({error.reason})"
        ) from None
    if not text.strip("\ufeff\r\n\t "):
        raise _empty(content)
    if text.startswith("\ufeff"):
        raise SampleProblem(
            f"{content.name} begins with two byte order marks: ask the supplier for one, or none"
        )
    return SampleText(content.name, text, content.is_whole)
