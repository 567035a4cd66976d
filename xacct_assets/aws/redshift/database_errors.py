"""Translates exceptions of the Redshift driver and of the network into typed failures."""

from __future__ import annotations

import ssl
import struct
from types import TracebackType

from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import AwsFailure, ConnectionFailed, LoginFailed, StatementFailed
from xacct_assets.contract.conflicts import is_conflict

#: PostgreSQL's serialization failure and deadlock. Redshift's conflict is error 1023 in the text.
_CONFLICT_CODES = {"40001", "40P01"}
#: The server ended the session or accepts none: administrator, crash, pausing workgroup, too many
#: connections, and the time-outs of idle sessions (outside and inside a transaction).
_LOST_CODES = {"57P01", "57P02", "57P03", "57P05", "25P03", "53300"}
_CONNECTION_CLASS = "08"
_LOGIN_CODES = {"28000", "28P01"}
_CONFLICT_FIX = "another transaction changed the same rows: try again"


class database_errors:
    """Context manager: exceptions of driver and network leave it as `AwsFailure`s.

    Args:
        where: host and port, for messages.
        user: who logs in, for messages.
        statement: the statement that runs, for messages.
    """

    def __init__(
        self, where: str, *, user: str | None = None, statement: str = "a statement"
    ) -> None:
        self._where = where
        self._user = user
        self._statement = statement

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, AwsFailure):
            return
        failure = self._translate(error)
        if failure is not None:
            raise failure from error

    def _translate(self, error: BaseException) -> AwsFailure | None:
        details = _server_error(error)
        if details is not None:
            return self._translate_response(details)
        root = _root(error)
        if isinstance(root, ssl.SSLError):
            return ConnectionFailed(
                f"TLS to Redshift at {self._where} failed",
                reason=str(root),
                retryable=False,
                fix="the certificate must be valid for the host in the secret and its authority "
                "trusted here (SSL_CERT_FILE names the authorities of the sandbox)",
            )
        if isinstance(root, OSError) or _is_driver_connection_error(error):
            return ConnectionFailed(
                f"the connection to Redshift at {self._where} was lost",
                reason=_text(error),
                fix="try again; if it stays, check idle time-outs of the network in between, and "
                "that the workgroup is AVAILABLE",
            )
        return None

    def _translate_response(self, details: dict[str, str]) -> AwsFailure:
        code, message = details.get("C", ""), details.get("M", "")
        text = ". ".join(filter(None, (message, details.get("D"), details.get("H"))))
        if details.get("P"):
            text += f" (at character {details['P']})"
        if code in _LOGIN_CODES:
            return LoginFailed(
                f"Redshift at {self._where} refused the login of user {self._user or 'given'}",
                reason=message,
                code=code,
                principal=self._user,
                fix="the secret and the database disagree: correct the secret, or reset the "
                "user's password (for the admin: aws redshift-serverless update-namespace)",
            )
        if code in _LOST_CODES or code.startswith(_CONNECTION_CLASS):
            return ConnectionFailed(
                f"Redshift at {self._where} ended the connection", reason=text, code=code
            )
        conflict = code in _CONFLICT_CODES or is_conflict(text)
        return StatementFailed(
            f"Redshift refused {self._statement}",
            reason=text,
            code=code,
            retryable=conflict,
            **{"fix": _CONFLICT_FIX if conflict else None, **denial_in(text)},
        )


def _server_error(error: BaseException) -> dict[str, str] | None:
    """The fields of the server's ErrorResponse, if the exception carries one."""
    if type(error).__module__.split(".")[0] != "redshift_connector" or not error.args:
        return None
    details = error.args[0]
    return details if isinstance(details, dict) else None


def _is_driver_connection_error(error: BaseException) -> bool:
    if isinstance(error, struct.error):
        # The driver raises this if the connection ends within a message.
        return True
    return type(error).__module__.split(".")[0] == "redshift_connector" and type(
        error
    ).__name__ in ("InterfaceError", "OperationalError")


def _root(error: BaseException) -> BaseException:
    """The exception of the network inside that of the driver."""
    for argument in error.args:
        if isinstance(argument, OSError):
            return argument
    return error


def _text(error: BaseException) -> str:
    return ": ".join(str(argument) for argument in error.args) or type(error).__name__
