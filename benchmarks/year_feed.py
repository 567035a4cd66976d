"""The products feed once more, begun a year earlier: 365 days to backfill, tables of its own.

Made from the product's own feed and SQL by replacing names, so that what is measured is what is
shipped. It reads the same files as the reference.
"""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parent.parent
FEED = "yearly"
FIRST_DAY = "2025-01-01"


def write(folder: Path) -> Path:
    """The feed as XACCT_EXTRA_FEEDS_DIR wants it; the folder that variable names."""
    source = PROJECT / "xacct_assets" / "defs" / "products" / "defs.yaml"
    target = folder / FEED
    target.mkdir(parents=True)
    (target / "defs.yaml").write_text(renamed_feed(source.read_text(encoding="utf-8")))
    for sql in sorted((PROJECT / "sql" / "products").glob("*.sql")):
        (target / sql.name).write_text(renamed_sql(sql.read_text(encoding="utf-8")))
    return folder


def renamed_feed(text: str) -> str:
    """defs.yaml of products, as the yearly feed's.

    Raises:
        ValueError: the file has changed so that a name is not found.
    """
    for before, after in {
        "name: products\n": f"name: {FEED}\n",
        'start_date: "2026-01-01"': f'start_date: "{FIRST_DAY}"',
        "{database: products_db, table: products}": f"{{database: {FEED}_db, table: {FEED}}}",
        "prefix: products\n": f"prefix: {FEED}\n",
        "public.products_f": f"public.{FEED}_f",
        "public.products\n": f"public.{FEED}\n",
        "public.sp_products": f"public.sp_{FEED}",
        "export: {prefix: products": f"export: {{prefix: {FEED}",
    }.items():
        if before not in text:
            raise ValueError(f"the products feed has no {before!r}: mend benchmarks/year_feed.py")
        text = text.replace(before, after)
    return text


def renamed_sql(text: str) -> str:
    """SQL of products, on the yearly feed's tables."""
    for before, after in {
        "sp_products": f"sp_{FEED}",
        "public.products": f"public.{FEED}",
        "'products'": f"'{FEED}'",
    }.items():
        text = text.replace(before, after)
    return text
