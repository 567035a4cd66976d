"""Files of shapes that have nothing to do with a country."""

from __future__ import annotations

import csv

from tests.support.samples.case import Case, many
from tests.support.samples.countries import SEMICOLONS
from tests.support.samples.csv_text import csv_text, excel_text

MIXED = csv_text(
    [
        ["id", "amount", "day", "ean"],
        *many(lambda n: [n, "12.50" if n != 30 else "call us", "2026-01-01", "4,00638E+12"]),
    ]
)
QUOTED_ALL = csv_text(
    [
        ["id", "name", "weight", "made_on", "note"],
        *many(
            lambda n: [
                n,
                f'Say "hi" {n}',
                "" if n % 7 == 0 else f"{n}.25",
                "" if n % 9 == 0 else "2026-02-03",
                "line one\nline two" if n % 5 == 0 else "",
            ]
        ),
    ],
    quoting=csv.QUOTE_ALL,
)
NULLS = csv_text(
    [
        ["sku", "name", "price", "checked"],
        *many(
            lambda n: [
                f"N{n}",
                "N/A" if n == 4 else f"Lamp {n}",
                "N/A" if n % 6 == 0 else f"{n}.10",
                "-" if n % 8 == 0 else f"2026-03-{n % 28 + 1:02}",
            ]
        ),
    ]
)
MYSQL = csv_text(
    [
        ["id", "name", "price"],
        *many(
            lambda n: [n, "\\N" if n % 5 == 0 else f"Pot {n}", "\\N" if n % 4 == 0 else f"{n}.5"]
        ),
    ],
    "\t",
    line_end="\n",
)
PLAIN = csv_text([["id", "name", "price"], *many(lambda n: [n, f"Cup {n}", f"{n}.99"])])
AMBIGUOUS_DATES = csv_text(
    [
        ["id", "ordered_on"],
        *many(lambda n: [n, f"{n % 12 + 1:02}/{n // 12 % 12 + 1:02}/2026"]),
    ]
)
AMBIGUOUS_NUMBERS = excel_text([["id", "length"], *many(lambda n: [n, f"1.{200 + n}"])])


