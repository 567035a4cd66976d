"""Credentials that are looked up again when a service says that they have expired.

botocore refreshes temporary credentials by the clock, some minutes before they expire. It does not
if a service refuses them earlier: after a session was revoked, with a wrong clock, or on a machine
that was suspended between signing and sending. The new search also finds replaced credentials, such
as keys in a file that another program rotates.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.session import Session

logger = logging.getLogger(__name__)

#: Error codes for credentials that were valid once; not for wrong signatures or unknown keys.
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})


class RenewableCredentials:
    """Wraps botocore's credentials and can replace them.

    Args:
        found: botocore's credentials.
        search: looks credentials up again; returns None if there are none any more.
    """

    def __init__(self, found: Any, search: Callable[[], Any]) -> None:
        self._found = found
        self._search = search

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def renew_if_expired(
        self, response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: Any
    ) -> int | None:
        """Handler of botocore's event ``needs-retry``.

        A request is repeated once: new credentials that are refused will not be accepted later.

        Returns:
            Seconds to wait before the request is repeated; None to apply botocore's own rule.
        """
        # "Error" need not be a dict: the Data API uses the name for a statement's error text.
        error = None if response is None else response[1].get("Error")
        code = error.get("Code", "") if isinstance(error, dict) else ""
        if code not in _EXPIRED or attempts > 1:
            return None
        found = self._search()
        if found is None:
            return None
        logger.warning("the credentials have expired (%s); new ones are used", code)
        self._found = found
        return 0


def install(session: Session, found: Any, search: Callable[[], Any]) -> RenewableCredentials | None:
    """Make a botocore session use these credentials, and renew them.

    Args:
        session: one that has made no client yet.
        found: botocore's credentials; None leaves the session as it is.
        search: looks credentials up again; returns None if there are none any more.

    Returns:
        The credentials that the session uses now; None if there are none.
    """
    if found is None:
        return None
    credentials = RenewableCredentials(found, search)
    session.register_component("credential_provider", _SingleResolver(credentials))
    return credentials


class _SingleResolver:
    """A botocore credential resolver with one set of credentials."""

    def __init__(self, credentials: RenewableCredentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> RenewableCredentials:
        return self._credentials
