"""What the arrival sensor remembers from one tick to the next, as bounded text.

Size: a day takes at most about 120 characters whatever its number of files; the days are those of
the window (at most 374 by the feed's settings) plus `MAX_OTHER_DAYS`, and two half-listed days add
a key each (at most 1,024 bytes, three times that escaped). That stays under 65,535 bytes, which is
what MySQL, the narrowest of Dagster's storages, takes.

Times are seconds since 1970 (UTC). The text is JSON, so that it can be read in the UI.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field
from datetime import date
from typing import Any

VERSION = 1

# Days outside the window that are remembered: late files, and days that left the window unsettled.
MAX_OTHER_DAYS = 64

# The content of a day without files.
EMPTY = "-"


class UnreadableCursor(ValueError):
    """The cursor is not one of ours; the message says why. Losing it costs look-ups, no day."""


@dataclass(slots=True)
class DayState:
    """One day.

    Attributes:
        requested: content that was requested last; None if it never was.
        generation: how often the day was requested.
        confirmed: whether the run of that request has been seen in Dagster's run storage.
        calm: when the day was last seen with exactly the requested content.
        waiting: other content that waits to settle (`EMPTY`: all files are gone); None if nothing.
        since: when that content came to be, as far as can be told.
        looked: when the last complete look at the day began; 0 if there was none.
        emptied: whether people were told that all files of the day are gone.
    """

    requested: str | None = None
    generation: int = 0
    confirmed: bool = True
    calm: int = 0
    waiting: str | None = None
    since: float = 0
    looked: float = 0
    emptied: bool = False

    @property
    def needs_attention(self) -> bool:
        """Whether the day must be looked at again even if nobody points at it."""
        return self.waiting is not None or not self.confirmed

    def to_json(self) -> list[Any]:
        """The state as a row of plain values."""
        flags = (1 if self.confirmed else 0) | (2 if self.emptied else 0)
        return [
            self.requested,
            self.generation,
            self.calm,
            self.waiting,
            self.since,
            self.looked,
            flags,
        ]

    @classmethod
    def from_json(cls, value: Any) -> DayState:
        """Read such a row; ValueError or TypeError if it is none."""
        requested, generation, calm, waiting, since, looked, flags = value
        for text in (requested, waiting):
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{text!r} is not a fingerprint")
        return cls(
            requested=requested,
            generation=int(generation),
            calm=int(calm),
            waiting=waiting,
            since=float(since),
            looked=float(looked),
            confirmed=bool(flags & 1),
            emptied=bool(flags & 2),
        )


@dataclass(slots=True)
class PartialListing:
    """A day whose listing ran out of time: everything needed to take it up after ``after``."""

    after: str
    digest: str
    count: int
    newest: int
    marker: int | None
    started: float


@dataclass(slots=True)
class Cursor:
    """All that is remembered.

    Attributes:
        days: what is known of each day.
        mark: creation time of the newest run known to this cursor, by the run storage's clock.
        halves: days whose listing was cut off: one of the window at most, and one outside it.
        resume: day of the window where the next tick goes on; None if the window was finished.
        window_done: when the last complete pass over the window ended.
        sweep: day the sweep looks at next, going back in time; None to begin with the youngest.
        swept: when the sweep looked last.
    """

    days: dict[date, DayState] = field(default_factory=dict)
    mark: float | None = None
    halves: dict[date, PartialListing] = field(default_factory=dict)
    resume: date | None = None
    window_done: int = 0
    sweep: date | None = None
    swept: int = 0

    def encode(self) -> str:
        """The cursor as text."""
        return json.dumps(
            {
                "v": VERSION,
                "mark": self.mark,
                "halves": {day.isoformat(): astuple(half) for day, half in self.halves.items()},
                "resume": self.resume and self.resume.isoformat(),
                "window_done": self.window_done,
                "sweep": self.sweep and self.sweep.isoformat(),
                "swept": self.swept,
                "days": {
                    day.isoformat(): state.to_json() for day, state in sorted(self.days.items())
                },
            },
            separators=(",", ":"),
        )

    @classmethod
    def decode(cls, text: str | None) -> Cursor:
        """Read a cursor; none or an empty one is a fresh start.

        Raises:
            UnreadableCursor: it is not a cursor of this version.
        """
        if not text:
            return cls()
        try:
            value = json.loads(text)
            if not isinstance(value, dict) or value.get("v") != VERSION:
                raise ValueError(f"it is not version {VERSION}")
            return cls(
                days={
                    date.fromisoformat(day): DayState.from_json(state)
                    for day, state in value["days"].items()
                },
                mark=None if value["mark"] is None else float(value["mark"]),
                halves={
                    date.fromisoformat(day): PartialListing(*half)
                    for day, half in value["halves"].items()
                },
                resume=value["resume"] and date.fromisoformat(value["resume"]),
                window_done=int(value["window_done"]),
                sweep=value["sweep"] and date.fromisoformat(value["sweep"]),
                swept=int(value["swept"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnreadableCursor(f"the sensor's cursor cannot be read: {error}") from None
