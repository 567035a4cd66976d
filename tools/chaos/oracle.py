"""What must hold once everything is at rest: every day's content, and nothing left over.

What a day must hold is computed from its raw files by `tests.support.truth`, not by the
pipeline, and compared value by value with the fact table and with the files in account A's export
bucket.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow.parquet

from tests.support.truth import Truth, truth_of
from tools.chaos.world import Beside, World
from xacct_assets.feed.spec import FeedSpec

Kind = Literal[
    "lost",
    "doubled",
    "changed",
    "unbalanced",
    "staging",
    "stray",
    "orphaned",
    "twice at once",
    "secret",
    "hung",
    "unsettled",
    "suite",
]
SHOWN = 3


@dataclass(frozen=True)
class Problem:
    """Something that does not hold."""

    kind: Kind
    where: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return asdict(self)


def judge_days(world: World, beside: Beside) -> Iterator[Problem]:
    """Every day of both feeds, and that nothing changed beside them.

    Args:
        beside: what was there of other days before the seed.
    """
    for name, feed in world.feeds.items():
        facts = _by_day(world, feed, feed.warehouse.fact)
        staged = _by_day(world, feed, feed.warehouse.staging)
        load_audit = _load_audit(world, feed)
        failed = _failed_loads(world, name)
        for day in world.days:
            where = f"{name} {day}"
            bodies = world.raw(name, day)
            if not bodies:
                yield Problem("suite", where, "a schedule must leave no day without files")
                continue
            truth = truth_of(feed, bodies)
            yield from _compare(where, "fact table", truth, facts.pop(day, []))
            yield from _export(world, name, day, truth)
            yield from _rejects(world, name, day, truth, load_audit.get(day), failed)
            if rows := staged.pop(day, []):
                yield Problem("staging", where, f"{len(rows)} rows are left in staging")
            if day not in load_audit or not load_audit[day][1]:
                yield Problem("unbalanced", where, "the load audit table has no finished load")
    now = world.beside()
    for key in sorted(now.keys ^ beside.keys):
        yield Problem("stray", "beside", f"{key} is of no day of the seed, and came or went")
    for table, day in {key for key, _ in now.rows.items() ^ beside.rows.items()}:
        yield Problem("doubled", "beside", f"rows of {day} in {table} came or went")


# -- rows ------------------------------------------------------------------------------------------


def _compare(where: str, what: str, truth: Truth, found: list[dict[str, Any]]) -> Iterator[Problem]:
    wanted = Counter(_frozen(row) for row in truth.rows)
    there = Counter(_frozen(row) for row in found)
    missing, extra = list((wanted - there).elements()), list((there - wanted).elements())
    if not missing and not extra:
        return
    about = f"{what}: missing {missing[:SHOWN]}, not to be there {extra[:SHOWN]}"
    if len(found) < len(truth.rows):
        yield Problem("lost", where, f"{len(found)} rows of {len(truth.rows)} in the {about}")
    elif len(found) > len(truth.rows):
        yield Problem("doubled", where, f"{len(found)} rows for {len(truth.rows)} in the {about}")
    else:
        yield Problem("changed", where, f"{len(missing)} rows are others in the {about}")


def _frozen(row: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(row.items(), key=lambda item: item[0]))


def _by_day(world: World, feed: FeedSpec, table: str) -> dict[date, list[dict[str, Any]]]:
    names = feed.column_names()
    rows: dict[date, list[dict[str, Any]]] = {}
    select = f"SELECT partition_date, {', '.join(names)} FROM {table}"
    bounds = (world.days[0], world.days[-1])
    for day, *values in world.sql(f"{select} WHERE partition_date BETWEEN %s AND %s", bounds):
        rows.setdefault(day, []).append(dict(zip(names, values, strict=True)))
    return rows


def _load_audit(world: World, feed: FeedSpec) -> dict[date, tuple[str, bool]]:
    """Work id of the last load of each day, and whether it was transformed."""
    found = world.sql(
        "SELECT partition_date, load_id, transformed_at IS NOT NULL "
        f"FROM {feed.warehouse.load_audit} WHERE feed = %s",
        (feed.name,),
    )
    return {day: (load_id, bool(done)) for day, load_id, done in found}


# -- export and rejects ----------------------------------------------------------------------------


def _export(world: World, name: str, day: date, truth: Truth) -> Iterator[Problem]:
    where = f"{name} {day}"
    found = world.exported(name, day)
    prefix = world.export_prefix(name, day)
    text = found.pop(f"{prefix}manifest", None)
    if text is None:
        yield Problem("lost", where, "the export has no manifest")
        return
    manifest = json.loads(text)
    root = f"s3://{world.export_bucket}/"
    named = {
        unquote(entry["url"].removeprefix(root)): entry["meta"] for entry in manifest["entries"]
    }
    for key in sorted(set(found) - set(named)):
        yield Problem("stray", where, f"{key} is not in the manifest")
    for key in sorted(set(named) - set(found)):
        yield Problem("lost", where, f"{key} of the manifest is not there")
    rows = []
    for key, body in sorted(found.items()):
        table = pyarrow.parquet.read_table(io.BytesIO(body))
        if key in named and named[key]["record_count"] != table.num_rows:
            yield Problem("unbalanced", where, f"{key} has not the rows the manifest says")
        rows += table.to_pylist()
    if manifest["meta"]["record_count"] != len(truth.rows):
        yield Problem(
            "unbalanced",
            where,
            f"{truth.read} raw rows are {truth.rejected} rejected and {len(truth.rows)} good ones, "
            f"the manifest counts {manifest['meta']['record_count']}",
        )
    if any(row.pop("partition_date") != day for row in rows):
        yield Problem("changed", where, "the export has rows of another day")
    yield from _compare(where, "export", truth, rows)


def _rejects(
    world: World,
    name: str,
    day: date,
    truth: Truth,
    load: tuple[str, bool] | None,
    failed: set[str],
) -> Iterator[Problem]:
    """The account of rejected rows; only loads that failed may have left files it does not name.

    The next load of the day takes those away.
    """
    where = f"{name} {day}"
    found = world.rejects(name, day)
    text = found.pop(f"{world.rejects_prefix(name, day)}manifest.json", None)
    if text is None:
        yield Problem("lost", where, "there is no account of rejected rows")
        return
    manifest = json.loads(text)
    if manifest["rejected_rows"] != truth.rejected:
        yield Problem(
            "unbalanced",
            where,
            f"{manifest['rejected_rows']} rows were rejected, {truth.rejected} had to be",
        )
    if load is not None and manifest["load_id"] != load[0]:
        yield Problem("unbalanced", where, "the account of rejected rows is of another load")
    for key in sorted(set(found) - {file["key"] for file in manifest["files"]}):
        load_id = key.removeprefix(world.rejects_prefix(name, day)).partition("/")[0]
        if load_id not in failed:
            yield Problem("stray", where, f"{key} is not in the account of rejected rows")


def _failed_loads(world: World, name: str) -> set[str]:
    """Work ids of loads that never succeeded."""
    pages = world.glue.get_paginator("get_job_runs").paginate(JobName=world.job_name(name))
    runs = [run for page in pages for run in page["JobRuns"]]
    succeeded = [run for run in runs if run["JobRunState"] == "SUCCEEDED"]
    return _work_ids(runs) - _work_ids(succeeded)


def _work_ids(runs: list[dict[str, Any]]) -> set[str]:
    return {run["Arguments"]["--load_id"] for run in runs}
