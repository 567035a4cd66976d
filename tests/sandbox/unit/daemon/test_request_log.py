"""What was asked of the sandbox is kept in its order, bounded, and can be counted."""

from __future__ import annotations

from xacct_sandbox.daemon.request_log import CALLER, Journal, counted


def _add(journal: Journal, at: float, operation: str, origin: str = CALLER, status: int = 200):
    journal.add(
        at=at,
        seconds=0.5,
        origin=origin,
        principal="arn:aws:iam::222222222222:user/x",
        service="s3",
        operation=operation,
        resource="bucket/key",
        status=status,
    )


def test_only_what_came_since_then_is_given() -> None:
    journal = Journal()
    for at in (10.0, 11.0, 12.0):
        _add(journal, at, "GetObject")
    assert [call.at for call in journal.since(11.0)] == [11.0, 12.0]
    assert [call.number for call in journal.since(number=2)] == [3]
    assert journal.since(12.0)[0].until == 12.5


def test_the_oldest_are_forgotten_and_numbers_go_on() -> None:
    journal = Journal(capacity=2)
    for at in (1.0, 2.0, 3.0):
        _add(journal, at, "GetObject")
    assert [call.number for call in journal.since()] == [2, 3]


def test_calls_are_counted_by_who_is_behind_them_and_refusals_apart() -> None:
    journal = Journal()
    _add(journal, 1, "GetObject", origin="redshift")
    _add(journal, 2, "ListObjectsV2")
    _add(journal, 3, "GetObject", status=403)
    _add(journal, 4, "GetObject")
    assert counted(journal.since()) == [
        (CALLER, "s3", "GetObject", 2, 1),
        (CALLER, "s3", "ListObjectsV2", 1, 0),
        ("redshift", "s3", "GetObject", 1, 0),
    ]
