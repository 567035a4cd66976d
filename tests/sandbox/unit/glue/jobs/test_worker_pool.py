"""Settings of the pool of Spark workers."""

from __future__ import annotations

import pytest

from xacct_sandbox.daemon.config import SandboxError
from xacct_sandbox.glue.jobs.worker_pool import WorkerSettings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("XACCT_SANDBOX_SPARK_WORKERS", "0"),
        ("XACCT_SANDBOX_SPARK_MEMORY", "lots"),
        ("XACCT_SANDBOX_SPARK_WARM", "yes"),
        ("XACCT_SANDBOX_SPARK_JIT", "fast"),
    ],
)
def test_the_error_for_an_invalid_setting_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SandboxError, match=variable):
        WorkerSettings.from_environment({variable: value})
