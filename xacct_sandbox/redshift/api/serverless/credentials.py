"""Temporary passwords: an IAM identity becomes a database user."""

from __future__ import annotations

import secrets
import string
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from xacct_sandbox.redshift.api.control import Control
from xacct_sandbox.redshift.api.serverless.checks import invalid


@dataclass(frozen=True)
class TemporaryCredentials:
    """A database user and its password until ``expiration``.

    Attributes:
        next_refresh: until then, the same request gets the same password.
        seconds: for which it was asked to be valid.
    """

    user: str
    expiration: datetime
    next_refresh: datetime
    seconds: float
    password: str = field(repr=False)


class CredentialStore:
    """The temporary passwords that have been given out. Here, they are kept in memory only.

    A password is valid until it expires, whatever is given out after it.
    """

    def __init__(self, control: Control, lock: threading.RLock) -> None:
        self._control = control
        self._lock = lock
        self._by_user: dict[str, TemporaryCredentials] = {}

    def clear(self) -> None:
        """Forget all passwords: the users are gone."""
        self._by_user.clear()

    def for_user(self, user: str, seconds: float) -> TemporaryCredentials:
        """A password for the user that is valid for this many seconds, or was when it was given.

        Until its refresh time the same password is given again.
        """
        now = datetime.now(UTC)
        with self._lock:
            current = self._by_user.get(user)
            if (
                current
                and now < current.next_refresh
                and seconds == current.seconds
                and self._control.user_exists(user)
            ):
                return current
            found = TemporaryCredentials(
                user=user,
                expiration=now + timedelta(seconds=seconds),
                next_refresh=now + timedelta(seconds=seconds / 2),
                seconds=seconds,
                password=new_password(),
            )
            self._control.add_temporary_password(user, found.password, found.expiration)
            self._by_user[user] = found
            return found


def database_user(caller_arn: str) -> str:
    """The database user of an IAM identity: ``IAM:user`` or ``IAMR:role``.

    Raises:
        ServiceError: The root user of an account has none.
    """
    user = user_of(caller_arn)
    if user is None:
        raise invalid(f"{caller_arn} has no database user; call as an IAM user or role")
    return user


def user_of(caller_arn: str) -> str | None:
    """The database user of an IAM identity; None for an account's root user."""
    kind, _, name = caller_arn.split(":", 5)[5].partition("/")
    if kind == "assumed-role":
        return f"IAMR:{name.partition('/')[0]}"
    return f"IAM:{name.rpartition('/')[2]}" if kind == "user" else None


def new_password() -> str:
    """A random password that satisfies Redshift's rules."""
    alphabet = string.ascii_letters + string.digits
    return "Aa1" + "".join(secrets.choice(alphabet) for _ in range(45))
