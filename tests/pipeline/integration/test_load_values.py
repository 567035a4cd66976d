"""What the load job makes of each value and record: the row, or the reject with its exact text.

The claims are about files, rows and rejects, not about how the job reads them. All columns are
texts, so that nothing is rejected by its type. One load of all files as the feed is by default, one
with `trailing_blanks: cut`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.support.load_job import LoadJob
from tests.support.sandbox import RunningSandbox
from xacct_assets.contract.csv_count import count_records
from xacct_assets.contract.csv_dialect import MAX_FIELDS

DAY, BAD_DAY, GOOD_DAY = "2031-06-01", "2031-06-02", "2031-06-03"
COLUMNS = [
    ("code", "varchar(10)", False),
    ("name", "varchar(3)", True),
    ("note", "varchar(65535)", True),
]
HEADER = "code,name,note\n"

AFTER_QUOTE = "text after a closing quote (a quote inside a quoted field must be doubled)"
MYSQL_QUOTE = (
    "a quote behind a backslash, as MySQL writes it (double it instead: in MySQL, FIELDS ESCAPED "
    "BY '\"')"
)
EMPTY_ROW = "a row of delimiters only"
CTRL_Z = "Ctrl-Z (U+001A), DOS's mark of a file's end"
TRAILER = "a trailer line, which is no row"
DUPLICATE = "code: duplicate key (trailing blanks do not count, as in Redshift)"
FIELDS = "wrong number of fields"
MISSING = "code: missing"
AGAIN = "the header row again"
TOO_LONG = "name: longer than 3 bytes"

MANY = '""' * 30_000
HALF = '"' * 30_000


@dataclass(frozen=True)
class Record:
    """A record of a file: what is loaded of it, or why it is rejected.

    Attributes:
        text: as it stands in the file, without its line end.
        row: what is loaded.
        reason: of the reject.
        cut: what is loaded if trailing blanks are cut, where that differs.
    """

    text: str
    row: tuple[str | None, ...] | None = None
    reason: str | None = None
    cut: tuple[str | None, ...] | None = None


def loads(text: str, *row: str | None) -> Record:
    return Record(text, row=row)


def rejects(text: str, reason: str) -> Record:
    return Record(text, reason=reason)


RECORDS = {
    "quotes.csv": [
        rejects('q1,x,"a\\"b"', MYSQL_QUOTE),
        rejects('q2,x,"a"b', AFTER_QUOTE),
        rejects('q3,"x",""b', AFTER_QUOTE),
        rejects('q4,x,"x,"y', AFTER_QUOTE),
        rejects('q5,x,"a" ', AFTER_QUOTE),
        rejects('q6,"a"\t,x', AFTER_QUOTE),
        rejects('"q7"x,a,b', AFTER_QUOTE),
        rejects('q8,x,"a\nb"c', AFTER_QUOTE),
        rejects('q9,x,"say \\"hi, you\\""', MYSQL_QUOTE),
        rejects(f'q10,x,"{MANY}"z', AFTER_QUOTE),
        loads(f'q11,x,"{MANY}"', "q11", "x", HALF),
        loads('q12,x, "a"', "q12", "x", ' "a"'),
        loads('q13,x,5" pipe', "q13", "x", '5" pipe'),
        loads('q14,x,a"', "q14", "x", 'a"'),
        loads('q15,x,"a""b"', "q15", "x", 'a"b'),
        loads('q16,x,"""a"', "q16", "x", '"a'),
        loads('q17,x,""""', "q17", "x", '"'),
        loads('q18,x,"a\\"', "q18", "x", "a\\"),
        loads('q19,"",""', "q19", "", ""),
        loads("q20,,", "q20", None, None),
        loads('q21,"a,b","c\n\n""d"', "q21", "a,b", 'c\n\n"d'),
        loads("q22,x,it's", "q22", "x", "it's"),
    ],
    "headers.csv": [
        loads("h1,x,y", "h1", "x", "y"),
        rejects("code,name,note", AGAIN),
        rejects("\ufeffcode,name,note", AGAIN),
        rejects('"code","name","note"', AGAIN),
        loads("h2,x,note", "h2", "x", "note"),
        loads("name,x,code", "name", "x", "code"),
    ],
    "texts.csv": [
        rejects("\x1a", CTRL_Z),
        rejects("TRAILER|000123", TRAILER),
        rejects('"Total",7', TRAILER),
        rejects("totally,other", FIELDS),
        rejects("   ", FIELDS),
        rejects("\x00", FIELDS),
        rejects("  x  ", FIELDS),
        rejects("\t", FIELDS),
        rejects('""', FIELDS),
        rejects('"x"', FIELDS),
        rejects('" x "', FIELDS),
        rejects('"a,b"', FIELDS),
        rejects("x", FIELDS),
        rejects("x,y", FIELDS),
        rejects(" , ", FIELDS),
        rejects("x,y,z,", FIELDS),
        rejects(" ,\x00,\x1a,\x85\u2028\ufeff\\", FIELDS),
        rejects("," * (MAX_FIELDS - 1), FIELDS),
        rejects("\x0c", FIELDS),
        rejects(",,", EMPTY_ROW),
        rejects(",x,", MISSING),
        rejects("n1,\\N,", "\\N, which is MySQL's NULL: add it to the feed's null_values"),
        loads("n2,\\n,", "n2", "\\n", None),
        rejects(", \x00 , x ", MISSING),
        rejects('t1,"\x00",', "name: holds a NUL character, which Redshift cannot: \x00"),
        rejects(f"t2,x,{'y' * 1_000_000}", f"note: longer than 65535 bytes: {'y' * 200}"),
    ],
    "keys.csv": [
        loads("A,1,", "A", "1", None),
        rejects("A ,2,", f"{DUPLICATE}: A "),
        rejects('"A   ",3,', f"{DUPLICATE}: A   "),
        loads("A\t,4,", "A\t", "4", None),
        loads(" A,5,", " A", "5", None),
        loads("a,6,", "a", "6", None),
        loads('"A\n",7,', "A\n", "7", None),
        loads("A\u00a0,8,", "A\u00a0", "8", None),
        loads('"",9,', "", "9", None),
        rejects("  ,10,", f"{DUPLICATE}:   "),
        loads("B  ,11,", "B  ", "11", None),
        rejects("B,12,", f"{DUPLICATE}: B"),
    ],
    "lengths.csv": [
        Record("v1,abc ,", reason=f"{TOO_LONG}: abc ", cut=("v1", "abc", None)),
        Record("v2,ab     ,", reason=f"{TOO_LONG}: ab     ", cut=("v2", "ab ", None)),
        Record('v3,"é   ",', reason=f"{TOO_LONG}: é   ", cut=("v3", "é ", None)),
        Record("v4,      ,", reason=f"{TOO_LONG}:       ", cut=("v4", "   ", None)),
        rejects("v5,abcd,", f"{TOO_LONG}: abcd"),
        rejects("v6,abcd ,", f"{TOO_LONG}: abcd "),
        rejects("v7,abc\t,", f"{TOO_LONG}: abc\t"),
        rejects("v8,abc \t,", f"{TOO_LONG}: abc \t"),
        loads("v9,ab ,", "v9", "ab ", None),
        loads('v10,é,"x "', "v10", "é", "x "),
    ],
    "lines.csv": [
        loads("l1,x,a\rb", "l1", "x", "a\rb"),
        loads('l2,x,"a\r\nb\r"', "l2", "x", "a\r\nb\r"),
        loads("l3,x,FR", "l3", "x", "FR"),
        loads("l4,x,a\x0c", "l4", "x", "a\x0c"),
        loads("l5,x,a\u2028b\x85c\x1cd", "l5", "x", "a\u2028b\x85c\x1cd"),
    ],
}
SHUFFLED = "note,code,name\nsecond,s1,x\n,s1 ,y\n"


