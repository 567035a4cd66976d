"""`xacct deploy` and `xacct destroy` on a sandbox: drift repaired, kills survived."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from typing import Any

from tests.support.by_hand import touch
from tests.support.sandbox import RunningSandbox

CLI = "xacct_assets.operations.cli"
WORKING = "xacct-processing-local"
RAW, EXPORTS = "sample-inp-bucket-etl-local", "sample-opt-bucket-etl-local"
DESTROY = ("destroy", "--yes", *(f"--delete-data={name}" for name in (WORKING, RAW, EXPORTS)))


def xacct(
    sandbox: RunningSandbox, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command of `xacct`."""
    return sandbox.run(CLI, "--no-env-file", *arguments, check=check)


def restore_what_was_changed(sandbox: RunningSandbox, logical_id: str, *, delete: bool) -> None:
    """Change or delete a resource by hand; the next deployment restores it, and says so."""
    touch(sandbox, logical_id, delete=delete)
    shown = xacct(sandbox, "deploy", "--yes").stdout
    line = next(line for line in shown.splitlines() if f": {logical_id} (" in line)
    assert ("it was deleted by hand" if delete else "reverts a change by hand") in line
    # Without --yes and a terminal, a deployment with something to change ends with 2.
    assert xacct(sandbox, "deploy", check=False).returncode == 0


def kill_after(sandbox: RunningSandbox, arguments: tuple[str, ...], seconds: float) -> bool:
    """Run a command and kill it (-9) after so many seconds; False if it had ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", CLI, "--no-env-file", *arguments],
        cwd=sandbox.folder,
        env=sandbox.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
    sandbox.outputs.append((" ".join(arguments), output))
    return process.returncode == -signal.SIGKILL


def survive_kills(sandbox: RunningSandbox, cycles: int, seed: int = 1) -> int:
    """Kill a deployment and a removal at random moments, so many times; the next ones finish.

    Returns:
        The number of kills.
    """
    chance = random.Random(seed)
    seconds = {"deploy": 12.0, "destroy": 12.0}
    kills = 0
    for _ in range(cycles):
        for arguments in (("deploy", "--yes"), DESTROY):
            kills += kill_after(sandbox, arguments, chance.uniform(0.3, seconds[arguments[0]]))
            started = time.monotonic()
            xacct(sandbox, *arguments)
            # The rest may take less than the whole: the longest so far is the measure.
            if seconds[arguments[0]] == 12.0 or time.monotonic() - started > seconds[arguments[0]]:
                seconds[arguments[0]] = time.monotonic() - started
        assert stacks(sandbox) == []
        buckets = sandbox.client("account-a-admin", "s3").list_buckets()["Buckets"]
        assert [bucket["Name"] for bucket in buckets] == []
    return kills


def stacks(sandbox: RunningSandbox) -> list[str]:
    """Names of the installation's stacks in both accounts."""
    found = []
    for profile in ("account-a-admin", "account-b-admin"):
        cloudformation = sandbox.client(profile, "cloudformation")
        summaries: list[dict[str, Any]] = cloudformation.list_stacks()["StackSummaries"]
        found += [
            summary["StackName"]
            for summary in summaries
            if summary["StackStatus"] != "DELETE_COMPLETE"
        ]
    return sorted(found)


def delete_snapshots(sandbox: RunningSandbox) -> None:
    """Delete the final snapshots that removals have taken."""
    serverless = sandbox.client("account-b-admin", "redshift-serverless")
    for snapshot in serverless.list_snapshots()["snapshots"]:
        serverless.delete_snapshot(snapshotName=snapshot["snapshotName"])
