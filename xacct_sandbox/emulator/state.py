# ruff: noqa: SLF001 -- reaching into the emulator is what this package is for
"""State that survives a kill: each service's own, STS sessions, and that of our services."""

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


def scoped_state(name: str) -> MutableMapping[str, Any]:
    """A mapping per account and region, saved with the rest; asked for twice, the same one.

    Values are what JSON holds. Assign to save: ``state[key] = value`` has it written within a
    fraction of a second; a change inside a value is not seen.
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
    return emulator.state[key]


@functools.cache
def _scoped_state_class(emulator: Emulator) -> type[Any]:
    class ScopedState(emulator.responses.AccountRegionScopedDict):  # type: ignore[misc, name-defined]
        """ministack's scoped dictionary, saved on change."""

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

        def update(self, other: Any = (), /, **more: object) -> None:
            for key, value in {**dict(other), **more}.items():
                self[key] = value

    return ScopedState


def _state_of(emulator: Emulator, key: str) -> object:
    if key == SESSIONS:
        return dict(emulator.sts._sessions)
    if key in emulator.state:
        return emulator.state[key]
    return emulator.app._build_persistence_save_dict()[key]()


def write_state(emulator: Emulator, key: str) -> None:
    """Save one state in ministack's own format.

    Its ``save_state`` writes the same, but through a stream, many times slower, and logs what
    fails instead of raising it.
    """
    for attempt in range(20):
        try:
            state = _state_of(emulator, key)
            if state is None:
                return
            text = json.dumps(
                {
                    "__ministack_format__": emulator.persistence._state_format_version(key),
                    "payload": state,
                },
                default=emulator.persistence._json_default,
            )
            break
        except RuntimeError:
            # "dictionary changed size during iteration": a request got in between.
            if attempt == 19:
                raise
            time.sleep(0.002)
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


_last_written: dict[str, bytes] = {}


def restore_sessions(emulator: Emulator) -> None:
    """ministack forgets sessions at a restart; a client keeps its keys for an hour."""
    restored = emulator.persistence.load_state(SESSIONS) or {}
    now = time.time()
    emulator.sts._sessions.update(
        {key: session for key, session in restored.items() if session.get("Expiration", 0) > now}
    )


_READ_ONLY = re.compile(r"^(Get|List|Describe|Head|BatchGet|Search|Filter|Query|Validate|Lookup)")

_QUERY_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")


def watch_changes(emulator: Emulator) -> None:
    """After each request that may have changed something, have that service's state saved."""
    registry = emulator.app.SERVICE_REGISTRY
    for name, handler in list(emulator.app.SERVICE_HANDLERS.items()):
        entry = registry[name]
        keys = {entry.get("state_key", entry["module"]), *entry.get("sub_modules", ())}
        if name == "sts":
            keys = {SESSIONS}
        emulator.app.SERVICE_HANDLERS[name] = observed(emulator, handler, frozenset(keys))

    add_event = emulator.stacks._add_event

    def noted_event(*args: Any, **kwargs: Any) -> Any:
        # A stack changes resources of many services, in the background.
        emulator.snapshots.mark(state_keys(emulator))
        return add_event(*args, **kwargs)

    emulator.stacks._add_event = noted_event


def observed(
    emulator: Emulator, handler: Callable[..., Awaitable[Any]], keys: frozenset[str]
) -> Callable[..., Awaitable[Any]]:
    async def observed(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        caller_key.set(emulator.router.extract_access_key_id(headers, query) or "")
        try:
            return await handler(method, path, headers, body, query)
        finally:
            if _may_change(method, headers, body):
                emulator.snapshots.mark(keys)

    return observed


def _may_change(method: str, headers: dict[str, str], body: bytes) -> bool:
    target = headers.get("x-amz-target", "")
    if target:
        return not _READ_ONLY.match(target.rpartition(".")[2])
    # Only a form holds an Action: the body of an upload is data, and may be long.
    is_form = "x-www-form-urlencoded" in headers.get("content-type", "")
    action = _QUERY_ACTION.search(body) if method == "POST" and is_form else None
    if action:
        return not _READ_ONLY.match(action[1].decode())
    return method not in ("GET", "HEAD", "OPTIONS")


def state_keys(emulator: Emulator) -> set[str]:
    """The keys of everything that may hold state: what a stack made was never asked for by name."""
    return {*emulator.app._build_persistence_save_dict(), *emulator.state, SESSIONS}
