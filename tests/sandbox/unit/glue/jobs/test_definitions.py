"""Job definitions: defaults, and options that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xacct_sandbox.glue.jobs import definitions

Refusal = Callable[[Callable[[], Any]], str]


pytestmark = pytest.mark.usefixtures("glue")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"GlueVersion": "4.0"}, "GlueVersion '4.0'"),
        ({"Command": {"Name": "pythonshell", "ScriptLocation": "s3://b/x"}}, "pythonshell"),
        ({"Command": {"Name": "glueetl", "ScriptLocation": "x.py"}}, "ScriptLocation"),
        ({"MaxRetries": 1}, "MaxRetries"),
        ({"SecurityConfiguration": "x"}, "SecurityConfiguration"),
        ({"MaintenanceWindow": "Sun:10"}, "MaintenanceWindow"),
        ({"JobMode": "VISUAL"}, "VISUAL"),
    ],
)
def test_a_job_that_the_sandbox_cannot_run_is_refused_when_it_is_created(
    refusal: Refusal, job: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    answer = refusal(lambda: definitions.create_job({**job, "Name": "other", **changes}))
    assert message in answer


def test_an_update_resets_fields_that_it_leaves_out(job: dict[str, Any]) -> None:
    update = {key: job[key] for key in ("Role", "Command", "GlueVersion")}
    definitions.update_job({"JobName": "load", "JobUpdate": update})
    updated = definitions.get_job({"JobName": "load"})["Job"]
    assert updated["Timeout"] == 480
    assert updated["DefaultArguments"] == {}
    assert updated["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
