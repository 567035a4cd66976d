"""Variables of the environment: what their values must look like, and all problems at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """What a value must look like. ``description`` completes "'x' is not …"."""

    pattern: str
    description: str
    example: str

    def matches(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


ACCOUNT_A = Format(r"\d{12}", "12 digits", "111111111111")
ACCOUNT_B = Format(r"\d{12}", "12 digits", "222222222222")
SUFFIX = Format(
    r"[a-z0-9](?:[a-z0-9-]{0,19}[a-z0-9])?",
    "1 to 21 lower-case letters, digits and inner hyphens",
    "dev1",
)
REGION = Format(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}", "an AWS Region", "us-east-1")
WORKGROUP = Format(
    r"[a-z0-9-]{3,64}", "3 to 64 lower-case letters, digits and hyphens", "xacct-dev1"
)
DATABASE = Format(r"[a-z_][a-z0-9_$]{0,63}", "a lower-case database name", "dev")
DATABASE_USER = Format(
    r"[a-z_][a-z0-9_]{0,62}", "a database user (lower-case letters, digits and _)", "xacct_dev1"
)
LOGIN = Format(r"secret|iam", "secret or iam", "iam")
NETWORK = Format("create|own", "create (VPCs are made) or own (yours are used)", "own")
ORCHESTRATOR = Format("create|own", "create (on ECS) or own (your Dagster is used)", "own")
SECRET = Format(r"[\w/+=.@:-]{1,2048}", "the name or ARN of a secret", "xacct/redshift-dev1")
CONNECTION = Format(
    r"[^\s/:]{1,255}",
    "a Glue connection name without spaces, slashes and colons",
    "xacct-redshift-dev1",
)
PROFILE = Format(r"\S(?:.*\S)?", "the name of an AWS profile", "central")
URL = Format(
    r"https?://[^\s/?#]+(?:/[^\s?#]*)?",
    "the address of an AWS Console",
    "https://us-east-1.console.aws.amazon.com",
)
UI_URL = Format(URL.pattern, "the address of the Dagster UI", "https://dagster.example.com")
HOST = Format(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "a host name or address", "127.0.0.1"
)
SWITCH = Format(r"true|false", "true or false", "true")
PRINCIPAL = Format(
    r"arn:aws(?:-[a-z]+)*:iam::\d{12}:(?:root|(?:role|user)/[\w+=,.@/-]+)",
    "the ARN of an IAM role, user or account root (join several with commas)",
    "arn:aws:iam::222222222222:role/engineer",
)
FOLDER = Format(r".+", "a folder that exists", "/srv/our-feeds")


class Variables:
    """Reads variables and collects all problems.

    Args:
        env: name -> value.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._problems: dict[str, str] = {}

    def _get(self, name: str) -> str:
        # An empty variable means the same as one that is not set.
        return self._env.get(name, "").strip()

    def _required(self, name: str, format_: Format) -> str:
        value = self._optional(name, format_)
        if value is None:
            self._problems[name] = (
                f"is required and not set: give {format_.description}, "
                f"e.g. {name}={format_.example}"
            )
        return value or ""

    def _with_default(self, name: str, format_: Format, default: str) -> str:
        return self._optional(name, format_) or default

    def _optional(self, name: str, format_: Format) -> str | None:
        value = self._get(name)
        if value and not format_.matches(value):
            self._refuse(name, value, format_)
        return value or None

    def _refuse(self, name: str, value: str, format_: Format) -> None:
        self._problems[name] = (
            f"{value!r} is not {format_.description}, e.g. {name}={format_.example}"
        )

    def _number(self, name: str, least: int, most: int, *, example: int) -> int | None:
        format_ = Format("[0-9]{1,9}", f"a number from {least} to {most}", str(example))
        value = self._optional(name, format_)
        if value is None or not format_.matches(value):
            return None
        if not least <= int(value) <= most:
            self._refuse(name, value, format_)
        return int(value)

    def _switch(self, name: str) -> bool | None:
        value = self._optional(name, SWITCH)
        return None if value is None else value == "true"

    def _folder(self, name: str) -> Path | None:
        value = self._get(name)
        if not value:
            return None
        path = Path(value).absolute()
        if not path.is_dir():
            self._refuse(name, value, FOLDER)
        return path

    def _list(self, name: str, format_: Format) -> list[str]:
        values = [part.strip() for part in self._get(name).split(",") if part.strip()]
        for value in values:
            if not format_.matches(value):
                self._refuse(name, value, format_)
        return values
