"""Files with a mistake in them, or of a kind that looks like something else."""

from __future__ import annotations

import gzip

from tests.support.samples.case import Case, many
from tests.support.samples.csv_text import csv_text, excel_text


def _column(header: str, *values: str) -> bytes:
    """Rows with a number and one of the values each."""
    rows = many(lambda n: [n, values[n % len(values)].replace("#", f"{n + 1}")])
    return csv_text([["id", header], *rows]).encode()


BANK = excel_text(
    [
        ["Auftragskonto", "Buchungstag", "Betrag"],
        *many(lambda n: ["DE89370400440532013000", f"{n % 28 + 1:02}.{n % 9 + 1:02}", f"-{n},50"]),
    ]
)
STATEMENT = (
    "Account Name : Checking\r\nAccount Number : ****1234\r\n\r\n"
    + csv_text(
        [
            ["Transaction Number", "Date", "Debit"],
            *many(lambda n: [f"2026{n:05}", f"{n % 12 + 1:02}/{n % 28 + 1:02}/2026", f"-{n}.50"]),
        ]
    )
    + "\r\nTotal,,-1800.00\r\n"
)
FIXED_WIDTH = "".join(f"{n:<6}{f'Cup {n}':<20}{n * 1.5:>10.2f}\n" for n in range(60))

