"""The scan at the end of every sandbox (`conftest.running_sandbox`) sees what was written to it."""

from __future__ import annotations

import gzip
import time

import dagster as dg

from tests.support.pipeline import Pipeline
from tests.support.sandbox import RunningSandbox
from tests.support.secret_scan import Secret, files_below, leaks, written_by

# None of the sandbox's own, so that the scan at the session's end has no reason to fail.
CANARY = "canary-4f1dd0c2'@ä/%25-of-this-test"


def test_a_planted_secret_is_found_wherever_it_was_written(
    sandbox: RunningSandbox, pipeline: Pipeline
) -> None:
    logs = sandbox.client("account-b-admin", "logs")
    logs.create_log_group(logGroupName="planted")
    logs.create_log_stream(logGroupName="planted", logStreamName="a")
    event = {"timestamp": int(time.time() * 1000), "message": f"password={CANARY}"}
    logs.put_log_events(logGroupName="planted", logStreamName="a", logEvents=[event])
    sandbox.client("account-a-admin", "s3").put_object(
        Bucket=sandbox.config.input_bucket, Key="planted/a.gz", Body=gzip.compress(CANARY.encode())
    )
    pipeline.query(f"SELECT '{CANARY.replace(chr(39), chr(39) * 2)}' AS planted")

    @dg.job
    def job() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(instance=instance, tags={"planted": CANARY})
        sandbox.instances.append(instance)
        written = list(written_by(sandbox))
        sandbox.instances.remove(instance)
    secret = [Secret("planted", CANARY)]
    kinds = {leak.location.split(" ")[0] for leak in leaks(written, secret)}
    assert kinds == {"sys_query_history", "Dagster"}

    expected = {
        "ministack/state/cloudwatch_logs.json",
        f"ministack/s3/111111111111/{sandbox.config.input_bucket}/planted/a.gz",
    }
    state = sandbox.config.home / "ministack" / "state"
    found: set[str] = set()
    # State is written a moment later; the suite's limit ends this.
    while "cloudwatch_logs.json" not in found:
        time.sleep(0.5)
        found = {leak.location for leak in leaks(files_below(state), secret)}
    found = {leak.location for leak in leaks(files_below(sandbox.config.home), secret)}
    assert expected <= found