def body(name: str) -> str:
    return HEADER + "".join(f"{record.text}\n" for record in RECORDS[name])


# The same records with other line ends, under their own keys.
LINES = body("lines.csv")
FILES = {
    **{name: body(name) for name in RECORDS},
    # Lines that end in CRLF behind a header that ends in LF; empty lines are no records.
    "mixed.csv": LINES.replace("\nl", "\n\r\n\nm").replace("FR\n", "FR\r\n") + "\r\n",
    "windows.csv": LINES.replace("\n", "\r\n").replace("\nl", "\nw") + "\r\n\r\n",
    "order.csv": SHUFFLED,
}


@dataclass(frozen=True)
class Outcome:
    """A load of all files."""

    counts: dict[str, Any]
    rows: set[tuple[str | None, ...]]
    rejects: list[tuple[str, str, str]]
    """File, text and reason, in order."""


@pytest.fixture(scope="module")
def job(sandbox: RunningSandbox) -> Iterator[LoadJob]:
    made = LoadJob(sandbox, "load_values", COLUMNS, key=["code"])
    with made.tables([DAY, BAD_DAY, GOOD_DAY]):
        made.put_all({(DAY, name): text for name, text in FILES.items()})
        yield made


def load(job: LoadJob, trailing_blanks: str) -> Outcome:
    run, report = job.run([DAY], request={"trailing_blanks": trailing_blanks})
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    rows = job.query(
        f"SELECT code, name, note FROM public.{job.feed} WHERE partition_date = '{DAY}'"
    )
    assert len(rows) == report[DAY]["rows_loaded"]
    _, records = job.rejects(DAY)
    return Outcome(
        report[DAY],
        set(rows),
        [(r["source_file"].rpartition("/")[2], r["raw_record"], r["reason"]) for r in records],
    )


