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
    """A database user and its password until ``expiration``."""

    user: str
    expiration: datetime
    next_refresh: datetime
    password: str = field(repr=False)


class CredentialStore:
    """The temporary passwords that have been given out. They are kept in memory only."""

    def __init__(self, control: Control, lock: threading.RLock) -> None:
        self._control = control
        self._lock = lock
        self._by_user: dict[str, TemporaryCredentials] = {}

    def clear(self) -> None:
        """Forget all passwords: the users are gone."""
        self._by_user.clear()

    def for_user(self, user: str, seconds: int) -> TemporaryCredentials:
        """A password for the user that is valid for this many seconds.

        Until its refresh time the same password is given again, so that a second client does not
        invalidate the first one's.
        """
        now = datetime.now(UTC)
        with self._lock:
            current = self._by_user.get(user)
            password = (
                current.password if current and now < current.next_refresh else new_password()
            )
            wanted = now + timedelta(seconds=seconds)
            if current and current.password == password and current.expiration >= wanted:
                return current
            found = TemporaryCredentials(
                user=user,
                expiration=wanted,
                next_refresh=now + timedelta(seconds=seconds / 2),
                password=password,
            )
            self._control.set_user(user, password, valid_until=wanted)
            self._by_user[user] = found
            return found


def database_user(caller_arn: str) -> str:
    """The database user of an IAM identity: ``IAM:user`` or ``IAMR:role``.

    Raises:
        ServiceError: The root user of an account has none.
    """
    kind, _, name = caller_arn.split(":", 5)[5].partition("/")
    if kind == "assumed-role":
        return f"IAMR:{name.partition('/')[0]}"
    if kind == "user":
        return f"IAM:{name.rpartition('/')[2]}"
    raise invalid(f"{caller_arn} has no database user; call as an IAM user or role")


def new_password() -> str:
    """A random password that satisfies Redshift's rules."""
    alphabet = string.ascii_letters + string.digits
    return "Aa1" + "".join(secrets.choice(alphabet) for _ in range(45))
