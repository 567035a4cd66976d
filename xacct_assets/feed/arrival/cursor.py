"""What the arrival sensor remembers from one tick to the next, as text of bounded size.

Size: a day takes at most about 120 characters, whatever its number of files. The days are those of
the window (at most 374 by the feed's settings) plus `MAX_OTHER_DAYS`. Two partial listings add a
key each (at most 1,024 bytes, three times that when escaped) and up to six names, which are cut
(`STORED_NAME_CHARACTERS`, each up to twelve when escaped). That stays under 65,535 bytes, the
limit of MySQL's TEXT, which is the narrowest column among Dagster's storages.

Times are seconds since 1970 (UTC). The text is JSON, so that it can be read in Dagster's UI.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field
from datetime import date
from typing import Any

from xacct_assets.aws.s3.keys import KeySample

VERSION = 1

#: Maximum of days outside the window that are remembered: days with late files, and days that left
#: the window before they settled.
MAX_OTHER_DAYS = 64

#: A file's name in a partial listing is cut to this length.
STORED_NAME_CHARACTERS = 40


class UnreadableCursor(ValueError):
    """The text is no cursor of this version; the message says why.

    A lost cursor costs queries to the run storage. No day is lost or requested twice.
    """


@dataclass(slots=True)
class DayState:
    """What is known of one day.

    Attributes:
        requested_fingerprint: requested last; None if the day was never requested.
        request_number: how many times the day was requested.
        confirmed: whether the run of the last request has been seen in Dagster's run storage.
        last_unchanged_at: when the day was last listed with exactly the requested fingerprint.
        pending_fingerprint: a different fingerprint that has not been requested yet (`NO_FILES`:
            all files were deleted); None if there is none.
        pending_since: when the pending fingerprint appeared, as far as it can be known.
        listed_at: when the last complete listing of the day began; 0 if there was none.
        emptied_reported: whether it was reported that all files of the day were deleted.
    """

    requested_fingerprint: str | None = None
    request_number: int = 0
    confirmed: bool = True
    last_unchanged_at: int = 0
    pending_fingerprint: str | None = None
    pending_since: float = 0
    listed_at: float = 0
    emptied_reported: bool = False

    @property
    def needs_listing(self) -> bool:
        """Whether the day must be listed again even if no notification names it."""
        return self.pending_fingerprint is not None or not self.confirmed

    def to_json(self) -> list[Any]:
        """The state as a row of plain values."""
        flags = (1 if self.confirmed else 0) | (2 if self.emptied_reported else 0)
        return [
            self.requested_fingerprint,
            self.request_number,
            self.last_unchanged_at,
            self.pending_fingerprint,
            self.pending_since,
            self.listed_at,
            flags,
        ]

    @classmethod
    def from_json(cls, row: Any) -> DayState:
        """Read a row that `to_json` wrote.

        Raises:
            ValueError, TypeError: it is not such a row.
        """
        requested, request_number, last_unchanged_at, pending, pending_since, listed_at, flags = row
        for text in (requested, pending):
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{text!r} is not a fingerprint")
        return cls(
            requested_fingerprint=requested,
            request_number=int(request_number),
            confirmed=bool(flags & 1),
            last_unchanged_at=int(last_unchanged_at),
            pending_fingerprint=pending,
            pending_since=float(pending_since),
            listed_at=float(listed_at),
            emptied_reported=bool(flags & 2),
        )


@dataclass(slots=True)
class PartialListing:
    """A day's listing that stopped before its end, with all that is needed to continue it.

    Attributes:
        start_after: the last key that was listed; empty before the first page.
        digest: of the files so far (`RollingHash`).
        file_count: the day's files so far.
        newest_modified: LastModified of the newest of them; 0 if there are none.
        marker_modified: LastModified of the day's marker; None if it was not listed.
        started_at: when the listing began.
        archived: those of the files that must be restored before they can be read.
        unmatched: other files, which no pattern matches.
    """

    start_after: str
    digest: str
    file_count: int
    newest_modified: int
    marker_modified: int | None
    started_at: float
    archived: KeySample = field(default_factory=KeySample)
    unmatched: KeySample = field(default_factory=KeySample)

    def to_json(self) -> list[Any]:
        """The listing as a row of plain values."""
        samples = [
            [sample.count, [name[:STORED_NAME_CHARACTERS] for name in sample.first]]
            for sample in (self.archived, self.unmatched)
        ]
        return [*astuple(self)[:6], *samples]

    @classmethod
    def from_json(cls, row: Any) -> PartialListing:
        """Read a row that `to_json` wrote."""
        # Earlier releases wrote rows without the samples.
        return cls(*row[:6], *(KeySample(count, first) for count, first in row[6:]))


@dataclass(slots=True)
class Cursor:
    """All that the sensor remembers.

    Attributes:
        days: the known state of each day.
        high_watermark: creation time of the newest known run, by the run storage's clock; None in
            a new cursor.
        partial_listings: at most one of a day in the window and one of a day outside it.
        window_resume_day: where the next tick continues the pass over the window; None if the last
            pass was finished.
        window_finished_at: when the last complete pass over the window ended.
        sweep_next_day: where the sweep continues, going back in time; None to begin with the
            newest day.
        swept_at: when the sweep last listed days.
    """

    days: dict[date, DayState] = field(default_factory=dict)
    high_watermark: float | None = None
    partial_listings: dict[date, PartialListing] = field(default_factory=dict)
    window_resume_day: date | None = None
    window_finished_at: int = 0
    sweep_next_day: date | None = None
    swept_at: int = 0

    def encode(self) -> str:
        """The cursor as text."""
        return json.dumps(
            {
                "v": VERSION,
                "high_watermark": self.high_watermark,
                "partial_listings": {
                    day.isoformat(): partial.to_json()
                    for day, partial in self.partial_listings.items()
                },
                "window_resume_day": _optional_text(self.window_resume_day),
                "window_finished_at": self.window_finished_at,
                "sweep_next_day": _optional_text(self.sweep_next_day),
                "swept_at": self.swept_at,
                "days": {
                    day.isoformat(): state.to_json() for day, state in sorted(self.days.items())
                },
            },
            separators=(",", ":"),
        )

    @classmethod
    def decode(cls, text: str | None) -> Cursor:
        """Read a cursor. None or an empty text gives a new one.

        Raises:
            UnreadableCursor: the text is no cursor of this version.
        """
        if not text:
            return cls()
        try:
            fields = json.loads(text)
            if not isinstance(fields, dict) or fields.get("v") != VERSION:
                raise ValueError(f"it is not version {VERSION}")
            high_watermark = fields["high_watermark"]
            return cls(
                days={
                    date.fromisoformat(day): DayState.from_json(row)
                    for day, row in fields["days"].items()
                },
                high_watermark=None if high_watermark is None else float(high_watermark),
                partial_listings={
                    date.fromisoformat(day): PartialListing.from_json(row)
                    for day, row in fields["partial_listings"].items()
                },
                window_resume_day=_optional_date(fields["window_resume_day"]),
                window_finished_at=int(fields["window_finished_at"]),
                sweep_next_day=_optional_date(fields["sweep_next_day"]),
                swept_at=int(fields["swept_at"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnreadableCursor(f"the sensor's cursor cannot be read: {error}") from None


def _optional_text(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _optional_date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
