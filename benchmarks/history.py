"""Does the deployment answer as fast with a thousand days behind it as on its first day?

One running `dagster dev`, asked the same before and after a thousand days of materializations and
check evaluations, and a thousand runs, were written into its instance.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks import dagster_instance, report, year_feed
from benchmarks.dagster_instance import ASSETS, Dagster
from benchmarks.own_sandbox import Progress, own_sandbox
from xacct_assets.local_runtime.sqlite_tuning import event_databases, keep_databases_open
from xacct_sandbox.daemon import lifecycle

DAYS = int(os.environ.get("BENCH_DAYS", "1000"))
REPEATS = 5
CHECK = "row_counts_reconcile"
_KEYS = [{"path": [year_feed.FEED, name]} for name in ASSETS]
_PLACE = {"repositoryLocationName": "xacct_assets", "repositoryName": "__repository__"}

#: What the UI asks for on its pages, cut down to the fields that cost something.
QUERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "asset graph": (
        "{ assetNodes { assetKey { path } dependencyKeys { path } jobNames groupName isPartitioned"
        " description kinds } }",
        {},
    ),
    "partition status of five assets": (
        "query($k: [AssetKeyInput!]!) { assetNodes(assetKeys: $k) { partitionStats {"
        " numMaterialized numPartitions numFailed } assetPartitionStatuses { __typename"
        " ... on TimePartitionStatuses { ranges { startTime endTime status } } } } }",
        {"k": _KEYS},
    ),
    "latest events and checks of five assets": (
        "query($k: [AssetKeyInput!]!) { assetNodes(assetKeys: $k) { staleStatus"
        " assetMaterializations(limit: 1) { timestamp partition } assetChecksOrError {"
        " ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } }"
        " } }",
        {"k": _KEYS},
    ),
    "the newest 25 runs": (
        "{ runsOrError(limit: 25) { ... on Runs { results { runId status tags { key value } } }"
        " } }",
        {},
    ),
    "a tick of the arrival sensor": (
        "mutation($s: SensorSelector!) { sensorDryRun(selectorData: $s, cursor: null) { __typename"
        " ... on PythonError { message } ... on DryRunInstigationTick { evaluationResult {"
        " skipReason error { message } runRequests { runKey } } } } }",
        {"s": {**_PLACE, "sensorName": f"{year_feed.FEED}_arrivals"}},
    ),
    "reloading the code location": (
        'mutation { reloadRepositoryLocation(repositoryLocationName: "xacct_assets")'
        " { __typename ... on PythonError { message } } }",
        {},
    ),
}


def main() -> int:
    """Measure, fill, measure, write the section; about five minutes."""
    say = Progress()
    first = datetime.now(UTC).date() - timedelta(days=DAYS)
    with tempfile.TemporaryDirectory(prefix="xacct-bench-") as scratch:
        feeds = year_feed.write(Path(scratch) / "feeds")
        definition = feeds / year_feed.FEED / "defs.yaml"
        text = definition.read_text(encoding="utf-8")
        definition.write_text(text.replace(year_feed.FIRST_DAY, first.isoformat()))
        settings = {"XACCT_SANDBOX_SPARK_WARM": "0", "XACCT_EXTRA_FEEDS_DIR": str(feeds)}
        with own_sandbox(say, settings) as config:
            variables = lifecycle.client_environment(config)
            folder = Path(scratch) / "dagster"
            with dagster_instance.running(folder, variables, say) as dagster:
                before = _measured(dagster, say)
                began = time.monotonic()
                home = str(folder / "home")
                with (
                    dg.DagsterInstance.from_config(home) as instance,
                    keep_databases_open(event_databases(instance)),
                ):
                    events = _fill(instance, first, say)
                filled = time.monotonic() - began
                say(f"{events:,} events are written")
                after = _measured(dagster, say)
                size = sum(
                    file.stat().st_size for file in folder.rglob("*") if file.suffix == ".db"
                )
    report.write_section("history", _section(before, after, events, filled, size, say))
    say(f"{report.REPORT.name} is written")
    return 0


def _measured(dagster: Dagster, say: Callable[[str], None]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in QUERIES}
    for turn in range(REPEATS + 1):  # the first is a rehearsal
        for name, (query, variables) in QUERIES.items():
            began = time.monotonic()
            dagster.ask(query, variables)
            if turn:
                found[name].append(time.monotonic() - began)
    for name, seconds in found.items():
        say(f"{name}: {report.spread(seconds)} s")
    return found


def _fill(instance: dg.DagsterInstance, first: date, say: Callable[[str], None]) -> int:
    """A run, five materializations and a check evaluation for every day; the number of events."""
    events = 0
    for number in range(DAYS):
        day = str(first + timedelta(days=number))
        run = dg.DagsterRun(
            job_name=f"{year_feed.FEED}_day",
            status=dg.DagsterRunStatus.SUCCESS,
            tags={"dagster/partition": day},
        )
        instance.add_run(run)
        for name in ASSETS:
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    dg.AssetKey([year_feed.FEED, name]),
                    partition=day,
                    metadata={"rows": 1000, "files": 1, "problem": "", "prefix": f"s3://raw/{day}"},
                    tags={"dagster/data_version": f"version-of-{day}"},
                )
            )
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey([year_feed.FEED, "s3_export"]),
                check_name=CHECK,
                passed=True,
                partition=day,
            )
        )
        events += len(ASSETS) + 1
        if number % 200 == 199:
            say(f"  {number + 1} days are written")
    return events


def _section(
    before: dict[str, list[float]],
    after: dict[str, list[float]],
    events: int,
    filled: float,
    size: int,
    say: Progress,
) -> str:
    parts = [
        f"## A history of {DAYS:,} days (`make bench BENCH=history`)",
        f"{report.circumstances(('dagster', 'dagster-webserver'))} {REPEATS} requests of each kind "
        f"after a rehearsal; the whole benchmark took {say.seconds:.0f} s.",
        "One running `dagster dev` (SQLite) receives the GraphQL queries of its UI, before and "
        f"after {events:,} events and {DAYS:,} runs were written through the instance's API "
        f"({filled:.0f} s, {size / 1e6:.0f} MB of databases). The feed has {DAYS:,} daily "
        "partitions in both cases.",
        report.table(
            ("", "empty (s)", f"{DAYS:,} days (s)", "ratio of medians"),
            [
                [
                    name,
                    report.spread(before[name]),
                    report.spread(after[name]),
                    f"{sorted(after[name])[REPEATS // 2] / sorted(before[name])[REPEATS // 2]:.1f}",
                ]
                for name in QUERIES
            ],
        ),
    ]
    return "\n\n".join(report.wrapped(part) for part in parts)
