"""The account, region and caller of the current request, also in other threads."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xacct_sandbox.emulator.loader import as_service, booted, caller_key


def account_id() -> str:
    """The account of the current request."""
    return str(booted().responses.get_account_id())


def region() -> str:
    """The region of the current request."""
    return str(booted().responses.get_region())


def caller_arn() -> str:
    """The principal of the current request; the root of the account if the service itself calls."""
    return str(booted().evaluator.caller_arn())


@contextmanager
def acting_in(account: str, region_name: str | None = None) -> Iterator[None]:
    """Within the context, the service itself calls, in this account and region."""
    emulator = booted()
    caller = caller_key.set("")
    service = as_service.set(True)
    try:
        with emulator.responses.request_scope(account, region_name or emulator.config.region):
            yield
    finally:
        as_service.reset(service)
        caller_key.reset(caller)


def start_thread(fn: Callable[..., object], *args: object, name: str) -> threading.Thread:
    """Starts a daemon thread that keeps the account and region of the current request."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(fn, *args), name=name, daemon=True)
    thread.start()
    return thread
