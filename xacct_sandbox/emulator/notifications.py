"""Patches S3's notifications, by its user guide, "Configuring event notifications using object key
name filtering": filters that overlap for the same event types are refused, and their values are
URL-encoded.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any
from urllib.parse import unquote_plus

from xacct_sandbox.emulator.loader import Emulator, Response

_MESSAGE = (
    "Configurations overlap. Configurations on the same bucket cannot share a common event type."
)


def patch_notifications(emulator: Emulator) -> None:
    """Installs the patch of this module."""
    s3 = emulator.s3
    validate = s3._validate_notification_configs

    def validate_notification_configs(
        configs: list[dict[str, Any]], *rest: Any, **options: Any
    ) -> Response | None:
        refusal: Response | None = validate(configs, *rest, **options)
        if refusal is None and any(overlap(*pair) for pair in combinations(configs, 2)):
            refusal = s3._invalid_notification_config(_MESSAGE)
        return refusal

    parse = s3._parse_notification_config

    def parse_notification_config(bucket: str) -> list[dict[str, Any]]:
        """The configurations by which events are delivered, with plain prefixes and suffixes."""
        filters = ("filter_prefix", "filter_suffix")
        return [
            {**config, **{name: unquote_plus(config[name]) for name in filters if config[name]}}
            for config in parse(bucket)
        ]

    s3._validate_notification_configs = validate_notification_configs
    s3._parse_notification_config = parse_notification_config


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both configurations get an event of some key."""
    return (
        any(_same(mine, theirs) for mine in one["events"] for theirs in other["events"])
        and _either(str.startswith, one["filter_prefix"], other["filter_prefix"])
        and _either(str.endswith, one["filter_suffix"], other["filter_suffix"])
    )


def _same(one: str, other: str) -> bool:
    return any(
        one_way == back or (one_way.endswith(":*") and back.startswith(one_way[:-1]))
        for one_way, back in ((one, other), (other, one))
    )


def _either(contains: Any, one: str | None, other: str | None) -> bool:
    return bool(contains(one or "", other or "") or contains(other or "", one or ""))
