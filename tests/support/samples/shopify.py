"""Product exports of the shape that Shopify writes: 46 columns, variant rows and image rows.

Made up by code, for shops of three kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.samples.csv_text import csv_text

GOOGLE = "Google Shopping / "
COLUMNS = (
    *("Handle", "Title", "Body (HTML)", "Vendor", "Type", "Tags", "Published"),
    *(f"Option{number} {part}" for number in (1, 2, 3) for part in ("Name", "Value")),
    *("Variant SKU", "Variant Grams", "Variant Inventory Tracker", "Variant Inventory Qty"),
    *("Variant Inventory Policy", "Variant Fulfillment Service", "Variant Price"),
    *("Variant Compare At Price", "Variant Requires Shipping", "Variant Taxable"),
    *("Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Gift Card"),
    *("SEO Title", "SEO Description", f"{GOOGLE}Google Product Category", f"{GOOGLE}Gender"),
    *(f"{GOOGLE}Age Group", f"{GOOGLE}MPN", f"{GOOGLE}AdWords Grouping"),
    *(f"{GOOGLE}AdWords Labels", f"{GOOGLE}Condition", f"{GOOGLE}Custom Product"),
    *(f"{GOOGLE}Custom Label {number}" for number in range(5)),
    *("Variant Image", "Variant Weight Unit", "Variant Tax Code"),
)


@dataclass(frozen=True)
class Shop:
    """What a shop sells.

    Attributes:
        vendor: of all products.
        products: their names.
        options: names of its options, and their values.
        category: at Google.
        images: of every second product; the others have one.
    """

    vendor: str
    products: Sequence[str]
    options: Mapping[str, Sequence[str]]
    category: str
    images: int


SHOPS = {
    "apparel": Shop(
        "Northwind Loom",
        ("Chambray Shirt", "Ocean-blue Tee", "Striped Crew", "Merino Beanie, ribbed", "Gym Short"),
        {"Size": ("S", "M", "L", "XL"), "Color": ("Navy", "Oat")},
        "Apparel & Accessories > Clothing",
        10,
    ),
    "home_and_garden": Shop(
        "Fern & Clay",
        ('Planter 8"', "Enamel Watering Can", "Oak Serving Board", "Wool Throw"),
        {"Title": ("Default Title",)},
        "Home & Garden > Decor",
        4,
    ),
    "jewelry": Shop(
        "Søren Gold",
        ("Moon Charm Bracelet", 'Anchor Chain 18"', "Bangle, hammered", "Leaf Earrings"),
        {"Material": ("Silver", "14k Gold", "Rosé")},
        "Apparel & Accessories > Jewelry",
        5,
    ),
}


def export(shop: str, *, day: int = 0) -> bytes:
    """A shop's products as a file; the quantities are another day's."""
    rows = [[row.get(column, "") for column in COLUMNS] for row in _rows(SHOPS[shop], day)]
    return csv_text([COLUMNS, *rows], line_end="\n").encode()


def _rows(shop: Shop, day: int) -> Iterator[dict[str, object]]:
    for number, title in enumerate(shop.products):
        handle = "".join(c if c.isalnum() else "-" for c in title.lower()).strip("-")
        images = [
            {
                "Image Src": f"https://cdn.example/{handle}-{at}.jpg?v=15{at:08}",
                "Image Position": at,
            }
            for at in range(1, (shop.images if number % 2 else 1) + 1)
        ]
        variants = list(_variants(shop, number, day))
        for at in range(max(len(variants), len(images))):
            row: dict[str, object] = {"Handle": handle}
            if at == 0:
                row.update(_product(shop, title, number))
            if at < len(variants):
                row.update(variants[at])
            if at < len(images):
                row.update(images[at])
            yield row


def _product(shop: Shop, title: str, number: int) -> dict[str, object]:
    body = (
        f'<p class="lead">The <strong>{title}</strong>, made to last; "as good as new", say our '
        f"customers.</p>\n<ul>\n<li>Care: wash cold, dry flat</li>\n<li>Made in batch {number}</li>"
        "\n</ul>"
    )
    names = {f"Option{at} Name": name for at, name in enumerate(shop.options, start=1)}
    return {
        "Title": title,
        "Body (HTML)": body * 3,
        "Vendor": shop.vendor,
        "Type": shop.category.rpartition(" > ")[2],
        "Tags": "new, spring, gift",
        "Published": ("true", "true", "false")[number % 3],
        "Image Alt Text": f'{title} on a table, "front"',
        "Gift Card": "false",
        "SEO Title": f"{title} | {shop.vendor}",
        "SEO Description": f"{title}: free shipping, 30 days to return.",
        f"{GOOGLE}Google Product Category": shop.category,
        f"{GOOGLE}Condition": "new",
        f"{GOOGLE}Custom Product": "false",
        f"{GOOGLE}Custom Label 0": "spring",
        **names,
    }


def _variants(shop: Shop, number: int, day: int) -> Iterator[dict[str, object]]:
    combinations: list[list[str]] = [[]]
    for values in shop.options.values():
        combinations = [[*found, value] for found in combinations for value in values]
    for at, chosen in enumerate(combinations):
        yield {
            **{f"Option{place} Value": value for place, value in enumerate(chosen, start=1)},
            "Variant SKU": f"{shop.vendor[:2].upper()}-{number:02}{at:02}",
            "Variant Grams": 120 + 15 * at,
            "Variant Inventory Tracker": "shopify",
            "Variant Inventory Qty": (number * 7 + at * 3 + day) % 40,
            "Variant Inventory Policy": "deny",
            "Variant Fulfillment Service": "manual",
            "Variant Price": f"{19 + number}.{90 + at % 10}",
            "Variant Compare At Price": f"{29 + number}.00" if (at + number) % 2 else "",
            "Variant Requires Shipping": "true",
            "Variant Taxable": "true",
            "Variant Barcode": f"0{400638133390 + number * 10 + at}",
            "Variant Weight Unit": "g",
        }
