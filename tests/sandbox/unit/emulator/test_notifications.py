"""Two notifications of a bucket overlap if both get an event of some key."""

from __future__ import annotations

from typing import Any

import pytest

from xacct_sandbox.emulator.notifications import overlap


def config(event: str, prefix: str | None = None, suffix: str | None = None) -> dict[str, Any]:
    return {"events": [event], "filter_prefix": prefix, "filter_suffix": suffix}


@pytest.mark.parametrize(
    "other",
    [
        config("s3:ObjectCreated:*"),
        config("s3:ObjectCreated:Put", "images/2026/"),
        config("s3:ObjectCreated:*", "im"),
        config("s3:ObjectCreated:*", None, ".csv"),
    ],
)
def test_overlapping_notifications_are_found_in_either_order(other: dict[str, Any]) -> None:
    one = config("s3:ObjectCreated:*", "images/")
    assert overlap(one, other)
    assert overlap(other, one)


@pytest.mark.parametrize(
    "other",
    [
        config("s3:ObjectRemoved:*", "images/"),
        config("s3:ObjectCreated:*", "logs/"),
        config("s3:ObjectCreated:*", "images/", ".png"),
    ],
)
def test_others_do_not_overlap(other: dict[str, Any]) -> None:
    one = config("s3:ObjectCreated:*", "images/", ".jpg")
    assert not overlap(one, other)
    assert not overlap(other, one)
