"""What has been told already: the sensor's cursor."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, field

from xacct_assets.feed.alerts.alert import Alert, Kind

_VERSION = 1


@dataclass
class State:
    """What has been told already.

    Attributes:
        begun: the first tick (seconds since 1970); runs that ended before are not told.
        since: runs that ended before have been looked at (seconds since 1970).
        seen: runs that ended a little before or after it, with their ends.
        listed: when late days were last looked for (seconds since 1970).
        told: what is wrong and has been told, by key. Causes are left out: they can be long.
    """

    begun: float
    since: float
    seen: dict[str, float] = field(default_factory=dict)
    listed: float = 0
    told: dict[str, Alert] = field(default_factory=dict)

    @classmethod
    def decode(cls, cursor: str | None, now: float) -> State:
        """The state in a cursor; without one, or with one of another version, a new one."""
        try:
            document = json.loads(cursor or "{}")
        except ValueError:
            document = {}
        if not isinstance(document, dict) or document.get("version") != _VERSION:
            return cls(begun=now, since=now)
        told = [Alert(**{**fields, "kind": Kind(fields["kind"])}) for fields in document["told"]]
        return cls(
            document["begun"],
            document["since"],
            document["seen"],
            document.get("listed", 0),
            {alert.key: alert for alert in told},
        )

    def encode(self) -> str:
        """The cursor."""
        told = [
            {name: value for name, value in asdict(alert).items() if value}
            | {"cause": "", "repair": ""}
            for alert in self.told.values()
        ]
        return json.dumps(
            {
                "version": _VERSION,
                "begun": self.begun,
                "since": self.since,
                "seen": self.seen,
                "listed": self.listed,
                "told": told,
            },
            separators=(",", ":"),
        )

    def runs_after(self, overlap: float) -> float:
        """The time after which runs are looked at: a little before the last that was."""
        return max(self.begun, self.since - overlap)

    def advance(self, ends: dict[str, float], overlap: float) -> None:
        """Mark runs as looked at."""
        self.seen |= ends
        self.since = max([self.since, *self.seen.values()])
        self.seen = {run: end for run, end in self.seen.items() if end > self.since - overlap}

    def forget_other_feeds(self, feeds: Container[str]) -> None:
        """Forget what was told of feeds that are no longer there."""
        self.told = {
            key: alert for key, alert in self.told.items() if not alert.feed or alert.feed in feeds
        }

    def of_kinds(self, kinds: Iterable[Kind]) -> Sequence[Alert]:
        """What has been told of these kinds."""
        wanted = set(kinds)
        return [alert for alert in self.told.values() if alert.kind in wanted]
