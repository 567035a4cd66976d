"""The job script as a module, with the local `awsglue` it imports; nothing here starts Spark."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.support.project import ROOT

LOCAL = ROOT / "xacct_sandbox" / "glue" / "local"

if str(LOCAL) not in sys.path:
    sys.path.append(str(LOCAL))


def _load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("glue_load_script", ROOT / "glue" / "load.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """``glue/load.py``."""
    return _load_script()


@pytest.fixture
def extras() -> dict[str, Any]:
    """What the orchestrator sends for two days of products."""
    return {
        "feed": "products",
        "load_id": "w-1",
        "days": [
            {"day": "2026-01-01", "values": ["2026", "01", "01"]},
            {"day": "2026-01-02", "values": ["2026", "01", "02"]},
        ],
        "catalog": {"database": "products_db", "table": "products"},
        "source": {
            "delimiter": ",",
            "quote": '"',
            "escape": '"',
            "encoding": "UTF-8",
            "pattern": ["*.csv", "*.csv.gz"],
        },
        "columns": [
            {"name": "id", "type": "bigint", "nullable": False},
            {"name": "name", "type": "varchar(256)", "nullable": False},
            {"name": "price", "type": "decimal(12,2)", "nullable": True},
        ],
        "key": ["id"],
        "staging": {"table": "public.products", "load_audit": "public.xacct_load_audit"},
        "connection": "xacct-redshift",
        "database": "dev",
        "tmp_dir": "s3://working/glue-tmp/products/w-1/",
        "copy_role": "arn:aws:iam::222222222222:role/RoleB",
        "rejects": "s3://working/rejects/products/",
    }


@pytest.fixture
def request_(script: ModuleType, extras: dict[str, Any]) -> Any:
    return script.Request.from_extras(extras)
