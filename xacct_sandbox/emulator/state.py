"""Persistent state: that of each service, of STS sessions, and of the sandbox's own services."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from xacct_sandbox.emulator.loader import Emulator, booted, caller_key

SESSIONS = "xacct-sts-sessions"
"""Key of the state of STS sessions."""

SERIALIZE_ATTEMPTS = 20


def scoped_state(name: str) -> MutableMapping[str, Any]:
    """A persistent mapping, separate for each account and region.

    An assignment ``state[key] = value`` is saved within a fraction of a second. A change inside a
    value is not noticed: assign the value again.

    Args:
        name: of the mapping; the same name returns the same mapping.

    Returns:
        A mapping whose values must be JSON values.
    """
    emulator = booted()
    key = f"xacct-{name}"
    if key not in emulator.state:
        state = _scoped_state_class(emulator)()
        restored = emulator.persistence.load_state(key)
        if restored is not None:
            state._data.update(restored._data)
        state.saved_as = key
        emulator.state[key] = state
    mapping: MutableMapping[str, Any] = emulator.state[key]
    return mapping


@functools.cache
def _scoped_state_class(emulator: Emulator) -> type[Any]:
    class ScopedState(emulator.responses.AccountRegionScopedDict):  # type: ignore[misc, name-defined]
        """ministack's scoped dictionary; a change marks it to be saved."""

        saved_as = ""

        def __setitem__(self, key: str, value: object) -> None:
            super().__setitem__(key, value)
            emulator.snapshots.mark([self.saved_as])

        def __delitem__(self, key: str) -> None:
            super().__delitem__(key)
            emulator.snapshots.mark([self.saved_as])

        def pop(self, key: str, *default: object) -> object:
            value = super().pop(key, *default)
            emulator.snapshots.mark([self.saved_as])
            return value

        def setdefault(self, key: str, default: object = None) -> object:
            value = super().setdefault(key, default)
            emulator.snapshots.mark([self.saved_as])
            return value

        def update(self, other: Any = (), /, **items: object) -> None:
            for key, value in {**dict(other), **items}.items():
                self[key] = value

    return ScopedState


def _state_of(emulator: Emulator, key: str) -> object:
    if key == SESSIONS:
        return dict(emulator.sts._sessions)
    if key in emulator.state:
        return emulator.state[key]
    return emulator.app._build_persistence_save_dict()[key]()


def write_state(emulator: Emulator, key: str) -> None:
    """Saves the state with this key in ministack's own format.

    ministack's ``save_state`` writes the same, but many times slower (it streams), and it logs a
    failure instead of raising it.

    Raises:
        OSError: the file cannot be written.
    """
    text = _serialized(emulator, key)
    if text is None:
        return
    path = Path(emulator.persistence.STATE_DIR) / f"{key}.json"
    digest = hashlib.sha256(text.encode()).digest()
    if _last_written.get(key) == digest and path.exists():
        return
    partial = path.with_name(f"{key}.json.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)
    _last_written[key] = digest


def _serialized(emulator: Emulator, key: str) -> str | None:
    """The state as JSON text; None if there is none."""
    for attempt in range(SERIALIZE_ATTEMPTS):
        try:
            state = _state_of(emulator, key)
            if state is None:
                return None
            return json.dumps(
                {
                    "__ministack_format__": emulator.persistence._state_format_version(key),
                    "payload": state,
                },
                default=emulator.persistence._json_default,
            )
        except RuntimeError:
            # "dictionary changed size during iteration": a request changed the state meanwhile.
            if attempt == SERIALIZE_ATTEMPTS - 1:
                raise
            time.sleep(0.002)
    return None


_last_written: dict[str, bytes] = {}
"""Digest of each state as it was last written, to skip writes that change nothing."""


def restore_sessions(emulator: Emulator) -> None:
    """Restores STS sessions, which ministack forgets at a restart: keys are valid for an hour."""
    restored = emulator.persistence.load_state(SESSIONS) or {}
    now = time.time()
    emulator.sts._sessions.update(
        {key: session for key, session in restored.items() if session.get("Expiration", 0) > now}
    )


_READ_ONLY = re.compile(r"^(Get|List|Describe|Head|BatchGet|Search|Filter|Query|Validate|Lookup)")

_QUERY_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")


def watch_changes(emulator: Emulator) -> None:
    """Saves the state of a service after each request that may have changed it."""
    registry = emulator.app.SERVICE_REGISTRY
    for name, handler in list(emulator.app.SERVICE_HANDLERS.items()):
        entry = registry[name]
        keys = {entry.get("state_key", entry["module"]), *entry.get("sub_modules", ())}
        if name == "sts":
            keys = {SESSIONS}
        emulator.app.SERVICE_HANDLERS[name] = observed(emulator, handler, frozenset(keys))

    add_event = emulator.stacks._add_event

    def add_event_and_save(*args: Any, **kwargs: Any) -> Any:
        # A stack changes resources of many services, in the background.
        emulator.snapshots.mark(state_keys(emulator))
        return add_event(*args, **kwargs)

    emulator.stacks._add_event = add_event_and_save


def observed(
    emulator: Emulator, handler: Callable[..., Awaitable[Any]], keys: frozenset[str]
) -> Callable[..., Awaitable[Any]]:
    """Wraps the handler of a service: keeps the caller's key, and marks its state for saving.

    Args:
        emulator: of this process.
        handler: of the service.
        keys: of the service's state.
    """

    async def observed_handler(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        caller_key.set(emulator.router.extract_access_key_id(headers, query) or "")
        try:
            return await handler(method, path, headers, body, query)
        finally:
            if _may_change(method, headers, body):
                emulator.snapshots.mark(keys)

    return observed_handler


def _may_change(method: str, headers: dict[str, str], body: bytes) -> bool:
    target = headers.get("x-amz-target", "")
    if target:
        return not _READ_ONLY.match(target.rpartition(".")[2])
    # Only a form has an Action; the body of an upload may be long.
    is_form = "x-www-form-urlencoded" in headers.get("content-type", "")
    action = _QUERY_ACTION.search(body) if method == "POST" and is_form else None
    if action:
        return not _READ_ONLY.match(action[1].decode())
    return method not in ("GET", "HEAD", "OPTIONS")


def state_keys(emulator: Emulator) -> set[str]:
    """The keys of all state."""
    return {*emulator.app._build_persistence_save_dict(), *emulator.state, SESSIONS}
