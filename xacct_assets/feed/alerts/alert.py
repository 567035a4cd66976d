"""One thing that is wrong, as the watchers report it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What kind of thing is wrong. Subscribers can filter messages by it."""

    RUN_FAILED = "run failed"
    CHECK_FAILED = "check failed"
    TICK_FAILED = "tick failed"
    DAY_LATE = "day late"
    EXPORT_STALE = "export stale"
    DEAD_LETTERS = "dead letters"
    DISK_FULL = "disk nearly full"


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong.

    Attributes:
        kind: what kind of thing it is.
        subject: a day (2026-01-31), or the name of a sensor, schedule, queue or folder. There is
            one message for a kind (a run and its checks count as one), feed and subject.
        cause: why, in a sentence or a few lines.
        repair: what to do.
        feed: name of the feed; "" if all feeds are concerned.
        stage: the asset, for a day.
        check: the failed check of that asset, if it is one.
        run_id: the run that tells more.
    """

    kind: Kind
    subject: str
    cause: str
    repair: str
    feed: str = ""
    stage: str = ""
    check: str = ""
    run_id: str = ""

    @property
    def key(self) -> str:
        """Identifies the thing that is wrong, whatever the cause."""
        kind = Kind.RUN_FAILED if self.kind is Kind.CHECK_FAILED else self.kind
        return "|".join((kind, self.feed, self.subject))