MISTAKES = [
    # -- of the file --------------------------------------------------------------------------
    Case("a byte order mark and nothing else", [b"\xef\xbb\xbf"], problem="is empty"),
    Case("UTF-16 with line ends only", ["\r\n\r\n".encode("utf-16")], problem="is empty"),
    Case(
        "UTF-16 without its mark, of ASCII only",
        ["id,name\r\n1,a\r\n2,b\r\n".encode("utf-16-le")],
        problem="NUL bytes and no byte order mark",
    ),
    Case(
        "gzip that is not named so",
        [gzip.compress(b"id,name\n1,a\n")],
        problem=r"0\.csv: its content is gzip.*: name it 0\.csv\.gz",
    ),
    Case(
        "UTF-8 with a byte of Windows-1252 in it",
        ["id,name\n1,é\n2,ü\n".encode() + b"3,caf\xe9\n"],
        problem=r"0\.csv is UTF-8 up to line 4, where byte 0xe9",
    ),
    Case(
        "a code page of DOS",
        ["id;name\n1;Müller\n2;Größe\n".encode("cp850")],
        problem=r"0\.csv is neither UTF-8",
    ),
    Case(
        "columns of a fixed width",
        [FIXED_WIDTH.encode()],
        problem="columns of a fixed width",
    ),
    # -- of its rows --------------------------------------------------------------------------
    Case(
        "quotes in quoted fields that are not doubled",
        [b"id,name\n" + b"".join(b'%d,"5" pipe"\n' % n for n in range(60))],
        problem='must be doubled, and in most rows it is not .*5" pipe',
    ),
    Case(
        "blanks before quotes, and delimiters in them",
        [b'id, "name", "city"\n' + b"".join(b'%d, "n, %d", "Ulm"\n' % (n, n) for n in range(60))],
        problem='blanks stand before the quotes .* "n',
    ),
    Case(
        "blanks before quotes",
        [b'id, "name"\n' + b"".join(b'%d, "n %d"\n' % (n, n) for n in range(60))],
        problem="blanks stand before the quotes",
    ),
    Case(
        "decimal commas in a file with commas",
        [b"sku,prix,qte\n" + b"".join(b"A%d,%d,50,7\n" % (n, n) for n in range(60))],
        problem=r"most rows have 4 fields, as line 2 \('A0', '0', '50', …\).*a decimal comma",
    ),
    Case(
        "rows without their last fields",
        [
            b"id,name,price,note\n"
            + b"".join(b"%d,Cup,1.5%s\n" % (n, b",x" if n % 5 == 0 else b"") for n in range(60))
        ],
        problem="most rows have 3 fields, as line 3 .*leave out their last fields",
    ),
    Case(
        "sep= with another delimiter than the rows'",
        [b"sep=,\nid;name\n" + b"".join(b"%d;n%d\n" % (n, n) for n in range(60))],
        csv={"delimiter": ";", "preamble_lines": 1},
        columns={"id": ("bigint", None), "name": ("varchar(16)", None)},
        doubts=["Excel's sep=,", "do not have it"],
        key=["id"],
    ),
    Case(
        "a bank statement with a preamble and a total",
        [STATEMENT.encode()],
        csv={"delimiter": ",", "preamble_lines": 3},
        columns={"date": ("date", "MM/DD/YYYY"), "debit": ("decimal(12,2)", None)},
        doubts=["the last row of 0.csv ('Total') looks like a sum", "'Total' is none"],
        key=["transaction_number"],
    ),
    Case(
        "one row tells no key",
        [b"order_id,placed_on,amount\n1,2026-01-31,2.50\n"],
        asks=frozenset({"key"}),
        answers={"key": "order_id"},
        columns={"order_id": ("bigint", None), "placed_on": ("date", None)},
        key=["order_id"],
    ),
    # -- of its columns -----------------------------------------------------------------------
    Case(
        "days without a year are no numbers",
        [BANK.encode("windows-1252")],
        columns={"buchungstag": ("varchar(16)", None), "betrag": ("decimal(12,2)", "1234,56")},
        settings={"auftragskonto": {"sensitive": True}},
        doubts=["has a leading zero", "looks personal"],
        asks=frozenset({"key"}),
    ),
    Case(
        "e-mail addresses and card numbers under names that do not tell",
        [
            csv_text(
                [
                    ["id", "contact", "paid_with", "ref"],
                    *many(lambda n: [n, f"a{n}@example.com", "4111 1111 1111 1111", 4000 + n // 2]),
                ]
            ).encode()
        ],
        settings={
            "contact": {"sensitive": True},
            "paid_with": {"sensitive": True},
            "ref": {"sensitive": None},
        },
        key=["id"],
    ),
    Case(
        "Excel's formulas around texts",
        [_column("sku", '="00#"')],
        columns={"sku": ("varchar(16)", None)},
        doubts=["formula"],
        asks=frozenset({"key"}),
    ),
    Case(
        "Excel's apostrophe before digits",
        [_column("zip", "'0#")],
        columns={"zip": ("varchar(16)", None)},
        doubts=["an apostrophe stands before"],
        key=["id"],
    ),
    Case(
        "a minus sign that is no hyphen",
        [_column("delta", "−#.5")],
        columns={"delta": ("varchar(16)", None)},
        doubts=["U+2212"],
        key=["id"],
    ),
    Case(
        "negative numbers in parentheses",
        [_column("amount", "#.50", "(#.50)")],
        columns={"amount": ("varchar(16)", None)},
        doubts=["something around them ('(2.50)')"],
        key=["id"],
    ),
    Case(
        "UTF-8 that was read as Windows-1252 once",
        [_column("name", "MÃ¼ller #", "Meier #")],
        doubts=["'MÃ¼ller 1' looks like 'Müller 1' written in UTF-8 twice"],
        key=["id"],
    ),
    Case(
        "months in words, and a zone by name",
        [
            csv_text(
                [
                    ["id", "Datum", "created"],
                    *many(lambda n: [n, f"{n % 28 + 1}. Januar 2026", "2026-01-02 10:00:00 UTC"]),
                ]
            ).encode()
        ],
        columns={"datum": ("varchar(32)", None), "created": ("varchar(64)", None)},
        doubts=[
            "named like a date, but '1. Januar 2026'",
            "named like a date, but '2026-01-02 10:00:00 UTC'",
        ],
        key=["id"],
    ),
    Case(
        "milliseconds since 1970",
        [_column("created_at", "17672256#000")],
        columns={"created_at": ("bigint", None)},
        doubts=["milliseconds since 1970"],
    ),
    Case(
        "columns that every table has already",
        [b"id,ctid,xmin,loaded_at\n" + b"".join(b"%d,1,2,3\n" % n for n in range(60))],
        columns={
            "ctid_in_file": ("integer", None),
            "xmin_in_file": ("integer", None),
            "loaded_at_in_file": ("integer", None),
        },
        key=["id"],
    ),
    Case(
        "headers of signs only, and of signs with words",
        ["🆔,📦 Product,💰\n".encode() + b"".join(b"%d,Cup %d,1.50\n" % (n, n) for n in range(60))],
        asks=frozenset({"header"}),
        answers={"header": "yes", "key": "column_1"},
        columns={"column_1": ("integer", None), "product": ("varchar(16)", None)},
        settings={"column_1": {"header": "🆔"}, "product": {"header": "📦 Product"}},
        key=["column_1"],
    ),
]
