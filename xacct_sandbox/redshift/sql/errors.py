"""Errors as Redshift reports them, and the translation of PostgreSQL's errors where they differ.

The texts are from reports of real clusters (driver issue trackers, AWS documentation).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# SQLSTATEs of the errors that the sandbox itself reports.
FEATURE_NOT_SUPPORTED = "0A000"
INTERNAL_ERROR = "XX000"
SYNTAX_ERROR = "42601"
INSUFFICIENT_PRIVILEGE = "42501"
QUERY_CANCELED = "57014"
INVALID_AUTHORIZATION = "28000"
WRONG_CREDENTIALS = "28P01"
CANNOT_CONNECT_NOW = "57P03"
DATATYPE_MISMATCH = "42804"
STRING_TOO_LONG = "22001"
IN_FAILED_TRANSACTION = "25P02"
UNDEFINED_COLUMN = "42703"
INVALID_BYTE_SEQUENCE = "22021"

_DENIED_TABLE = re.compile(r"^(permission denied for|must be owner of) (?:table|view) ")
_BYTE_CHECK = re.compile(r"^\$bytes:(?P<attnum>\d+):(?P<kind>varchar|char):(?P<size>\d+)$")
_TABLE_IN_DETAIL = re.compile(r"relation (\d+)")


class RedshiftError(Exception):
    """An error response for the client."""

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str = INTERNAL_ERROR,
        detail: str | None = None,
        hint: str | None = None,
        severity: str = "ERROR",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        self.severity = severity

    def fields(self) -> dict[str, str]:
        """The fields of an ErrorResponse message, keyed by their protocol letter."""
        fields = {"S": self.severity, "V": self.severity, "C": self.sqlstate, "M": self.message}
        if self.detail:
            fields["D"] = self.detail
        if self.hint:
            fields["H"] = self.hint
        return fields


class BackendError(RedshiftError):
    """An error that PostgreSQL reported for a statement of the sandbox itself."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(
            fields.get("M", "unknown error"),
            sqlstate=fields.get("C", INTERNAL_ERROR),
            detail=fields.get("D"),
            hint=fields.get("H"),
            severity=fields.get("S", "ERROR"),
        )
        self.backend_fields = dict(fields)

    def fields(self) -> dict[str, str]:
        return translate(self.backend_fields) or self.backend_fields


def not_supported(what: str, fix: str, *, where: str = "Redshift") -> RedshiftError:
    """The error for something that ``where`` does not have.

    Args:
        what: What was asked for.
        fix: What to do instead.
    """
    return RedshiftError(
        f"{what} is not supported by {where}", sqlstate=FEATURE_NOT_SUPPORTED, hint=fix
    )


def sandbox_lacks(what: str, fix: str) -> RedshiftError:
    """The error for something that Redshift has and the sandbox does not."""
    return not_supported(what, fix, where="the sandbox (Redshift has it)")


def invalid_utf8() -> RedshiftError:
    return RedshiftError(
        'invalid byte sequence for encoding "UTF8"', sqlstate=INVALID_BYTE_SEQUENCE
    )


def translate(fields: Mapping[str, str]) -> dict[str, str] | None:
    """PostgreSQL's error fields as Redshift reports them; None if they are the same."""
    code = fields.get("C", "")
    if code == "23514":
        return _byte_overflow(fields)
    if code == "40001":
        # Redshift reports write conflicts as error 1023, class XX000. PostgreSQL has no
        # counterpart of the transaction numbers in its DETAIL.
        return {
            "S": fields.get("S", "ERROR"),
            "V": "ERROR",
            "C": INTERNAL_ERROR,
            "M": "1023",
            "D": "Serializable isolation violation on table - "
            f"{_conflict_table(fields)}, transactions forming the cycle are: unknown"
            f" ({fields.get('M', '')})",
            "H": "Retry the whole transaction.",
        }
    if code == "2D000":
        translated = dict(fields)
        translated["M"] = (
            "COMMIT, ROLLBACK or TRUNCATE cannot be invoked from a procedure that is executing"
            " in an atomic context"
        )
        translated["H"] = "Call the procedure outside of a transaction block."
        return translated
    if code == INSUFFICIENT_PRIVILEGE and "COPY from a file" in fields.get("M", ""):
        translated = dict(fields)
        translated["C"] = FEATURE_NOT_SUPPORTED
        translated["M"] = "COPY inside a stored procedure is not supported by the sandbox"
        translated["H"] = "Run COPY as a statement of its own."
        translated.pop("D", None)
        return translated
    if code == INSUFFICIENT_PRIVILEGE:
        # Redshift calls tables and views relations here, as PostgreSQL 8 did.
        message = _DENIED_TABLE.sub(r"\1 relation ", fields.get("M", ""))
        return {**fields, "M": message}
    return None


def byte_check(constraint_name: str) -> tuple[int, str, int] | None:
    """The meaning of the name of a byte-length check (``sql/internal.sql``).

    Returns:
        Column number, PostgreSQL's name of the type and its length in bytes; None for any other
        constraint.
    """
    match = _BYTE_CHECK.match(constraint_name)
    if match is None:
        return None
    kind = "character varying" if match["kind"] == "varchar" else "character"
    return int(match["attnum"]), kind, int(match["size"])


def _byte_overflow(fields: Mapping[str, str]) -> dict[str, str] | None:
    check = byte_check(fields.get("n", ""))
    if check is None:
        return None
    _, kind, size = check
    translated = {
        key: value for key, value in fields.items() if key not in {"D", "n", "C", "M", "H"}
    }
    translated["C"] = STRING_TOO_LONG
    translated["M"] = f"value too long for type {kind}({size})"
    return translated


def _conflict_table(fields: Mapping[str, str]) -> str:
    named = fields.get("t")
    if named:
        return named
    match = _TABLE_IN_DETAIL.search(fields.get("D", ""))
    return match[1] if match else "unknown"
