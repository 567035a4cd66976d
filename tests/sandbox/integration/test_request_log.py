"""How often the pipeline asks AWS for anything, as the sandbox counted it.

How often it looks whether a crawl or a job has ended depends on how long these take: that a wait
as long as those before takes one look is claimed by tests/pipeline/unit/aws/test_polling.py.
"""

import time
from collections import Counter
from datetime import date, timedelta

import pytest

from tests.support.pipeline import Pipeline
from tests.support.sandbox import RunningSandbox
from xacct_sandbox.daemon import request_log

LOOKS = ("GetCrawler", "GetJobRun", "GetLogEvents", "DescribeStatement")
# One look at the crawl beside the one before it is started, and one at the job.
LOOKS_OF_A_STEADY_DAY = 2
FIRST = date(2026, 5, 1)
MONTH = [(FIRST + timedelta(days=number)).isoformat() for number in range(30)]


def asked(sandbox: RunningSandbox, since: float) -> Counter[str]:
    """What the orchestrator asked for, by operation; raw files that it read do not count."""
    counted: Counter[str] = Counter()
    for call in request_log.fetch(sandbox.config, since):
        reads_raw = call.operation == "GetObject" and sandbox.config.input_bucket in call.resource
        if "orchestrator" in call.principal and call.origin == request_log.CALLER and not reads_raw:
            counted[call.operation] += 1
    # It is listed once to know what was there before; every further time is a look.
    counted["ListCrawls"] = min(1, counted["ListCrawls"])
    return Counter({name: n for name, n in counted.items() if name not in LOOKS})


@pytest.mark.parametrize(("days", "most"), [(MONTH[:1], 16), (MONTH, 60)], ids=["a day", "30 days"])
def test_calls_to_aws_are_few(
    sandbox: RunningSandbox, pipeline: Pipeline, days: list[str], most: int
) -> None:
    for day in days:
        pipeline.land(day, rows=20)
    since = time.time()
    run = pipeline.run(days[0], days[-1] if len(days) > 1 else None)
    assert run.success, run.why
    counted = asked(sandbox, since)
    assert counted["StartJobRun"] == counted["StartCrawler"] == 1, counted
    assert counted["GetObject"] >= len(days), counted
    assert counted.total() + LOOKS_OF_A_STEADY_DAY <= most, counted
