"""The KMS keys of an installation: of its buckets, its secrets and its log groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

CREATE = "create"
"""The value that has the templates make a key."""
KeyKind = Literal["input", "export", "processing", "secret", "log"]
#: The keys of account A; the others are account B's.
IN_ACCOUNT_A: tuple[KeyKind, ...] = ("input", "export")
#: Beginnings of the aliases of keys that the templates make; the suffix follows.
ALIASES: dict[KeyKind, str] = {
    "input": "alias/xacct-raw",
    "export": "alias/xacct-export",
    "processing": "alias/xacct-processing",
    "secret": "alias/xacct-login",
    "log": "alias/xacct-logs",
}

_KEY = re.compile(r"arn:aws(?:-[a-z]+)*:kms:([a-z0-9-]+):(\d{12}):key/[\w-]+")


@dataclass(frozen=True)
class Keys:
    """Each is empty (keys of AWS), `CREATE`, or the ARN of a key that exists.

    Attributes:
        input, export: of the buckets in account A.
        processing: of the working bucket in account B.
        secret: of the secrets that the templates make.
        log: of the log groups that the templates make.
    """

    input: str = ""
    export: str = ""
    processing: str = ""
    secret: str = ""
    log: str = ""

    def parameters(self, *names: str) -> dict[str, str]:
        """The template parameters of these keys."""
        return {f"{name.title()}Key": getattr(self, name) for name in names}


NO_KEYS = Keys()


def read_keys(
    env: Mapping[str, str], region: str, accounts: Mapping[str, str]
) -> tuple[Keys, dict[str, str]]:
    """The keys that the environment names.

    Args:
        env: the environment.
        region: in which keys must be.
        accounts: id of the account by its letter, ``a`` and ``b``.

    Returns:
        The keys, and what is wrong with a variable, by its name.
    """
    values, problems = {}, {}
    for field in fields(Keys):
        variable = f"XACCT_{field.name.upper()}_KEY"
        value = env.get(variable, "").strip()
        values[field.name] = value
        if value in ("", CREATE):
            continue
        owner = accounts["a" if field.name in IN_ACCOUNT_A else "b"]
        found = _KEY.fullmatch(value)
        example = f"{variable}=create or {variable}=arn:aws:kms:{region}:{owner}:key/1234abcd-…"
        if found is None:
            problems[variable] = (
                f"{value!r} is not the ARN of a KMS key (an alias or an id would be another key in "
                f"another account), e.g. {example}"
            )
        elif (found[1], found[2]) != (region, owner):
            problems[variable] = (
                f"{value!r} is not a key of account {owner} in {region}, e.g. {example}"
            )
    return Keys(**values), problems
