"""Our notification in the configuration of a bucket that somebody else owns.

PutBucketNotificationConfiguration replaces the whole configuration (S3 API reference). So it is
read, only entries with our own Ids are replaced, added or removed, and the rest is written back.

aws-claims: s3-notifies-a-queue, s3-one-destination-for-a-key
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xacct_assets.aws.errors import InvalidRequest
from xacct_assets.aws.s3.bucket import Bucket

Entry = dict[str, Any]

_QUEUES = "QueueConfigurations"
# List of the configuration -> the member of an entry that names its destination.
_DESTINATIONS = {
    _QUEUES: "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}


@dataclass(frozen=True)
class BucketNotifications:
    """The notification configuration of one bucket.

    Attributes:
        bucket: the bucket.
        is_ours: whether the Id of an entry is one of ours.
    """

    bucket: Bucket
    is_ours: Callable[[str], bool]

    def missing(self, wanted: Sequence[Entry]) -> list[str]:
        """Ids of the wanted entries that are not in the configuration as they should be."""
        present = {str(item.get("Id")): _normal(item) for item in self._read().get(_QUEUES, [])}
        return [item["Id"] for item in wanted if present.get(item["Id"]) != _normal(item)]

    def merge(self, wanted: Sequence[Entry]) -> bool:
        """Make our entries exactly these, for queues; False if they were so already.

        Raises:
            AccessDenied: the caller may not read or write the configuration.
            InvalidRequest: another entry gets the same events; or S3 refused a destination.
        """
        configuration = self._read()
        present = configuration.get(_QUEUES, [])
        ours = {str(item["Id"]): _normal(item) for item in present if self._is_ours(item)}
        if ours == {item["Id"]: _normal(item) for item in wanted}:
            return False
        kept = [item for item in present if not self._is_ours(item)]
        self._refuse_overlap({**configuration, _QUEUES: kept}, wanted)
        self._write(configuration, [*kept, *wanted])
        return True

    def remove(self) -> bool:
        """Remove our entries; False if there were none."""
        configuration = self._read()
        present = configuration.get(_QUEUES, [])
        kept = [item for item in present if not self._is_ours(item)]
        if len(kept) == len(present):
            return False
        self._write(configuration, kept)
        return True

    def _is_ours(self, entry: Mapping[str, Any]) -> bool:
        return self.is_ours(str(entry.get("Id", "")))

    def _read(self) -> dict[str, Any]:
        with self.bucket.call("s3:GetBucketNotification"):
            answer: dict[str, Any] = dict(
                self.bucket.s3.get_bucket_notification_configuration(
                    Bucket=self.bucket.name, ExpectedBucketOwner=self.bucket.owner
                )
            )
        answer.pop("ResponseMetadata", None)
        return answer

    def _write(self, configuration: dict[str, Any], queues: Sequence[Entry]) -> None:
        changed = {key: value for key, value in configuration.items() if key != _QUEUES}
        if queues:
            changed[_QUEUES] = list(queues)
        with self.bucket.call("s3:PutBucketNotification"):
            self.bucket.s3.put_bucket_notification_configuration(
                Bucket=self.bucket.name,
                NotificationConfiguration=changed,  # type: ignore[arg-type] # as it was read
                ExpectedBucketOwner=self.bucket.owner,
            )

    def _refuse_overlap(self, others: Mapping[str, Any], wanted: Sequence[Entry]) -> None:
        """S3 allows one destination for an event of a key (S3 guide, "Configuring event
        notifications using object key name filtering")."""
        for entry in wanted:
            for other, destination in _entries(others):
                events = sorted(_shared_events(entry, other))
                if events and _keys_overlap(entry, other):
                    raise InvalidRequest(
                        f"bucket {self.bucket.name} cannot notify {entry['QueueArn']}",
                        reason=f"it notifies {destination} of {', '.join(events)} of the same keys "
                        "already, and S3 allows one destination only",
                        fix="let the owner fan these out (S3 to SNS, SNS to both queues) and name "
                        "the queue in arrival.queue; or set arrival.mode to poll in the feeds' "
                        "defs.yaml, which needs no notification",
                    )


def _entries(configuration: Mapping[str, Any]) -> Iterator[tuple[Entry, str]]:
    for kind, member in _DESTINATIONS.items():
        for entry in configuration.get(kind, []):
            yield entry, str(entry.get(member))


def _shared_events(one: Entry, other: Entry) -> set[str]:
    return {
        max(mine, theirs, key=len)
        for mine in one["Events"]
        for theirs in other.get("Events", [])
        if mine == theirs or _covers(mine, theirs) or _covers(theirs, mine)
    }


def _covers(pattern: str, event: str) -> bool:
    return pattern.endswith(":*") and event.startswith(pattern[:-1])


def _keys_overlap(one: Entry, other: Entry) -> bool:
    mine, theirs = _filters(one), _filters(other)
    prefixes = (mine.get("prefix", ""), theirs.get("prefix", ""))
    suffixes = (mine.get("suffix", ""), theirs.get("suffix", ""))
    return (prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0])) and (
        suffixes[0].endswith(suffixes[1]) or suffixes[1].endswith(suffixes[0])
    )


def _filters(entry: Entry) -> dict[str, str]:
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return {str(rule["Name"]).lower(): str(rule["Value"]) for rule in rules}


def _normal(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    # S3 answers with the names of filter rules capitalized, and with events in its own order.
    return (
        entry.get("QueueArn"),
        tuple(sorted(entry.get("Events", []))),
        tuple(sorted(_filters(dict(entry)).items())),
    )
