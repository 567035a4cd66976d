"""Takes the sandbox's secrets out of a page."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from html import escape

from xacct_sandbox.daemon.config import SandboxConfig

HIDDEN = "***"

_SECRET_NAME = re.compile(r"password|secret|token|credential|private.?key", re.IGNORECASE)
# Also a literal that was cut off before its end.
_SECRET_LITERAL = re.compile(
    r"(?is)(?<!['\w])((?:password|credentials|secret_access_key|session_token|access_key_id)"
    r"(?:\s+as)?\s*)'(?:[^'\\]|\\.|'')*'?"
)


def argument(name: str, value: str) -> str:
    """The value of a job argument, hidden if its name says that it is a secret."""
    return HIDDEN if _SECRET_NAME.search(name) else value


def sql(text: str) -> str:
    """SQL without the literals that are passwords or keys."""
    return _SECRET_LITERAL.sub(rf"\1'{HIDDEN}'", text)


def without_secrets(page: str, config: SandboxConfig) -> str:
    """The page without the sandbox's own secrets: its token and the keys of its users."""
    for secret in _secrets(config):
        page = page.replace(secret, HIDDEN).replace(escape(secret), HIDDEN)
    return page


def _secrets(config: SandboxConfig) -> Iterator[str]:
    if config.token_path.exists():
        yield config.token_path.read_text(encoding="ascii").strip()
    credentials = configparser.RawConfigParser()
    credentials.read(config.aws_credentials_file, encoding="utf-8")
    for profile in credentials.sections():
        yield credentials[profile]["aws_secret_access_key"]