@pytest.fixture(scope="module")
def loaded(job: LoadJob) -> Outcome:
    return load(job, "reject")


@pytest.mark.parametrize("name", RECORDS)
def test_each_record_is_loaded_value_by_value_or_rejected_with_its_exact_text(
    name: str, loaded: Outcome
) -> None:
    expected = [record.row for record in RECORDS[name] if record.row is not None]
    codes = {row[0] for row in expected}
    found = {row for row in loaded.rows if row[0] in codes}
    assert found == set(expected)
    assert [reject[1:] for reject in loaded.rejects if reject[0] == name] == [
        (record.text, record.reason) for record in RECORDS[name] if record.reason
    ]


def test_nothing_else_is_loaded_or_rejected(loaded: Outcome) -> None:
    good = sum(record.row is not None for records in RECORDS.values() for record in records)
    bad = sum(record.reason is not None for records in RECORDS.values() for record in records)
    other = 2 * len(RECORDS["lines.csv"])
    assert (len(loaded.rows), len(loaded.rejects)) == (good + other + 1, bad + 1)


def test_raw_partition_counts_as_many_records_as_the_job_reads(loaded: Outcome) -> None:
    counted = {name: count_records([text.encode()]).rows for name, text in FILES.items()}
    assert counted["mixed.csv"] == counted["windows.csv"] == len(RECORDS["lines.csv"])
    assert loaded.counts["rows_read"] == sum(counted.values())


@pytest.mark.parametrize(("name", "mark"), [("mixed.csv", "m"), ("windows.csv", "w")])
def test_line_ends_are_part_of_no_value(name: str, mark: str, loaded: Outcome) -> None:
    rows = {row[0]: row for row in loaded.rows}
    assert rows[f"{mark}3"] == (f"{mark}3", "x", "FR")
    assert rows[f"{mark}1"] == (f"{mark}1", "x", "a\rb")
    assert not [reject for reject in loaded.rejects if reject[0] == name]


def test_a_file_with_its_columns_in_another_order_loads_the_same(loaded: Outcome) -> None:
    assert ("s1", "x", "second") in loaded.rows
    assert ("order.csv", ",s1 ,y", f"{DUPLICATE}: s1 ") in loaded.rejects


def test_blanks_beyond_the_length_are_cut_if_the_feed_says_so(job: LoadJob) -> None:
    cut = load(job, "cut")
    rows = {row[0]: row for row in cut.rows}
    for record in RECORDS["lengths.csv"]:
        code = record.text.partition(",")[0]
        assert rows.get(code) == (record.cut or record.row), record
    assert [reject[1:] for reject in cut.rejects if reject[0] == "lengths.csv"] == [
        (record.text, record.reason)
        for record in RECORDS["lengths.csv"]
        if record.reason and not record.cut
    ]


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (
            "note,code,name\nc,a,b",
            "holds a second header row, in another order than the first (note,code,name): several "
            "files were put together; deliver them one by one",
        ),
        # Spark keeps the text of any record but one of a hundred fields too many.
        (
            "," * 102,
            "holds a record of 103 fields, and the feed has 3 columns: remove the record",
        ),
        (
            'd,"e',
            "the quoted field that is open at byte 23 is never closed: somewhere a quote is "
            "missing, or a quote inside a field is not doubled",
        ),
    ],
)
def test_a_day_with_a_bad_file_is_left_as_it_was_with_its_verdict_and_the_other_days_are_loaded(
    job: LoadJob, record: str, verdict: str
) -> None:
    job.put_all(
        {(BAD_DAY, "joined.csv"): f"{HEADER}a,b,c\n", (GOOD_DAY, "a.csv"): f"{HEADER}a,b,c"}
    )
    run, _ = job.run([BAD_DAY])
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    job.put(BAD_DAY, "joined.csv", f"{HEADER}a,b,c\n{record}\n")
    run, report = job.run([BAD_DAY, GOOD_DAY])
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    uri = f"s3://{job.sandbox.config.input_bucket}/{job.folder(BAD_DAY)}joined.csv"
    assert report[BAD_DAY]["problem"] == f"1 of 1 files cannot be loaded:\n- {uri}: {verdict}"
    assert "problem" not in report[GOOD_DAY]
    assert (report[BAD_DAY]["rows_loaded"], report[GOOD_DAY]["rows_loaded"]) == (0, 1)
    assert {(BAD_DAY, 1), (GOOD_DAY, 1)} <= set(job.load_audit())
    counted = f"SELECT COUNT(*) FROM public.{job.feed} WHERE partition_date = '{BAD_DAY}'"
    assert job.query(counted) == [(1,)]


