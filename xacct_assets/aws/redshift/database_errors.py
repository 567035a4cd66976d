"""Translates exceptions of the Redshift driver and of the network into typed failures."""

from __future__ import annotations

import re
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import AwsFailure, ConnectionFailed, LoginFailed, StatementFailed
from xacct_assets.contract.conflicts import is_conflict
from xacct_assets.contract.logins import login_fix

#: PostgreSQL's serialization failure and deadlock. Redshift's conflict is error 1023 in the text.
_CONFLICT_CODES = {"40001", "40P01"}
#: The server ended the session or accepts none: administrator, crash, pausing workgroup, too many
#: connections, and the time-outs of idle sessions (outside and inside a transaction).
_LOST_CODES = {"57P01", "57P02", "57P03", "57P05", "25P03", "53300"}
_CONNECTION_CLASS = "08"
_LOGIN_CODES = {"28000", "28P01"}
#: A right that was not granted. Not in a message about IAM, which names an action of AWS.
_NOT_GRANTED = re.compile(r"permission denied for (?:relation|table|schema|procedure|function) ")
_CONFLICT_FIX = "another transaction changed the same rows: try again"


@contextmanager
def database_errors(
    where: str,
    *,
    user: str | None = None,
    secret: str | None = None,
    statement: str = "a statement",
) -> Iterator[None]:
    """Context manager: exceptions of driver and network leave it as `AwsFailure`s.

    Args:
        where: host and port, for messages.
        user: who logs in, for messages.
        secret: the secret with the login, for messages.
        statement: the statement that runs, for messages.
    """
    try:
        yield
    except AwsFailure:
        raise
    except Exception as error:
        response = _server_error(error)
        if response is not None:
            raise _translate_response(response, where, user, secret, statement) from error
        failure = _translate_connection_error(error, where)
        if failure is None:
            raise
        raise failure from error


def _translate_connection_error(error: Exception, where: str) -> AwsFailure | None:
    root = _root(error)
    if isinstance(root, ssl.SSLError):
        return ConnectionFailed(
            f"TLS to Redshift at {where} failed",
            reason=str(root),
            retryable=False,
            fix="the certificate must be valid for the host in the secret and its authority "
            "trusted here (SSL_CERT_FILE names the authorities of the sandbox)",
        )
    if isinstance(root, OSError) or _is_driver_connection_error(error):
        return ConnectionFailed(
            f"the connection to Redshift at {where} was lost",
            reason=_text(error),
            fix="try again; if it stays, check idle time-outs of the network in between, and "
            "that the workgroup is AVAILABLE",
        )
    return None


def _translate_response(
    response: dict[str, str], where: str, user: str | None, secret: str | None, statement: str
) -> AwsFailure:
    """From the fields of the server's ErrorResponse (PostgreSQL protocol, "Error and Notice")."""
    code, message = response.get("C", ""), response.get("M", "")
    text = ". ".join(filter(None, (message, response.get("D"), response.get("H"))))
    if response.get("P"):
        text += f" (at character {response['P']})"
    if code in _LOGIN_CODES:
        return LoginFailed(
            f"Redshift at {where} refused the login of user {user or 'given'}",
            reason=message,
            code=code,
            principal=user,
            resource=secret,
            fix=login_fix(secret, user),
        )
    if code in _LOST_CODES or code.startswith(_CONNECTION_CLASS):
        return ConnectionFailed(f"Redshift at {where} ended the connection", reason=text, code=code)
    conflict = code in _CONFLICT_CODES or is_conflict(text)
    return StatementFailed(
        f"Redshift refused {statement}",
        reason=text,
        code=code,
        retryable=conflict,
        **{"fix": _CONFLICT_FIX if conflict else not_granted_fix(text), **denial_in(text)},
    )


def not_granted_fix(text: str) -> str | None:
    """What to do if the database's message says that the user lacks a right; else None."""
    if not _NOT_GRANTED.search(text):
        return None
    return (
        "run `xacct deploy`, which grants the pipeline's database user what the feeds need; what a "
        "procedure reads beside the feed's own tables must be granted by their owner"
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
