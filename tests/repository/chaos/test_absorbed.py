"""How a fault was taken is told from what the steps under way did next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tools.chaos.absorbed import (
    ATTACHED,
    HARMLESS,
    RUN,
    STEP,
    TICK,
    WITHIN,
    Attempt,
    Outcome,
    absorbed,
)
from tools.chaos.report import report_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


def injected(kind: str, operation: str, seconds: float = 5, resource: str = "") -> dict[str, str]:
    at = datetime.fromtimestamp(NOON + seconds, UTC).isoformat()
    return {
        "at": at,
        "kind": kind,
        "service": "glue",
        "operation": operation,
        "resource": resource,
    }


def attempt(step: str, outcome: Outcome, feed: str = "products") -> Attempt:
    return Attempt(feed, step, NOON, NOON + 10, outcome)


@pytest.mark.parametrize(
    ("fault", "attempts", "way"),
    [
        pytest.param(
            injected("throttle", "GetJobRun"),
            [attempt("staging_table", "success")],
            WITHIN,
            id="in",
        ),
        pytest.param(
            injected("throttle", "GetJobRun"),
            [attempt("staging_table", "retried")],
            STEP,
            id="step",
        ),
        pytest.param(
            injected("job_failed", "JobRun"), [attempt("staging_table", "failed")], RUN, id="failed"
        ),
        pytest.param(
            injected("timeout", "JobRun"), [attempt("staging_table", "cut off")], RUN, id="cut-off"
        ),
        pytest.param(
            injected("lost_answer", "StartJobRun"),
            [attempt("staging_table", "success")],
            ATTACHED,
            id="attached",
        ),
        pytest.param(
            injected("slow", "GetJobRun"),
            [attempt("staging_table", "success")],
            HARMLESS,
            id="slow",
        ),
        pytest.param(
            injected("throttle", "GetJobRun"), [attempt("s3_export", "failed")], TICK, id="not-it"
        ),
        pytest.param(
            injected("throttle", "GetJobRun", seconds=20),
            [attempt("staging_table", "failed")],
            TICK,
            id="later",
        ),
        pytest.param(
            injected("throttle", "GetJobRun", resource="job xacct-local-orders"),
            [attempt("staging_table", "failed"), attempt("staging_table", "success", "orders")],
            WITHIN,
            id="of-the-other-feed",
        ),
    ],
)
def test_a_fault_is_told_with_its_way(
    fault: dict[str, str], attempts: list[Attempt], way: str
) -> None:
    (told,) = absorbed([fault], attempts)
    assert told["way"] == way


def test_the_report_counts_faults_by_kind_and_shows_a_failure_with_its_timeline() -> None:
    faults = absorbed(
        [injected("throttle", "GetJobRun")] * 3, [attempt("staging_table", "retried")]
    )
    good = {
        "ok": True,
        "code": "abc",
        "seconds": 60,
        "runs": 9,
        "faults": faults,
        "problems": [],
        "timeline": [],
    }
    problem = {"kind": "lost", "where": "orders 2026-01-01", "text": "3 rows of 4"}
    bad = {
        **good,
        "ok": False,
        "problems": [problem],
        "timeline": [("2026-01-01T12:00:00.000", "put orders")],
    }
    text = report_of({1: good, 2: bad})
    assert "| throttle | 6 |" in text
    assert "- lost: 1\n- doubled: 0\n- orphaned: 0\n- hung: 0\n- secrets found: 0" in text
    assert "make chaos SEED=2" in text
    assert "12:00:00.000 put orders" in text
    assert "Seed 1" not in text