KEY_COLUMNS = [
    ("a", "varchar(5)", False),
    ("b", "double precision", False),
    ("c", "real", False),
    ("d", "decimal(6,2)", False),
    ("e", "timestamp", False),
    ("f", "boolean", False),
]
AT = "2031-06-01T00:00:00"


def test_keys_of_several_columns_are_compared_as_redshift_compares_them(
    sandbox: RunningSandbox,
) -> None:
    job = LoadJob(sandbox, "load_keys", KEY_COLUMNS, key=[name for name, _, _ in KEY_COLUMNS])
    lines = [
        ",".join(name for name, _, _ in KEY_COLUMNS),
        f"x,1,0.1,1.5,{AT},true",
        f"x ,1.0,0.1,1.50,{AT},t",
        f"x,1e0,+0.10,+1.5,{AT}Z,YES",
        "x,1,0.1,1.5,2031-06-01 02:00:00+02:00,1",
        f"x,1,0.1000000000001,1.5,{AT},y",
        f"x,0,0,0,{AT},f",
        f"x,-0,-0.0,-0,{AT},false",
        f"y,1,0.1,1.5,{AT},true",
        f"x,1,0.1,1.5,{AT},false",
        f"x\t,1,0.1,1.5,{AT},true",
        f"x,1.0000000000000002,0.1,1.5,{AT},true",
    ]
    with job.tables([DAY]):
        job.put(DAY, "a.csv", "\n".join(lines))
        run, report = job.run([DAY])
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        assert report[DAY]["rows_loaded"] == 6
        kind = DUPLICATE.replace("code", "a, b, c, d, e, f")
        assert report[DAY]["reasons"] == {kind: 5}


TIMES = {
    "2031-06-01 10:20": datetime(2031, 6, 1, 10, 20),
    "2031-06-01T10:20:30": datetime(2031, 6, 1, 10, 20, 30),
    "2031-06-01 10:20:30Z": datetime(2031, 6, 1, 10, 20, 30),
    "2031-06-01T10:20:30.5": datetime(2031, 6, 1, 10, 20, 30, 500_000),
    "2031-06-01T10:20:30.123456Z": datetime(2031, 6, 1, 10, 20, 30, 123_456),
    "2031-06-01T10:20:30.123456000": datetime(2031, 6, 1, 10, 20, 30, 123_456),
    "2031-06-01T10:20:30.5-00:30": datetime(2031, 6, 1, 10, 50, 30, 500_000),
    "0001-01-01T00:00": datetime(1, 1, 1),
    "9999-12-31T23:59:59.999999": datetime(9999, 12, 31, 23, 59, 59, 999_999),
}
NO_TIMES = [
    "2031-06-31T10:20",
    "2031-06-01T24:00",
    "0001-01-01T00:00+00:01",
    "2031-06-01T10:20:60Z",
]


def test_each_form_of_a_timestamp_is_loaded_as_its_moment(sandbox: RunningSandbox) -> None:
    job = LoadJob(sandbox, "load_times", [("id", "integer", False), ("at", "timestamp", True)])
    lines = [f"{number},{text}" for number, text in enumerate([*TIMES, *NO_TIMES])]
    with job.tables([DAY]):
        job.put(DAY, "a.csv", "id,at\n" + "\n".join(lines))
        run, report = job.run([DAY])
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        rows = job.query("SELECT id, at FROM public.load_times ORDER BY id")
        assert [at for _, at in rows] == list(TIMES.values())
        assert report[DAY]["reasons"] == {"at: not a timestamp": len(NO_TIMES)}
