"""The AWS clients can be used without the rest of the pipeline."""

import ast

import pytest

from tests.support.project import ROOT

MODULES = sorted((ROOT / "xacct_assets" / "aws").rglob("*.py"))
ALLOWED = ("xacct_assets.aws", "xacct_assets.contract")


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_an_aws_client_imports_neither_dagster_nor_the_rest_of_the_pipeline(path):
    imported = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            imported.append(node.module or "")
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
    own = [name for name in imported if name.partition(".")[0] == "xacct_assets"]
    assert [name for name in own if not name.startswith(ALLOWED)] == []
    assert [name for name in imported if name.partition(".")[0].startswith("dagster")] == []
