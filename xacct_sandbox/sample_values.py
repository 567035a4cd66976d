"""The values of the generated products, and their CSV fields.

Text values contain what CSV readers get wrong: commas, quotes, line breaks, accents, emoji, empty
strings beside NULL, values as long as their column.
"""

from __future__ import annotations

DESCRIPTION_BYTES = 4096
"""Size of the column, in bytes."""

_THINGS = (
    ("Espresso machine", "kitchen"),
    ("Crème brûlée torch", "kitchen"),
    ("Notebook, ruled", "office"),
    ('Monitor 27"', "electronics"),
    ("Käsereibe", "kitchen"),
    ("Ergonomic chair", "furniture"),
    ("USB-C cable, 2 m", "electronics"),
    ('The "good" scissors', "office"),
    ("Jalapeño sauce 🌶️", "food"),
    ('Garden hose 3/4"', "garden"),
    ("Wool jumper, size Ö", "clothing"),
    ("抹茶 bowl", "kitchen"),
    ("Rain boots", "clothing"),
    ("Desk lamp; dimmable", "furniture"),
    ("Toy rocket 🚀", "toys"),
    ("Batteries (AA), 4-pack", "electronics"),
)
_QUALITIES = (
    "",
    " Pro",
    " Mini",
    ", refurbished",
    ' "Signature"',
    " – édition limitée",
    " XL",
    " 2",
)
BRANDS: tuple[str | None, ...] = (
    "Acme",
    "Müller & Söhne",
    None,
    "O'Neill",
    "",
    "Smith, Jones & Co.",
    "Ångström",
    None,
    'Bob "the" Builder',
    "Lumière",
    "Nørrebro",
    "日本製",
    "Globex",
    "",
    "Initech",
    "Æther",
)
CURRENCIES = ("EUR", "USD", "GBP", "SEK", "CHF", "EUR", "USD", "EUR")
_TEXTS: tuple[str | None, ...] = (
    "Made to last.",
    None,
    "Line one\nline two",
    "",
    'They said: "buy it", so we did.',
    "Dimensions: 10 x 20 x 30 cm, weight 1,5 kg",
    "Perfect as a gift 🎁; ships in 24 h",
    "Ein Klassiker für große und kleine Küchen.",
    '"Quoted from end to end"',
    "Trailing comma,",
    "  blanks around  ",
    'First\n\nafter an empty line,\nand "quotes" on a third',
    "NULL",
    "50% off \\ while stocks last",
    "a\tb",
    "@NULL@ is not null",
)


def quoted(value: str | None) -> str:
    """A value as a CSV field by RFC 4180. NULL is an empty field, "" is two quotes."""
    if value is None:
        return ""
    if value == "" or any(character in value for character in ',"\r\n') or value != value.strip():
        return '"' + value.replace('"', '""') + '"'
    return value


def _fill(text: str, length: int) -> str:
    """``text`` repeated to exactly ``length`` bytes of UTF-8."""
    repeated = text * (length // len(text.encode()) + 1)
    cut_off = repeated.encode()[:length].decode(errors="ignore")
    return cut_off + "." * (length - len(cut_off.encode()))


NAMES: tuple[tuple[str, str], ...] = tuple(
    (thing + quality, category) for quality in _QUALITIES for thing, category in _THINGS
)
DESCRIPTIONS: tuple[str | None, ...] = (
    *(_TEXTS * 15),
    *(_fill(f"Longest description {number}: größe, ", DESCRIPTION_BYTES) for number in range(2)),
    *_TEXTS[:14],
)

NAMES_CSV = tuple(f"{quoted(name)},{category}" for name, category in NAMES)
BRANDS_CSV = tuple(quoted(brand) for brand in BRANDS)
DESCRIPTIONS_CSV = tuple(quoted(text) for text in DESCRIPTIONS)
STOCKS: tuple[int | None, ...] = tuple(
    None if number % 16 == 5 else (number * 37) % 5000 for number in range(256)
)
STOCKS_CSV = tuple("" if stock is None else str(stock) for stock in STOCKS)
TIMES = tuple(
    f"{hour:02d}:{(hour * 7 + step * 11) % 60:02d}:{(step * 17) % 60:02d}"
    for hour in range(24)
    for step in range(64)
)
