"""A load request as JSON, as the orchestrator sends it."""

from __future__ import annotations

from typing import Any

from xacct_assets.contract import CONTRACT_VERSION


def request_json() -> dict[str, Any]:
    """A request for two days of products; a new one each time, to be changed by tests."""
    return {
        "contract_version": CONTRACT_VERSION,
        "feed": "products",
        "load_id": "w-1",
        "days": [
            {"day": "2026-01-01", "values": ["2026", "01", "01"], "rows": None},
            {"day": "2026-01-02", "values": ["2026", "01", "02"], "rows": None},
        ],
        "catalog": {"database": "products_db", "table": "products"},
        "source": {
            "delimiter": ",",
            "quote": '"',
            "escape": '"',
            "encoding": "utf-8",
            "pattern": ["*.csv", "*.csv.gz"],
        },
        "columns": [
            {"name": "id", "type": "bigint", "nullable": False},
            {"name": "name", "type": "varchar(256)", "nullable": False},
            {"name": "price", "type": "decimal(12,2)", "nullable": True},
        ],
        "key": ["id"],
        "trailing_blanks": "reject",
        "staging": {"table": "public.products", "load_audit": "public.xacct_load_audit"},
        "connection": "xacct-redshift",
        "database": "dev",
        "tmp_dir": "s3://working/glue-tmp/products/w-1/",
        "copy_role": "arn:aws:iam::222222222222:role/RoleB",
        "rejects": "s3://working/rejects/products/",
        "header": [],
        "splittable_files": [],
    }
