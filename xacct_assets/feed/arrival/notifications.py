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
from xacct_assets.aws.s3.keys import KeySample
from xacct_assets.aws.sqs import Notifications, ObjectEvent, ReceivedEvent
from xacct_assets.feed.arrival.messages import describe_other_days
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.raw_files import describe_unmatched
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
        log: gets one warning about the files of days that the sensor does not request, and one
            about the files that no pattern matches.
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
    named = {event: _day_of(event.event, policy) for event in received}
    days = {event: day for event, day in named.items() if day and policy.has_partition(day)}
    others = {e.event.key: day for e, day in named.items() if day and e not in days}
    if others:
        log.warning(describe_other_days(policy, others))
    unmatched = [event.event.key for event in received if _is_unmatched(policy, event.event.key)]
    if unmatched:
        log.warning("%s: %s.", feed.name, describe_unmatched(feed, KeySample.of(unmatched)))
    # The window reaches a later day when its time comes.
    queue.acknowledge(event for event in received if event not in days)
    return TickNotifications(queue, list(days.items()))


def _day_of(event: ObjectEvent, policy: Policy) -> date | None:
    """The day whose folder holds the event's file; None if it is no file of the feed."""
    day = policy.folders.day_of(event.key)
    return day if day is not None and _names_a_file(policy, day, event.key) else None


def _is_unmatched(policy: Policy, key: str) -> bool:
    """Whether the key is in the folder of a day, and no pattern of the feed matches it."""
    day = policy.folders.day_of(key)
    return day is not None and policy.is_unmatched(policy.folders.prefix(day), key)


def _names_a_file(policy: Policy, day: date, key: str) -> bool:
    """Whether the key is a data file of the day or its marker."""
    prefix = policy.folders.prefix(day)
    return key == policy.marker_key(prefix) or policy.is_data_file(prefix, key)
