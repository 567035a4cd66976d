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

DELETED, CHANGED = "it was deleted by hand", "reverts a change by hand"
CLI = "xacct_assets.operations.cli"
WORKING = "xacct-processing-local"
RAW, EXPORTS = "sample-inp-bucket-etl-local", "sample-opt-bucket-etl-local"
DESTROY = ("destroy", "--yes", *(f"--delete-data={name}" for name in (WORKING, RAW, EXPORTS)))


def xacct(
    sandbox: RunningSandbox, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command of `xacct`."""
    return sandbox.run(CLI, "--no-env-file", *arguments, check=check)


def restore_what_was_changed(sandbox: RunningSandbox, name: str, *, delete: bool) -> str:
    """Change or delete a resource by hand; the next deployment restores it, and says so.

    Args:
        sandbox: deployed.
        name: ``template.LogicalId``.
        delete: whether it is deleted.

    Returns:
        What the deployment showed.
    """
    touch(sandbox, name, delete=delete)
    shown = xacct(sandbox, "deploy", "--yes").stdout
    assert (DELETED if delete else CHANGED) in line_of(shown, name), shown
    return shown


def line_of(shown: str, name: str) -> str:
    """What a deployment says of a resource; "" if it is not among the changes."""
    logical_id = name.partition(".")[2]
    return next((line for line in shown.splitlines() if f": {logical_id} (" in line), "")


def require_nothing_left(sandbox: RunningSandbox) -> None:
    """Without --yes and a terminal, a deployment with something to change ends with 2."""
    completed = xacct(sandbox, "deploy", check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr


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


def survive_kills(sandbox: RunningSandbox, each: int, seed: int = 1) -> dict[str, int]:
    """Kill deployments and removals at random moments, each so many times; the next ones finish.

    Returns:
        The number of times that each was started to get them.
    """
    chance = random.Random(seed)
    commands = {"deploy": ("deploy", "--yes"), "destroy": DESTROY}
    seconds = {name: _seconds(sandbox, arguments) for name, arguments in commands.items()}
    starts, kills = dict.fromkeys(commands, 0), dict.fromkeys(commands, 0)
    while min(kills.values()) < each:
        for name, arguments in commands.items():
            starts[name] += 1
            kills[name] += kill_after(sandbox, arguments, chance.uniform(0.3, seconds[name]))
            xacct(sandbox, *arguments)
        assert stacks(sandbox) == []
        buckets = sandbox.client("account-a-admin", "s3").list_buckets()["Buckets"]
        assert [bucket["Name"] for bucket in buckets] == []
        assert max(starts.values()) <= 3 * each, f"of {starts} only {kills} could be killed"
    return starts


def _seconds(sandbox: RunningSandbox, arguments: tuple[str, ...]) -> float:
    """Run a command to its end and return how long it took."""
    started = time.monotonic()
    xacct(sandbox, *arguments)
    return time.monotonic() - started


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
