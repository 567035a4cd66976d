"""What to do with a statement: the result of its translation."""

from __future__ import annotations

from dataclasses import dataclass

from xacct_sandbox.redshift.copy.options import CopyStatement
from xacct_sandbox.redshift.sql.errors import RedshiftError
from xacct_sandbox.redshift.unload.options import UnloadStatement


@dataclass(frozen=True)
class Pass:
    """PostgreSQL runs this text. The client's messages are passed on."""

    sql: str


@dataclass(frozen=True)
class Refuse:
    """An error for the client. An open transaction fails, as with any error."""

    error: RedshiftError


@dataclass(frozen=True)
class Steps:
    """Several PostgreSQL statements that are one statement of Redshift.

    Attributes:
        tag: The command tag the client gets.
        commits: It commits the open transaction (TRUNCATE).
        alone: What is refused inside a transaction block, e.g. VACUUM; None if it is not.
    """

    statements: tuple[str, ...]
    tag: str
    commits: bool = False
    alone: str | None = None


@dataclass(frozen=True)
class SwitchUser:
    """SET SESSION AUTHORIZATION by the sandbox's own user. It cannot be reset."""

    sql: str


Plan = Pass | Refuse | Steps | CopyStatement | UnloadStatement | SwitchUser
