"""The open client connections of the server, and the cancel keys of their sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from xacct_sandbox.redshift.server.identity import Identity


class Client(Protocol):
    """A client connection."""

    identity: Identity

    def end(self) -> None:
        """Close the connection, as a server that shuts down does."""


class SessionRegistry:
    """Finds sessions by cancel key, and ends many at once."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._cancel: dict[bytes, Callable[[], Awaitable[None]]] = {}

    def add(self, client: Client) -> None:
        self._clients.add(client)

    def remove(self, client: Client) -> None:
        self._clients.discard(client)

    def add_key(self, key: bytes, cancel: Callable[[], Awaitable[None]]) -> None:
        """Register the function that serves CancelRequests with this key."""
        self._cancel[key] = cancel

    def remove_key(self, key: bytes) -> None:
        self._cancel.pop(key, None)

    async def cancel(self, key: bytes) -> None:
        """Cancel the statement of the session with this key, if there is one."""
        cancel = self._cancel.get(key)
        if cancel is not None:
            await cancel()

    def end_all(self) -> None:
        for client in list(self._clients):
            client.end()

    def end_others(self, caller: Client) -> None:
        """End every connection but the caller's and those of the sandbox itself."""
        for client in list(self._clients):
            if client is not caller and not client.identity.is_superuser:
                client.end()
