"""No page shows a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.console import redaction


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CREATE USER a PASSWORD 'Hidden1x'", "CREATE USER a PASSWORD '***'"),
        ("alter user a\npassword 'it''s' valid", "alter user a\npassword '***' valid"),
        ("ALTER USER a PASSWORD 'cut off at th", "ALTER USER a PASSWORD '***'"),
        (
            "COPY t FROM 's3://b/k' CREDENTIALS AS 'x=y'",
            "COPY t FROM 's3://b/k' CREDENTIALS AS '***'",
        ),
        (
            "... SECRET_ACCESS_KEY 'abc' SESSION_TOKEN 'd'",
            "... SECRET_ACCESS_KEY '***' SESSION_TOKEN '***'",
        ),
        ("SELECT 'password'", "SELECT 'password'"),
    ],
)
def test_literals_that_are_passwords_or_keys_are_hidden(text: str, shown: str) -> None:
    assert redaction.sql(text) == shown


@pytest.mark.parametrize("name", ["--db_password", "--API-TOKEN", "--private-key", "--Secret"])
def test_an_argument_with_the_name_of_a_secret_is_hidden(name: str) -> None:
    assert redaction.argument(name, "value") == "***"
    assert redaction.argument("--load_id", "value") == "value"


def test_the_token_and_the_keys_of_users_are_hidden_also_when_escaped(tmp_path: Path) -> None:
    config = SandboxConfig(home=tmp_path)
    config.token_path.write_text("t0ken\n")
    config.aws_dir.mkdir()
    config.aws_credentials_file.write_text(
        "[developer]\naws_access_key_id = AKIA1\naws_secret_access_key = a&b/c\n"
    )
    page = redaction.without_secrets("<p>t0ken AKIA1 a&amp;b/c a&b/c</p>", config)
    assert page == "<p>*** AKIA1 *** ***</p>"


def test_a_page_is_shown_as_it_is_before_there_are_secrets(tmp_path: Path) -> None:
    assert redaction.without_secrets("page", SandboxConfig(home=tmp_path)) == "page"
