"""The statements of the Data API. The emulator's state keeps them for 24 hours."""

from __future__ import annotations

import threading
import time
from collections.abc import MutableMapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.data_api.requests import (
    MAX_TOKEN_LENGTH,
    caller_identity,
    invalid,
    not_found,
)
from xacct_sandbox.redshift.api.data_api.results import ResultStore
from xacct_sandbox.redshift.api.data_api.statements import (
    ABORTED,
    ENDED,
    FAILED,
    RETENTION_SECONDS,
    TOKEN_SECONDS,
    Live,
    Statement,
)


class StatementStore:
    """Statements by ID and by ClientToken.

    Attributes:
        lock: Held while a statement is submitted.
    """

    def __init__(self, results: ResultStore) -> None:
        self.lock = threading.RLock()
        self._results = results
        self._live: dict[str, Live] = {}

    def add(self, live: Live) -> None:
        self._live[live.statement.id] = live
        self.save(live)

    def save(self, live: Live) -> None:
        """Save the statement. One that has ended is no longer kept in memory."""
        _saved()[live.statement.id] = live.statement.to_json()
        if live.statement.ended:
            self._live.pop(live.statement.id, None)

    def count_active(self) -> int:
        return sum(not live.statement.ended for live in list(self._live.values()))

    def find(self, identifier: str | None) -> tuple[Live, int | None]:
        """A statement that the caller may see.

        Returns:
            The statement, and the number of the sub-statement if the ID has one.

        Raises:
            ServiceError: There is none.
        """
        base, _, suffix = (identifier or "").partition(":")
        live = self._live.get(base)
        document = None if live else _saved().get(base)
        if live is None and document is not None:
            live = self._live_of(Statement.from_json(document))
        owner, _ = caller_identity()
        if (
            live is None
            or live.statement.owner != owner
            or time.time() - live.statement.created > RETENTION_SECONDS
        ):
            raise not_found("Query does not exist.")
        if not suffix:
            return live, None
        number = int(suffix) if suffix.isdigit() else 0
        if not 1 <= number <= len(live.statement.subs):
            raise not_found("Query does not exist.")
        return live, number

    def owner_userid(self, identifier: str | None) -> str:
        """``aws:userid`` of who submitted a statement of this account; "" if there is none."""
        base = (identifier or "").partition(":")[0]
        live = self._live.get(base)
        if live is not None:
            return live.statement.caller_userid
        return str(_saved().get(base, {}).get("caller_userid", ""))

    def known(self) -> list[Statement]:
        """Every statement of the account and region, running ones as they are now."""
        known = []
        for identifier, document in list(_saved().items()):
            live = self._live.get(identifier)
            known.append(live.statement if live else _settled(Statement.from_json(document)))
        return known

    def same_token(self, statement: Statement) -> Live | None:
        """The statement that was submitted with the same token within ``TOKEN_SECONDS``.

        Raises:
            ServiceError: The token was used for another request.
        """
        if not statement.token:
            return None
        if len(statement.token) > MAX_TOKEN_LENGTH:
            raise invalid(f"ClientToken has at most {MAX_TOKEN_LENGTH} characters")
        for other in self.known():
            if (
                other.token == statement.token
                and other.owner == statement.owner
                and statement.created - other.created < TOKEN_SECONDS
            ):
                if other.fingerprint != statement.fingerprint:
                    raise invalid(
                        f"ClientToken {statement.token!r} was already used with different "
                        "request parameters"
                    )
                return self._live_of(other)
        return None

    def forget_old(self, now: float) -> None:
        """Drop statements and results past their retention; ``now`` in seconds since the epoch."""
        for identifier, document in list(_saved().items()):
            if now - document["created"] > RETENTION_SECONDS and identifier not in self._live:
                _saved().pop(identifier, None)
                for number in range(1, len(document["subs"]) + 1):
                    self._results.drop(f"{identifier}:{number}")

    def _live_of(self, statement: Statement) -> Live:
        return self._live.get(statement.id) or Live(_settled(statement))


def _settled(statement: Statement) -> Statement:
    """A statement that an earlier process was still running has failed."""
    if not statement.ended:
        statement.status = FAILED
        statement.error = (
            "Connection to the database failed: the sandbox was stopped while the statement "
            "ran; it was rolled back"
        )
        for sub in statement.subs:
            if sub.status not in ENDED:
                sub.status, sub.error = ABORTED, statement.error
    return statement


def _saved() -> MutableMapping[str, Any]:
    """The saved statements of the caller's account and region, by ID."""
    found: MutableMapping[str, Any] = emulator.scoped_state("redshift-data-statements")
    return found
