"""The request log keeps requests in order, up to its capacity, and sums them up."""

from __future__ import annotations

from xacct_sandbox.daemon.request_log import CALLER, RequestLog, count_by_operation


def _add(
    log: RequestLog, at: float, operation: str, origin: str = CALLER, status: int = 200
) -> None:
    log.add(
        at=at,
        seconds=0.5,
        origin=origin,
        principal="arn:aws:iam::222222222222:user/x",
        service="s3",
        operation=operation,
        resource="bucket/key",
        status=status,
    )


def test_since_returns_only_later_requests() -> None:
    log = RequestLog()
    for at in (10.0, 11.0, 12.0):
        _add(log, at, "GetObject")
    assert [call.at for call in log.since(11.0)] == [11.0, 12.0]
    assert [call.number for call in log.since(number=2)] == [3]
    assert log.since(12.0)[0].until == 12.5


def test_the_oldest_requests_are_dropped_and_numbers_continue() -> None:
    log = RequestLog(capacity=2)
    for at in (1.0, 2.0, 3.0):
        _add(log, at, "GetObject")
    assert [call.number for call in log.since()] == [2, 3]


def test_requests_are_summed_up_by_origin_and_operation_with_their_errors() -> None:
    log = RequestLog()
    _add(log, 1, "GetObject", origin="redshift")
    _add(log, 2, "ListObjectsV2")
    _add(log, 3, "GetObject", status=403)
    _add(log, 4, "GetObject")
    assert count_by_operation(log.since()) == [
        (CALLER, "s3", "GetObject", 2, 1),
        (CALLER, "s3", "ListObjectsV2", 1, 0),
        ("redshift", "s3", "GetObject", 1, 0),
    ]
