"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "warn", "FAIL", "skipped"]


@dataclass(frozen=True)
class Caution:
    """What a check found that needs attention and stops nothing.

    Attributes:
        fix: what to do about it.
    """

    detail: str
    fix: str


class NotProven(Exception):
    """A check that cannot be made from here, which is no failure and stops no other check.

    Attributes:
        fix: how it could be made.
    """

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.fix = fix


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: unique; of a feed's check ``<feed>: <what>``.
        proves: one sentence.
        run: returns what it found, or raises `AwsFailure` with the fix, or `NotProven`.
        needs: checks that must have passed; it is skipped otherwise.
        explained_by: checks whose failure is the cause if this one fails too. It is run all the
            same: if it passes, it tells how far the failure reaches.
        if_silent: what to do if it does not end in time.
    """

    name: str
    proves: str
    run: Callable[[], str | Caution]
    needs: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    if_silent: str = (
        "something between this machine and the service swallows the requests: check the network "
        "path (VPC endpoints, proxies, AWS_ENDPOINT_URL)"
    )


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        detail: what was found, or what is wrong.
        fix: what to do if something is wrong.
        seconds: duration of the check.
        cause: of a skipped check, the check that failed.
    """

    check: str
    outcome: Outcome
    detail: str
    fix: str | None = None
    seconds: float = 0.0
    cause: str | None = None
