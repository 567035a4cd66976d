"""Raw files of the two feeds. The same seed, feed, day, name and version give the same bytes.

Half of the versions have as many rows as the first one, so that no row count shows the replacement.
Some rows must be rejected. Orders repeat keys, within a file and across the files of a day.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

_TEXTS = (
    "",
    '""',
    "plain",
    '"a, comma"',
    '"said ""so"""',
    '"two\nlines"',
    "größe",
    "抹茶",
    "  blanks  ",
    "NULL",
    "\\N is no NULL",
)
_PRODUCTS = "id,name,category,brand,price,currency,stock,description,updated_at"
_ORDERS = "order_id,line_no,sku,quantity,amount,gift,note,ordered_at"


def body_of(seed: int, feed: str, day: int, name: str, version: int) -> bytes:
    """The content of a file; days are counted from the seed's first, from 0."""
    shape = Random(f"{seed} {feed} {day} {name}")
    rows = shape.randint(24, 50)
    random = Random(f"{seed} {feed} {day} {name} {version}")
    if version % 2:
        rows += random.randint(-4, 4)
    return _WRITERS[feed](random, day, name, rows).encode()


def _products(random: Random, day: int, name: str, rows: int) -> str:
    # Files of one day share no id: the feed tolerates few rejected rows.
    first = 1000 * int(name[-5])
    invalid_row = random.randrange(rows) if random.random() < 0.5 else -1
    lines = []
    for number in range(rows):
        price = "a lot" if number == invalid_row else f"{random.randint(1, 99_999) / 100:.2f}"
        lines.append(
            f"{first + number},Thing {random.randint(1, 9)},kitchen,{random.choice(_TEXTS)},"
            f"{price},EUR,{random.choice(('', '0', '17'))},{random.choice(_TEXTS)},"
            f"2026-01-{day + 1:02d} {random.randint(0, 23):02d}:00:00"
        )
    return "\n".join([_PRODUCTS, *lines, ""])


def _orders(random: Random, day: int, name: str, rows: int) -> str:
    lines = []
    for _ in range(rows):
        sku = "" if random.random() < 0.05 else f"S-{random.randint(1, 40)}"
        lines.append(
            f"{random.randint(1, 300)},{random.randint(1, 2)},{sku},{random.randint(1, 9)},"
            f"{random.randint(1, 9_999) / 100:.2f},{random.choice(('true', 'false', ''))},"
            f"{random.choice(_TEXTS)},2026-01-{day + 1:02d} {random.randint(0, 23):02d}:30:00"
        )
    return "\n".join([_ORDERS, *lines, ""])


_WRITERS: dict[str, Callable[[Random, int, str, int], str]] = {
    "products": _products,
    "orders": _orders,
}
