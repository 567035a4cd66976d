"""Defects of dagster-aws as a whole."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import xacct_assets
from xacct_assets.aws.sessions import Sessions

ROLE = "arn:aws:iam::111111111111:role/reader"
PACKAGE = Path(xacct_assets.__file__).parent


def test_any_client_can_be_had_as_a_role_of_another_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No resource of dagster-aws can assume a role: another account is out of its reach."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIABASE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    sessions = Sessions("us-east-1")
    asked: list[str] = []

    def assume(params: dict[str, Any], **_: Any) -> Any:
        asked.append(params["body"]["RoleArn"])
        credentials = {
            "AccessKeyId": "ASIAROLE",
            "SecretAccessKey": "x",
            "SessionToken": "y",
            "Expiration": datetime.now(UTC) + timedelta(hours=1),
        }
        return type("Http", (), {"status_code": 200}), {"Credentials": credentials}

    sessions.client("sts").meta.events.register("before-call.sts.AssumeRole", assume)
    for service in ("s3", "sts"):
        signed = sessions.client(service, role_arn=ROLE).generate_presigned_url(
            {"s3": "list_buckets", "sts": "get_caller_identity"}[service]
        )
        assert "ASIAROLE" in signed
    assert asked == [ROLE], "assumed once, and used by every client of the role"


def test_nothing_imports_dagster_aws() -> None:
    """Importing any module of dagster_aws costs 1.2 s and 50 MB in every process."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert [n for n in names if n.split(".")[0] == "dagster_aws"] == [], path
