"""The dialect of samples: delimiter, quote, escape and the lines before the first record.

Every dialect is tried and judged by two things, after "Wrangling messy CSV files by detecting row
and type patterns" (van den Burg, Nazábal, Sutton, 2019): whether records have the same number of
fields, and how many fields look like a value (a number, a date, a word or sentence) and not like
several with another delimiter between them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xacct_assets.feed.proposal.decisions import Decisions, SampleProblem, quoted, shown
from xacct_assets.feed.proposal.encodings import SampleText
from xacct_assets.feed.proposal.records import Dialect, Records, read_records

#: Delimiters and how usual they are.
_DELIMITERS = dict.fromkeys(",;\t|", 1.0) | dict.fromkeys("^~\x01\x1f", 0.9)
_DELIMITERS |= dict.fromkeys(":#!=", 0.3) | dict.fromkeys("/ ", 0.1)
NAMES = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "colon": ":"}
#: Characters of each sample that dialects are tried on.
_TRIED = 128 * 1024
_MOST_PREAMBLE_LINES = 20
_EXCEL_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_VALUE = re.compile(
    r"[^\w]{0,3}[-+]?\d[\d.,:'/ \-]*[^\w\s]?(?:\s?\w{1,4}%?)?|[\w.@+\-]+(?: [\w.@+\-]+)*|https?://\S+"
)
#: A second dialect with this share of the best one's score is as likely.
_AS_LIKELY = 0.75


@dataclass(frozen=True)
class Layout:
    """How the records of the samples are found.

    Attributes:
        dialect: of all samples.
        preamble_lines: lines before the first record.
        width: fields of a record.
    """

    dialect: Dialect
    preamble_lines: int
    width: int


@dataclass(frozen=True)
class _Trial:
    """A dialect on trial.

    Attributes:
        layout: with the dialect.
        score: how likely it is.
        malformed: fields whose quotes are not right.
        records: how many were read.
        quality: share of records and fields that are right.
        quoted: fields in quotes.
        is_all_quoted: whether each field of the first record is in quotes.
    """

    layout: Layout
    score: float
    malformed: int
    records: int = 0
    quality: float = 0.0
    quoted: int = 0
    is_all_quoted: bool = False


def find_layout(texts: Sequence[SampleText], decisions: Decisions) -> Layout:
    """The dialect of the samples.

    Raises:
        SampleProblem: the samples are no CSV that a feed can have.
    """
    for text in texts:
        _refuse_json(text)
        _refuse_line_ends(text)
    excel = [_EXCEL_LINE.match(text.text) for text in texts]
    skip = 1 if excel[0] else 0
    if any(bool(match) != bool(excel[0]) for match in excel):
        raise SampleProblem("some samples begin with Excel's sep= line and some do not")
    heads = [
        SampleText(t.name, t.text[:_TRIED], t.is_whole and len(t.text) <= _TRIED) for t in texts
    ]
    given = _given_delimiter(heads, skip, excel[0], decisions)
    trials = _ranked(heads, skip, given)
    _refuse_backslashes(heads, trials[0])
    best = trials[0] if given else _chosen(trials, decisions)
    best = _with_quote(best, heads, skip, decisions)
    if best.layout.preamble_lines > skip:
        lines = texts[0].text.splitlines()[skip : best.layout.preamble_lines]
        first = next((line for line in lines if line.strip()), "")
        decisions.doubt(
            f"the first {best.layout.preamble_lines} lines are skipped (preamble_lines), as "
            f"{quoted(first)}; they must be as many in every file"
        )
    if best.malformed:
        _refuse_open_quotes(texts, best)
        decisions.doubt(
            f"{best.malformed} fields have a quote that is not closed, or text behind it: their "
            "rows will be rejected"
        )
    return best.layout


def _given_delimiter(
    texts: Sequence[SampleText], skip: int, excel: re.Match[str] | None, decisions: Decisions
) -> str | None:
    """The delimiter that a person gives, or Excel's line; None if that is not the rows'.

    Raises:
        SampleProblem: the one that a person gives is not the rows'.
    """
    answer = decisions.answers.get("delimiter")
    given = NAMES.get(answer or "", answer)
    said = excel[1] if excel and given is None else given
    if said is None:
        return None
    line = f"its first line is Excel's sep={shown(said)}: skipped (preamble_lines: 1)"
    start = len(excel[0]) if excel else 0
    likeliest = None
    if not any(said in text.text[start:] for text in texts):
        likeliest = _ranked(texts, skip, None)[0].layout
    if likeliest is None or likeliest.width == 1:
        if given is None:
            decisions.doubt(line)
        return said
    other = shown(likeliest.dialect.delimiter)
    if given is None:
        decisions.doubt(f"{line}; the rows do not have it, but {other}")
        return None
    raise SampleProblem(
        f"--delimiter {shown(given)}: no row has it; with {other} there are {likeliest.width} "
        "columns. Give that one, or leave the flag out"
    )


def _chosen(trials: Sequence[_Trial], decisions: Decisions) -> _Trial:
    """The best dialect; a question if another one is as likely."""
    best = trials[0]
    others: dict[str, _Trial] = {}
    for trial in trials:
        if trial.score >= best.score * _AS_LIKELY:
            others.setdefault(trial.layout.dialect.delimiter, trial)
    if best.layout.width == 1:
        decisions.ask(
            "delimiter",
            "No delimiter is seen. Has the file one column only?",
            {",": "yes, one column"},
            likely=",",
        )
        return best
    if len(others) == 1:
        return best
    answer = decisions.ask(
        "delimiter",
        "Which character separates the fields?",
        {
            delimiter: f"{shown(delimiter)}: {trial.layout.width} columns"
            for delimiter, trial in others.items()
        },
        likely=None,
    )
    return others.get(answer, best)


def _with_quote(
    best: _Trial, texts: Sequence[SampleText], skip: int, decisions: Decisions
) -> _Trial:
    """The best dialect with the right quote; a question if both are as good."""
    delimiter = best.layout.dialect.delimiter
    given = decisions.answers.get("quote")
    single = _trial(texts, Dialect(delimiter, "'", "'"), skip)
    if delimiter == "'" or best.layout.width == 1 or (single.quoted == 0 and not given):
        return best
    double = _trial(texts, Dialect(delimiter), skip)
    if not given and single.quality != double.quality:
        return single if single.quality > double.quality else double
    if not given and single.is_all_quoted:
        return single
    answer = decisions.ask(
        "quote",
        "Some fields begin and end with an apostrophe ('). Does it stand around the value, or "
        "belong to it?",
        {'"': "it belongs to the value", "'": "it stands around the value, as quotes do"},
        likely=None,
    )
    return single if answer == "'" else double


def _ranked(heads: Sequence[SampleText], skip: int, given: str | None) -> list[_Trial]:
    """All dialects, the likeliest first."""
    return sorted(_trials(heads, skip, given), key=lambda trial: -trial.score)


def _trials(heads: Sequence[SampleText], skip: int, given: str | None) -> Iterator[_Trial]:
    delimiters = [given] if given else [d for d in _DELIMITERS if any(d in t.text for t in heads)]
    has_single = any(re.search(r"(?:^|[^\w\s])\s?'", text.text, re.MULTILINE) for text in heads)
    for delimiter in delimiters or [","]:
        for quote in ('"', "'") if has_single else ('"',):
            if quote == delimiter:
                continue
            yield _trial(heads, Dialect(delimiter, quote, quote), skip)
    if not given:
        yield _trial(heads, Dialect(","), skip, is_single=True)


def _trial(
    texts: Sequence[SampleText], dialect: Dialect, skip: int, *, is_single: bool = False
) -> _Trial:
    read = [read_records(t.text, dialect, is_whole=t.is_whole, skip=skip) for t in texts]
    total = sum(len(records.rows) for records in read)
    if not all(records.rows for records in read):
        return _Trial(Layout(dialect, skip, 1), 0.0, 0)
    # Each sample has a width of its own: a later one may have a column more.
    widths = [1 if is_single else _usual_width(records) for records in read]
    preamble = _preamble(read[0], widths[0], skip)
    rows = [
        row
        for records, width in zip(read, widths, strict=True)
        for row in records.rows
        if len(row) == width
    ]
    malformed = sum(records.malformed for records in read)
    leading = sum(line < preamble for records in read for line in records.lines)
    share = len(rows) / max(1, total - leading)
    width = min(widths)
    score = share**2 * max(width - 1, 0.001) / width * _value_share(rows)
    score *= 1.0 if is_single else _DELIMITERS.get(dialect.delimiter, 1.0)
    if preamble > skip:
        score *= 0.5
    elif len(read[0].rows[0]) != widths[0]:
        score *= 0.3
    score /= 1 + 10 * malformed / total
    first = texts[0].text.split("\n")[preamble].rstrip("\r")
    return _Trial(
        Layout(dialect, preamble, widths[0]),
        score,
        malformed,
        total,
        quality=share - malformed / total,
        quoted=sum(records.quoted for records in read),
        is_all_quoted=all(
            one[:1] == one[-1:] == dialect.quote and len(one) > 1
            for one in first.split(dialect.delimiter)
        ),
    )


def _usual_width(records: Records) -> int:
    """The number of fields that most records have; of several, the largest."""
    widths = Counter(map(len, records.rows))
    return max(widths, key=lambda width: (widths[width], width))


def _preamble(records: Records, width: int, skip: int) -> int:
    """Lines before the first record that has the usual number of fields.

    A first record with nearly as many fields is a header that does not fit, not a preamble.
    """
    for row, line in zip(records.rows, records.lines, strict=True):
        if len(row) == width:
            return line if skip < line <= _MOST_PREAMBLE_LINES else skip
        if len(row) > 1 and 2 * len(row) >= width:
            break
    return skip


def _value_share(rows: Sequence[Sequence[str | None]]) -> float:
    """The share of fields that are empty or look like one value."""
    fields = total = 0
    for row in rows[:500]:
        for value in row:
            total += 1
            fields += value is None or not value.strip() or bool(_VALUE.fullmatch(value.strip()))
    # A text with punctuation is no sign against a dialect, only a number or word is one for it.
    return 0.1 + 0.9 * fields / total if total else 0.0


def _refuse_json(text: SampleText) -> None:
    start = text.text.lstrip()
    line = start.partition("\n")[0].strip()
    is_object = line.startswith("{") and re.match(r'\{\s*("[^"]*"\s*:|\}|$)', line)
    if is_object or re.match(r"\[\s*[\[{]", start):
        raise SampleProblem(f"{text.name} is JSON, not CSV: export it as CSV")


def _refuse_line_ends(text: SampleText) -> None:
    first = re.search(r"\r(?!\n)|\n", text.text)
    if first and first[0] == "\r":
        raise SampleProblem(
            f"{text.name}: its lines end in a carriage return alone: ask for \\n or \\r\\n"
        )


def _refuse_open_quotes(texts: Sequence[SampleText], best: _Trial) -> None:
    """Refuse files in most of whose rows a quote is not doubled: these would all be rejected."""
    if 2 * best.malformed < best.records:
        return
    quote, delimiter = map(re.escape, (best.layout.dialect.quote, best.layout.dialect.delimiter))
    pattern = re.compile(rf"{quote}[^{quote}\n]*{quote}(?![{quote}{delimiter}\r\n])[^\n]{{0,20}}")
    for text in texts:
        if found := pattern.search(text.text):
            raise SampleProblem(
                f"{text.name}: a quote in a quoted field must be doubled, and in most rows it is "
                f"not ({quoted(found[0])}): ask the supplier for quotes that are doubled"
            )


def _refuse_backslashes(texts: Sequence[SampleText], best: _Trial) -> None:
    """Refuse files in which a backslash escapes: a feed's quotes are doubled."""
    dialect = best.layout.dialect
    quote = dialect.quote
    escaped = Dialect(dialect.delimiter, quote, "\\")
    for text in texts:
        head, is_whole = text.text, text.is_whole
        at = head.find(f"\\{quote}")
        if at >= 0:
            plain = read_records(head, dialect, is_whole=is_whole)
            other = read_records(head, escaped, is_whole=is_whole)
            if other.malformed < plain.malformed:
                example = quoted(head[max(0, at - 12) : at + 6])
                raise SampleProblem(
                    f"{text.name} escapes quotes with a backslash ({example}), as MySQL does: a "
                    "feed's quotes are doubled. Ask for quotes that are doubled (MySQL: FIELDS "
                    "ENCLOSED BY '\"' ESCAPED BY '\"')"
                )
        match = re.search(rf"\\(?:{re.escape(dialect.delimiter)}|\n)", head)
        if match and _is_escaped_delimiter(head, dialect, best.layout.width):
            raise SampleProblem(
                f"{text.name} escapes {shown(match[0][1])} with a backslash: a field with the "
                "delimiter or a line end must be in quotes. Ask for quoted fields"
            )


def _is_escaped_delimiter(text: str, dialect: Dialect, width: int) -> bool:
    """Whether records that are too wide have the right width if backslashes escape."""
    mark = "\x00"
    bare = re.sub(rf"\\[{re.escape(dialect.delimiter)}\n]", mark, text)
    wrong = sum(len(row) != width for row in read_records(text, dialect).rows)
    return sum(len(row) != width for row in read_records(bare, dialect).rows) < wrong
