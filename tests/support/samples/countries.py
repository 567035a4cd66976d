"""Files as suppliers of several countries write them."""

from __future__ import annotations

from tests.support.samples.case import Case, many
from tests.support.samples.csv_text import csv_text, excel_text

GERMAN = [
    ["Artikelnummer", "Bezeichnung", "Preis", "Bestand", "Gültig ab", "PLZ"],
    *many(
        lambda n: [
            f"A-{n:04}",
            ["Müllbeutel, groß", "Gießkanne", "Spülbürste", 'Rohr 1/2"'][n % 4],
            f"{1000 + n}".replace("10", "1.0", 1) + f",{n % 100:02}",
            n * 37 % 900,
            f"{n % 28 + 1:02}.{n % 12 + 1:02}.2026",
            f"{n * 1013 % 99999:05}",
        ]
    ),
]
SEMICOLONS = {"delimiter": ";"}
GERMAN_COLUMNS = {
    "artikelnummer": ("varchar(16)", None),
    "bezeichnung": ("varchar(64)", None),
    "preis": ("decimal(12,2)", "1.234,56"),
    "bestand": ("integer", None),
    "gultig_ab": ("date", "DD.MM.YYYY"),
    "plz": ("varchar(16)", None),
}

US = csv_text(
    [
        ["SKU", "Title", "Price", "Sold On", "UPC", "Zip"],
        *many(
            lambda n: [
                f"SK{n:05}",
                f'{n}" Frame, oak',
                f"${1200 + n:,}.{n % 100:02}",
                f"{n % 12 + 1}/{n % 28 + 1}/2026",
                f"{36000291452 + n:012}",
                f"{n * 917 % 99999:05}",
            ]
        ),
    ]
)
FRENCH = excel_text(
    [
        ["Référence", "Libellé", "Prix TTC", "Quantité", "Date de création"],
        *many(
            lambda n: [
                f"R{n:03}",
                ["Théière émaillée", "Bougie à la cire", "Nappe, 2 m"][n % 3],
                f"1\u202f{100 + n},{n % 100:02} €",
                n,
                f"{n % 28 + 1:02}/{n % 12 + 1:02}/2026",
            ]
        ),
    ]
)
SWISS = csv_text(
    [
        ["Nr", "Name", "Betrag CHF", "Anteil"],
        *many(lambda n: [n + 1, f"Käse {n}", f"1'{100 + n}.{n % 20 * 5:02}", f"{n % 100}.5 %"]),
    ],
    ";",
)
BRAZIL = excel_text(
    [
        ["Código", "Descrição", "Preço", "CPF do comprador"],
        *many(lambda n: [f"BR{n}", f"Café {n} g", f"R$ 1.{100 + n},90", f"0{1234567890 + n}"]),
    ]
)
INDIA = csv_text(
    [
        ["item_code", "name", "mrp"],
        *many(lambda n: [f"IN{n}", f"Kurta {n}", f"₹1,{n % 90 + 10},{100 + n}.00"]),
    ]
)
JAPAN = csv_text(
    [
        ["商品コード", "商品名", "価格", "登録日"],
        *many(lambda n: [f"JP-{n:04}", f"湯のみ {n}", 1200 + n, f"2026年{n % 12 + 1:02}月01日"]),
    ]
)
SWEDEN = csv_text(
    [
        ["Artnr", "Benämning", "Pris", "Datum"],
        *many(lambda n: [f"S{n}", f"Skål {n}", f"1 {200 + n},50", f"2026-01-{n % 28 + 1:02}"]),
    ],
    "\t",
    line_end="\n",
)
THAI = csv_text(
    [
        ["id", "name", "created_date"],
        *many(lambda n: [n, f"ชา {n}", f"{n % 28 + 1:02}/{n % 12 + 1:02}/2569"]),
    ]
)


def _with_preamble(title: str) -> str:
    return f"{title}\r\nCreated 31.01.2026\r\n\r\n" + excel_text(GERMAN)


