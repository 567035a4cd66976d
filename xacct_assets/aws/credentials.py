"""Credentials that are looked for anew when a service says that they have ended.

botocore renews temporary credentials by the clock, some minutes before their end. It does not when
a service refuses them before: a session that was revoked, a clock that is wrong, a machine that
slept between signing and sending. A new search also finds what was put in place of the old ones
meanwhile, such as keys in a file that something else rotates.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

#: Error codes for credentials that were good once. A wrong signature or an unknown key is none.
_ENDED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})


class RenewableCredentials:
    """Stands before botocore's credentials and can exchange them for others.

    Args:
        found: botocore's credentials.
        search: finds credentials again, from the start; None if there are none any more.
    """

    def __init__(self, found: Any, search: Callable[[], Any]) -> None:
        self._found = found
        self._search = search

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def renew_if_ended(
        self, response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: Any
    ) -> int | None:
        """botocore's ``needs-retry``: the seconds to wait before the request is made again.

        None leaves the matter to botocore's own rule. A request is repeated once: credentials that
        are refused when they are new will not be accepted later.
        """
        # Not every "Error" is botocore's: the Data API tells a statement's by that name, as text.
        error = None if response is None else response[1].get("Error")
        code = error.get("Code", "") if isinstance(error, dict) else ""
        if code not in _ENDED or attempts > 1:
            return None
        found = self._search()
        if found is None:
            return None
        logger.warning("the credentials in use have ended (%s); new ones are used", code)
        self._found = found
        return 0


def install(session: Any, found: Any, search: Callable[[], Any]) -> RenewableCredentials | None:
    """Have a botocore session that has made no client yet use these credentials, and renew them.

    Args: those of `RenewableCredentials`; `found` may be None, then so is the answer.
    """
    if found is None:
        return None
    credentials = RenewableCredentials(found, search)
    session.register_component("credential_provider", _Only(credentials))
    return credentials


class _Only:
    """A botocore credential resolver that knows of one set of credentials."""

    def __init__(self, credentials: RenewableCredentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> RenewableCredentials:
        return self._credentials
