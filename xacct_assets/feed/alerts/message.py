"""Alerts as messages: one for all days for which the same stage of a run has failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from xacct_assets.feed.alerts.alert import Alert, Kind
from xacct_assets.feed.partitions import by_text, in_words, parse_day

#: Kinds whose subject is a day.
_DAYS = {Kind.RUN_FAILED, Kind.CHECK_FAILED, Kind.DAY_LATE}
_CAUSE_CHARACTERS = 4_000


@dataclass(frozen=True)
class Message:
    """A message to send.

    Attributes:
        subject: one line.
        text: lines of ``name: value``.
        attributes: for filters of subscriptions: kind, state (new or mended), feed and owners.
        alerts: what it tells.
        is_new: False if it says that they are mended.
    """

    subject: str
    text: str
    attributes: Mapping[str, str | Sequence[str]]
    alerts: Sequence[Alert]
    is_new: bool


def messages(
    alerts: Iterable[Alert],
    *,
    is_new: bool,
    installation: str,
    owners: Mapping[str, Sequence[str]],
    dagster_url: str | None,
) -> list[Message]:
    """The messages that tell these alerts, or that they are mended.

    Args:
        installation: its suffix.
        owners: of each feed.
        dagster_url: address of the Dagster UI, for links.
    """
    groups: dict[tuple[str, ...], list[Alert]] = {}
    for alert in alerts:
        subject = "" if alert.kind in _DAYS else alert.subject
        run_id = alert.run_id if is_new else ""
        group = (alert.kind, alert.feed, alert.stage, alert.check, run_id, subject)
        groups.setdefault(group, []).append(alert)
    return [
        _message(group, is_new, installation, owners.get(group[0].feed, ()), dagster_url)
        for group in groups.values()
    ]


def _message(
    group: Sequence[Alert],
    is_new: bool,
    installation: str,
    owners: Sequence[str],
    dagster_url: str | None,
) -> Message:
    first = group[0]
    is_of_days = first.kind in _DAYS
    what = in_words(parse_day(alert.subject) for alert in group) if is_of_days else first.subject
    title = " ".join(filter(None, (first.feed, what)))
    line = f"{title}: {first.kind}" if is_new else f"{title}: mended ({first.kind})"
    stage = first.stage + (f", check {first.check}" if first.check else "")
    fields = {
        "installation": installation,
        "feed": first.feed,
        "days" if is_of_days else "what": what,
        "stage": stage,
        "problem" if is_new else "mended": first.kind,
    }
    if is_new:
        fields |= {"cause": _cause(group), "repair": first.repair}
        fields |= {"link": _link(first, dagster_url)}
    fields |= {"owners": ", ".join(owners)}
    text = "\n".join(f"{name}: {value}" for name, value in fields.items() if value)
    attributes: dict[str, str | Sequence[str]] = {
        "kind": first.kind.value,
        "state": "new" if is_new else "mended",
        "feed": first.feed,
        "owners": list(owners),
    }
    return Message(f"[xacct {installation}] {line}", text, attributes, group, is_new)


def _link(alert: Alert, dagster_url: str | None) -> str:
    if not dagster_url:
        return f"run {alert.run_id} (set XACCT_DAGSTER_URL for a link)" if alert.run_id else ""
    page = f"runs/{alert.run_id}" if alert.run_id else "automation"
    return f"{dagster_url}/{page}"


def _cause(group: Sequence[Alert]) -> str:
    if len(group) == 1:
        return _shortened(group[0].cause)
    return _shortened(by_text({parse_day(alert.subject): alert.cause for alert in group}))


def _shortened(cause: str) -> str:
    if len(cause) <= _CAUSE_CHARACTERS:
        return cause
    return f"{cause[:_CAUSE_CHARACTERS]} … (the run's page tells the rest)"


#: Sends a message; raises `NotSent`.
Send = Callable[[Message], None]


class NotSent(Exception):
    """A message could not be delivered; the text says where to, why, and what to do."""