SHAPES = [
    Case(
        "dates that are a day or a month first",
        [AMBIGUOUS_DATES.encode()],
        columns={"ordered_on": ("date", "MM/DD/YYYY")},
        key=["id"],
        asks=frozenset({"date-order"}),
        answers={"date-order": "mdy"},
    ),
    Case(
        "numbers that are thousands or have three decimals",
        [AMBIGUOUS_NUMBERS.encode()],
        csv=SEMICOLONS,
        columns={"length": ("integer", "1.234")},
        key=["id"],
        asks=frozenset({"decimal"}),
        answers={"decimal": ","},
    ),
    Case(
        "all fields in quotes, with empty ones, quotes and line ends",
        [QUOTED_ALL.encode()],
        csv={"delimiter": ","},
        columns={
            "id": ("bigint", None),
            "name": ("varchar(32)", None),
            "weight": ("decimal(12,2)", None),
            "made_on": ("date", None),
            "note": ("varchar(64)", None),
        },
        settings={"weight": {"null_values": [""]}, "made_on": {"null_values": [""]}},
        key=["id"],
    ),
    Case(
        "N/A and - for no value",
        [NULLS.encode()],
        columns={
            "name": ("varchar(16)", None),
            "price": ("decimal(12,2)", None),
            "checked": ("date", None),
        },
        settings={"price": {"null_values": ["N/A"]}, "checked": {"null_values": ["-"]}},
        key=["sku"],
        doubts=["'N/A' is loaded as NULL", "'N/A' is kept as a text"],
    ),
    Case(
        "MySQL's \\N",
        [MYSQL.encode()],
        csv={"delimiter": "\t", "null_values": ["\\N"]},
        columns={"name": ("varchar(16)", None), "price": ("decimal(12,2)", None)},
        key=["id"],
    ),
    Case(
        "MySQL's backslash before a quote",
        [b'"id","name"\n"1","Rohr 5\\" lang"\n"2","Rohr, kurz"\n'],
        problem="escapes quotes with a backslash",
    ),
    Case(
        "MySQL's backslash before a delimiter",
        [b"id\tname\tprice\n1\ta\\\tb\t2\n2\tc\t3\n"],
        problem="escapes TAB with a backslash",
    ),
    Case(
        "one value that is no number, and numbers that Excel has shortened",
        [MIXED.encode()],
        columns={
            "amount": ("varchar(16)", None),
            "day": ("date", None),
            "ean": ("varchar(32)", None),
        },
        key=["id"],
        doubts=["numbers, but 'call us' is none", "Excel has shortened"],
    ),
    Case(
        "no header row",
        [csv_text(many(lambda n: [n, f"2026-01-{n % 28 + 1:02}", "12.5"])).encode()],
        csv={"delimiter": ",", "header_row": False},
        columns={"column_1": ("integer", None), "column_2": ("date", None)},
        asks=frozenset({"key"}),
    ),
    Case(
        "nothing tells whether the first row has names",
        [csv_text([["abc", "def"], ["ghi", "jkl"], ["mno", "pqr"]]).encode()],
        asks=frozenset({"header"}),
        answers={"header": "yes", "key": "none"},
        csv={"delimiter": ","},
        columns={"abc": ("varchar(16)", None), "def": ("varchar(16)", None)},
        key=[],
    ),
    Case(
        "two columns of one name",
        [b"id,price,price\n" + b"".join(b"%d,1.50,2.50\n" % n for n in range(60))],
        csv={"header_row": False, "preamble_lines": 1},
        columns={"price": ("decimal(12,2)", None), "price_2": ("decimal(12,2)", None)},
        doubts=["several columns are named 'price'"],
        key=["id"],
    ),
    Case(
        "a delimiter too much at each line's end",
        [b"id;name;\n" + b"".join(b"%d;Cup %d;\n" % (n, n) for n in range(60))],
        csv=SEMICOLONS | {"extra_columns": "ignore"},
        columns={"id": ("bigint", None), "name": ("varchar(16)", None)},
        doubts=["a column without a name is left out"],
        key=["id"],
    ),
    Case(
        "a delimiter too much at the header's end only",
        [b"id;name;price;\n" + b"".join(b"%d;Cup;1,5\n" % n for n in range(60))],
        problem="its header has 4 names and most rows have 3 fields",
    ),
    Case(
        "a column of numbers without a name (as pandas writes its index)",
        [b",sku,price\n" + b"".join(b"%d,S%d,1.50\n" % (n, n) for n in range(60))],
        csv={"extra_columns": "ignore"},
        key=["sku"],
        asks=frozenset({"unnamed"}),
        answers={"unnamed": "ignore"},
    ),
    Case(
        "a trailer, the header again, and a row of delimiters",
        [PLAIN.encode() + PLAIN.encode() + b",,\r\nTRAILER,120\r\n"],
        columns={"id": ("bigint", None), "price": ("decimal(12,2)", None)},
        doubts=["another number of fields", "the header row is in", "delimiters only"],
        asks=frozenset({"key"}),
    ),
    Case(
        "pipes, and times of several kinds",
        [
            csv_text(
                [
                    ["id", "created_at", "seen", "opening_time", "changed"],
                    *many(
                        lambda n: [
                            n,
                            f"2026-01-02T10:{n % 60:02}:00Z",
                            f"31/12/2026 {n % 12 + 1}:05 PM",
                            f"{n % 24:02}:30",
                            f"{n % 28 + 1:02}-Mar-2026",
                        ]
                    ),
                ],
                "|",
            ).encode()
        ],
        csv={"delimiter": "|"},
        columns={
            "created_at": ("timestamptz", None),
            "seen": ("timestamp", "DD/MM/YYYY HH:MI AM"),
            "opening_time": ("time", "HH:MI"),
            "changed": ("date", "DD-MON-YYYY"),
        },
        key=["id"],
    ),
    Case(
        "eight digits that are days",
        [
            csv_text(
                [
                    ["kundennr", "buchungsdatum", "wert"],
                    *many(lambda n: [f"K{n}", f"202601{n % 28 + 1:02}", f"202602{n % 28 + 1:02}"]),
                ],
                ";",
            ).encode()
        ],
        columns={"buchungsdatum": ("date", "YYYYMMDD"), "wert": ("integer", None)},
        asks=frozenset({"type:wert"}),
        answers={"type:wert": "number"},
    ),
    Case(
        "booleans, codes with a plus, JSON, and trailing minus signs",
        [
            csv_text(
                [
                    ["id", "active", "phone", "attributes", "balance"],
                    *many(
                        lambda n: [
                            n,
                            ["yes", "no"][n % 2],
                            f"+49170{n:06}",
                            f'{{"size": {n}}}',
                            f"{n}.50-",
                        ]
                    ),
                ]
            ).encode()
        ],
        columns={
            "active": ("boolean", None),
            "phone": ("varchar(32)", None),
            "attributes": ("varchar(32)", None),
            "balance": ("varchar(16)", None),
        },
        settings={"phone": {"sensitive": True}},
        doubts=["looks like JSON", "a plus sign", "something around them"],
        key=["id"],
    ),
    Case(
        "two days of which one has a column more",
        [
            PLAIN.encode(),
            csv_text(
                [["id", "name", "price", "brand"], *many(lambda n: [n, "Cup", "1.99", "Ox"])]
            ).encode(),
        ],
        columns={"brand": ("varchar(16)", None)},
        settings={"brand": {"optional": True}},
        doubts=["only some samples have 'brand'"],
        key=["id"],
    ),
    Case(
        "headers with blanks around them",
        [PLAIN.replace("id,name,price", "ID , Name,\u00a0Price").encode()],
        csv={"header_match": "relaxed"},
        columns={"id": ("bigint", None), "price": ("decimal(12,2)", None)},
        key=["id"],
    ),
    Case(
        "single quotes around fields",
        [csv_text([["id", "t"], *many(lambda n: [n, f"a, b {n}"])], quote="'").encode()],
        csv={"delimiter": ",", "quote": "'"},
        key=["id"],
    ),
    Case(
        "control characters as delimiters",
        [csv_text([["id", "name"], *many(lambda n: [n, f"a,b;{n}"])], "\x01").encode()],
        csv={"delimiter": "\x01"},
        key=["id"],
    ),
    Case(
        "one column only",
        [b"sku\nA1\nA2\nA3\n"],
        asks=frozenset({"delimiter"}),
        answers={"delimiter": ","},
        columns={"sku": ("varchar(16)", None)},
    ),
    Case("an Excel workbook named .csv", [b"PK\x03\x04" + b"xl/workbook.xml"], problem="Excel"),
    Case("Parquet named .csv", [b"PAR1\x15\x04\x15\x00" + b"\0" * 40], problem="Parquet"),
    Case("JSON lines", [b'{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n'], problem="is JSON"),
    Case("a JSON array", [b'[\n  {"id": 1, "name": "a"}\n]\n'], problem="is JSON"),
    Case(
        "two dates of different orders in one column, and two currencies",
        [
            csv_text(
                [
                    ["id", "day", "price"],
                    *many(
                        lambda n: [
                            n,
                            ["31/12/2026", "12/31/2026"][n % 2],
                            ["€ 5", "$ 5"][n % 2],
                        ]
                    ),
                ]
            ).encode()
        ],
        columns={"day": ("varchar(32)", None), "price": ("varchar(16)", None)},
        doubts=["dates, but they are written in different ways", "numbers, but they are written"],
        key=["id"],
    ),
    Case(
        "a totals row at the end, and coordinates",
        [
            csv_text(
                [
                    ["shop_id", "latitude", "turnover"],
                    *many(lambda n: [n, f"52.{520000 + n}", f"{n}.75"]),
                    ["Total", "", "1815.00"],
                ]
            ).encode()
        ],
        columns={
            "shop_id": ("varchar(16)", None),
            "latitude": ("decimal(14,8)", None),
            "turnover": ("decimal(12,2)", None),
        },
        doubts=["numbers, but 'Total' is none"],
        key=["shop_id"],
    ),
    Case("a header and no rows", [b"id,name,price\n"], problem="no rows"),
    Case("nothing", [b"\n\n"], problem="is empty"),
    Case("old Mac line ends", [b"id,name\r1,a\r2,b\r"], problem="carriage return alone"),
    Case("two byte order marks", [b"\xef\xbb\xbf\xef\xbb\xbfid,name\n1,a\n"], problem="two byte"),
]