COUNTRIES = [
    Case(
        "a German Excel export in Windows-1252",
        [excel_text(GERMAN).encode("windows-1252")],
        csv=SEMICOLONS | {"encoding": "windows-1252"},
        columns=GERMAN_COLUMNS,
        key=["artikelnummer"],
        asks=frozenset({"encoding"}),
        answers={"encoding": "windows-1252"},
        doubts=["leading zero"],
    ),
    Case(
        "the same in UTF-8 with a byte order mark and sep=;",
        [b"\xef\xbb\xbf" + b"sep=;\r\n" + excel_text(GERMAN).encode()],
        csv=SEMICOLONS | {"preamble_lines": 1},
        columns=GERMAN_COLUMNS,
        key=["artikelnummer"],
        doubts=["sep=;"],
    ),
    Case(
        "the same in UTF-16, as Excel's Unicode text",
        [csv_text(GERMAN, "\t").encode("utf-16")],
        csv={"delimiter": "\t", "encoding": "utf-16"},
        columns=GERMAN_COLUMNS,
        key=["artikelnummer"],
    ),
    Case(
        "a title and an empty line before the header",
        [_with_preamble("Preisliste Frühjahr").encode()],
        csv=SEMICOLONS | {"preamble_lines": 3},
        columns=GERMAN_COLUMNS,
        key=["artikelnummer"],
        doubts=["the first 3 lines are skipped"],
    ),
    Case(
        "an American shop with dollars, month first, and UPCs",
        [US.encode()],
        csv={"delimiter": ","},
        columns={
            "sku": ("varchar(16)", None),
            "title": ("varchar(32)", None),
            "price": ("decimal(12,2)", "$1,234.56"),
            "sold_on": ("date", "MM/DD/YYYY"),
            "upc": ("varchar(32)", None),
            "zip": ("varchar(16)", None),
        },
        key=["sku"],
        asks=frozenset({"key"}),
    ),
    Case(
        "a French export with narrow no-break spaces and euros",
        [FRENCH.encode()],
        csv=SEMICOLONS,
        columns={
            "reference": ("varchar(16)", None),
            "prix_ttc": ("decimal(12,2)", "1 234,56 €"),
            "quantite": ("integer", None),
            "date_de_creation": ("date", "DD/MM/YYYY"),
        },
        key=["reference"],
    ),
    Case(
        "a Swiss export with apostrophes and percents",
        [SWISS.encode()],
        csv=SEMICOLONS,
        columns={
            "nr": ("integer", None),
            "betrag_chf": ("decimal(12,2)", "1'234.56"),
            "anteil": ("decimal(12,2)", "1234.56 %"),
        },
        key=["nr"],
    ),
    Case(
        "a Brazilian export with reais and a CPF",
        [BRAZIL.encode()],
        csv=SEMICOLONS,
        columns={
            "preco": ("decimal(12,2)", "R$1.234,56"),
            "cpf_do_comprador": ("varchar(32)", None),
        },
        settings={"cpf_do_comprador": {"sensitive": True}},
        key=["codigo"],
    ),
    Case(
        "Indian digit groups are no number of ours",
        [INDIA.encode()],
        columns={"mrp": ("varchar(32)", None)},
        key=["item_code"],
        doubts=["something around them"],
    ),
    Case(
        "Japanese headers and dates",
        [JAPAN.encode()],
        columns={
            "column_1": ("varchar(16)", None),
            "column_3": ("integer", None),
            "column_4": ("date", "YYYY年MM月DD日"),
        },
        settings={"column_1": {"header": "商品コード"}},
        asks=frozenset({"key"}),
    ),
    Case(
        "a Swedish file with tabs, blanks in numbers and decimal commas",
        [SWEDEN.encode()],
        csv={"delimiter": "\t"},
        columns={"pris": ("decimal(12,2)", "1 234,56"), "datum": ("date", None)},
    ),
    Case(
        "Thai years are another calendar's",
        [THAI.encode()],
        columns={"created_date": ("varchar(32)", None)},
        key=["id"],
        doubts=["another calendar"],
    ),
    Case(
        "Cyrillic in Windows-1251 is asked for, without a likely answer",
        ["артикул;название\r\nА1;Чайник\r\nА2;Кружка\r\n".encode("windows-1251")],
        asks=frozenset({"encoding"}),
    ),
    Case(
        "Polish in Windows-1250 has signs within words",
        ["kod;nazwa;cena\r\nP1;Gałązka;1,50\r\nP2;Łyżka mała;2,50\r\n".encode("windows-1250")],
        asks=frozenset({"encoding"}),
    ),
]
