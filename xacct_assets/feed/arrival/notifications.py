"""The notifications of a feed in one tick: which days they name, and when they can be deleted.

A notification is deleted once its day was listed after it was received, and the result of that
listing is stored: the day needs no run, or its run exists. That is one tick after the run was
requested at the earliest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws.s3.keys import printable
from xacct_assets.aws.sqs import Notifications, ObjectEvent, ReceivedEvent
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.spec import FeedSpec


@dataclass
class TickNotifications:
    """What notifications say in one tick.

    Attributes:
        queue: where they come from; None if there are none to use.
        events: the received events that name a day of the feed, with that day.
        failure: why the queue could not be used, if so.
    """

    queue: Notifications | None = None
    events: Sequence[tuple[ReceivedEvent, date]] = ()
    failure: AwsFailure | None = None

    @property
    def days(self) -> set[date]:
        """The days that are named."""
        return {day for _, day in self.events}

    def delete_handled(self, handled_until: Mapping[date, float]) -> None:
        """Delete the notifications received up to the time until which their day is handled.

        Args:
            handled_until: seconds since 1970, by day.

        Raises:
            AwsFailure: they could not be deleted. They are received again, without harm.
        """
        if self.queue is None:
            return
        self.queue.acknowledge(
            received
            for received, day in self.events
            if handled_until.get(day, float("-inf")) >= received.received_at
        )


def receive_notifications(
    queue: Notifications,
    feed: FeedSpec,
    bucket: str,
    policy: Policy,
    log: logging.Logger,
    *,
    wait_seconds: float,
    drain_seconds: float,
) -> TickNotifications:
    """Receive a feed's notifications. Those that name no day of the feed are deleted.

    Args:
        queue: the queue, which other feeds may share.
        feed: the feed.
        bucket: the feed's raw bucket.
        policy: the settings of the tick.
        log: gets a warning for each file that no pattern matches, or of a day before the feed's
            first.
        wait_seconds: how long to wait for a message if nothing is at hand.
        drain_seconds: time to receive all that has come.

    Raises:
        AwsFailure: the queue cannot be read.
    """

    def belongs_to_feed(event: ObjectEvent) -> bool:
        return event.bucket == bucket and event.key.startswith(f"{feed.source.prefix}/")

    queue.claim(feed.name, belongs_to_feed)
    queue.receive(
        wait_seconds=0 if queue.unacknowledged(feed.name) else wait_seconds,
        seconds=drain_seconds,
    )
    received = queue.unacknowledged(feed.name)
    days = {event: _day_of(event.event, policy, log) for event in received}
    queue.acknowledge(event for event, day in days.items() if day is None)
    return TickNotifications(
        queue, [(event, day) for event, day in days.items() if day is not None]
    )


def _day_of(event: ObjectEvent, policy: Policy, log: logging.Logger) -> date | None:
    """The day that must be listed because of an event; None if there is none."""
    key = event.key
    day = policy.folders.day_of(key)
    if day is None:
        return None
    prefix = policy.folders.prefix(day)
    if policy.is_unmatched(prefix, key):
        log.warning(
            "s3://%s/%s is not loaded: no pattern of the feed matches it. Rename it, or add a "
            "pattern to source.patterns.",
            event.bucket,
            printable(key),
        )
    if key != policy.marker_key(prefix) and not policy.is_data_file(prefix, key):
        return None
    if day < policy.first_day:
        log.warning(
            "s3://%s/%s is not loaded: its day is before the feed's first day, %s. To load it, "
            "set the feed's start_date to an earlier day.",
            event.bucket,
            key,
            policy.first_day,
        )
        return None
    return day
