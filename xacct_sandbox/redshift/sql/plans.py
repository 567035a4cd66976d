"""What is to be done with a statement: the outcome of translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xacct_sandbox.redshift.copy.options import CopyStatement
    from xacct_sandbox.redshift.sql.errors import RedshiftError
    from xacct_sandbox.redshift.unload.options import UnloadStatement


@dataclass(frozen=True)
class Pass:
    """PostgreSQL runs this text; the client's protocol flows through untouched."""

    sql: str


@dataclass(frozen=True)
class Refuse:
    """An error for the client; an open transaction fails, as with any error."""

    error: RedshiftError


@dataclass(frozen=True)
class Steps:
    """Several PostgreSQL statements that are one of Redshift's.

    commits: the transaction ends with it (TRUNCATE).
    alone: it cannot run inside a transaction block (VACUUM).
    """

    statements: tuple[str, ...]
    tag: str
    commits: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Copy:
    statement: CopyStatement


@dataclass(frozen=True)
class Unload:
    statement: UnloadStatement


@dataclass(frozen=True)
class SwitchUser:
    """SET SESSION AUTHORIZATION by the sandbox's own user; there is no way back."""

    sql: str


Plan = Pass | Refuse | Steps | Copy | Unload | SwitchUser
