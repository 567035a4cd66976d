"""Logins to Redshift that are refused while the user's password is being rotated.

A rotation changes the password in the database and in the secret, one shortly after the other.
Between the two, Redshift refuses what the secret holds (Secrets Manager guide, "Lambda function
rotation strategies": an application needs a retry strategy; "Managed rotation" typically takes up
to a minute). The job script, the Data API client and the wire client all log in.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds for which a refused login is tried again.
ROTATION_WINDOW = 90.0
#: First and longest pause between two attempts, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0

# Redshift's message for a wrong password and for an unknown user.
_REFUSED = re.compile(r'password authentication failed(?: for user "(?P<user>[^"]*)")?', re.I)


def is_login_refused(text: str | None) -> bool:
    """True if the error message says that Redshift refused user or password."""
    return bool(_REFUSED.search(text or ""))


def refused_user(text: str) -> str | None:
    """The user whose login was refused, if the error message names one."""
    found = _REFUSED.search(text)
    return found["user"] if found else None


def is_iam_user(user: str | None) -> bool:
    """Whether a database user is an IAM identity: ``IAM:user`` or ``IAMR:role``."""
    return bool(user) and str(user).upper().startswith(("IAM:", "IAMR:"))


def login_fix(secret: str | None, user: str | None = None) -> str:
    """What to do about a login that stays refused.

    Args:
        secret: name or ARN of the secret with the login; None if it is from the environment.
        user: who logged in; an IAM identity has a temporary password.
    """
    if is_iam_user(user):
        return (
            "its password is temporary and was given a moment ago, so it is not a wrong one: see "
            f'whether the database user "{user}" may log in (VALID UNTIL and CONNECTION LIMIT in '
            "pg_user), and whether the host is that of the workgroup that gave the password; "
            "then run `xacct doctor`"
        )
    place = f"secret {secret}" if secret else "the environment (XACCT_REDSHIFT_*)"
    return (
        f"{place} and the database hold different passwords. Store the right one there, or set it "
        "in the database (ALTER USER … PASSWORD …; for the admin user: aws redshift-serverless "
        "update-namespace), then try again. If it was rotated just now, only try again"
    )


def retry_refused_login(
    log_in: Callable[[], T],
    is_refused: Callable[[Exception], bool],
    *,
    window: float = ROTATION_WINDOW,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Log in, and try again while the password may be being rotated.

    The second attempt follows at once: a password that was read earlier may be an old one.

    Args:
        log_in: reads the secret and logs in. Nothing of a refused attempt is kept.
        is_refused: whether the failure is a refused login.
        window: seconds for which further attempts are made.
        sleep, clock: for tests.

    Raises:
        Exception: a failure of another kind, or the refusal after the window.
    """
    began = clock()
    pause = 0.0
    while True:
        try:
            return log_in()
        except Exception as failure:
            if not is_refused(failure) or (pause and clock() - began + pause > window):
                raise
            if pause == FIRST_PAUSE:
                logger.warning(
                    "Redshift refused a login; its password may be being rotated, so it is tried "
                    "again for up to %.0f s",
                    window,
                )
        if pause:
            sleep(pause)
        pause = min(LONGEST_PAUSE, 2 * pause) or FIRST_PAUSE
