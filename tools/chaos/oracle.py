"""Checks every day's content after recovery, and that other days did not change.

The expected content is computed from the raw files by `tests.support.truth`, without the pipeline's
code. It is compared value by value with the fact table and with the exported files in account A.
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
from tools.chaos.accounts import Accounts, OtherDays
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
    """An expectation that does not hold."""

    kind: Kind
    where: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """The fields, for JSON."""
        return asdict(self)


def check_days(accounts: Accounts, other_days: OtherDays) -> Iterator[Problem]:
    """Check every day of both feeds, and that other days did not change.

    Args:
        accounts: the accounts of the seed.
        other_days: data of other days before the seed.
    """
    for name, feed in accounts.feeds.items():
        facts = _by_day(accounts, feed, feed.warehouse.fact)
        staged = _by_day(accounts, feed, feed.warehouse.staging)
        load_audit = _load_audit(accounts, feed)
        failed = _failed_loads(accounts, name)
        for day in accounts.days:
            where = f"{name} {day}"
            bodies = accounts.raw(name, day)
            if not bodies:
                yield Problem("suite", where, "a schedule must leave no day without files")
                continue
            truth = truth_of(feed, bodies)
            yield from _compare(where, "fact table", truth, facts.pop(day, []))
            yield from _export(accounts, name, day, truth)
            yield from _rejects(accounts, name, day, truth, load_audit.get(day), failed)
            if rows := staged.pop(day, []):
                yield Problem("staging", where, f"{len(rows)} rows are left in staging")
            if day not in load_audit or not load_audit[day][1]:
                yield Problem("unbalanced", where, "the load audit table has no finished load")
    now = accounts.other_days()
    for key in sorted(now.keys ^ other_days.keys):
        yield Problem("stray", "other days", f"{key} of another day was added or removed")
    for table, day in {key for key, _ in now.rows.items() ^ other_days.rows.items()}:
        yield Problem("doubled", "other days", f"rows of {day} in {table} were added or removed")


# -- rows ------------------------------------------------------------------------------------------


def _compare(
    where: str, label: str, truth: Truth, found: list[dict[str, Any]]
) -> Iterator[Problem]:
    expected = Counter(_frozen(row) for row in truth.rows)
    actual = Counter(_frozen(row) for row in found)
    missing, extra = list((expected - actual).elements()), list((actual - expected).elements())
    if not missing and not extra:
        return
    difference = f"{label}: missing {missing[:SHOWN]}, unexpected {extra[:SHOWN]}"
    if len(found) < len(truth.rows):
        yield Problem("lost", where, f"{len(found)} rows of {len(truth.rows)} in the {difference}")
    elif len(found) > len(truth.rows):
        yield Problem(
            "doubled", where, f"{len(found)} rows for {len(truth.rows)} in the {difference}"
        )
    else:
        yield Problem("changed", where, f"{len(missing)} rows differ in the {difference}")


def _frozen(row: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(row.items(), key=lambda item: item[0]))


def _by_day(accounts: Accounts, feed: FeedSpec, table: str) -> dict[date, list[dict[str, Any]]]:
    names = feed.column_names()
    rows: dict[date, list[dict[str, Any]]] = {}
    select = f"SELECT partition_date, {', '.join(names)} FROM {table}"
    bounds = (accounts.days[0], accounts.days[-1])
    for day, *values in accounts.sql(f"{select} WHERE partition_date BETWEEN %s AND %s", bounds):
        rows.setdefault(day, []).append(dict(zip(names, values, strict=True)))
    return rows


def _load_audit(accounts: Accounts, feed: FeedSpec) -> dict[date, tuple[str, bool]]:
    """Load id of each day's last load, and whether it was transformed."""
    found = accounts.sql(
        "SELECT partition_date, load_id, transformed_at IS NOT NULL "
        f"FROM {feed.warehouse.load_audit} WHERE feed = %s",
        (feed.name,),
    )
    return {day: (load_id, bool(done)) for day, load_id, done in found}


# -- export and rejects ----------------------------------------------------------------------------


def _export(accounts: Accounts, name: str, day: date, truth: Truth) -> Iterator[Problem]:
    where = f"{name} {day}"
    found = accounts.exported(name, day)
    prefix = accounts.export_prefix(name, day)
    text = found.pop(f"{prefix}manifest", None)
    if text is None:
        yield Problem("lost", where, "the export has no manifest")
        return
    manifest = json.loads(text)
    root = f"s3://{accounts.export_bucket}/"
    named = {
        unquote(entry["url"].removeprefix(root)): entry["meta"] for entry in manifest["entries"]
    }
    for key in sorted(set(found) - set(named)):
        yield Problem("stray", where, f"{key} is not in the manifest")
    for key in sorted(set(named) - set(found)):
        yield Problem("lost", where, f"{key} of the manifest does not exist")
    rows = []
    for key, body in sorted(found.items()):
        table = pyarrow.parquet.read_table(io.BytesIO(body))
        if key in named and named[key]["record_count"] != table.num_rows:
            yield Problem("unbalanced", where, f"{key} has another row count than the manifest")
        rows += table.to_pylist()
    if manifest["meta"]["record_count"] != len(truth.rows):
        yield Problem(
            "unbalanced",
            where,
            f"of {truth.read} raw rows {truth.rejected} are rejected and {len(truth.rows)} valid, "
            f"the manifest counts {manifest['meta']['record_count']}",
        )
    if any(row.pop("partition_date") != day for row in rows):
        yield Problem("changed", where, "the export has rows of another day")
    yield from _compare(where, "export", truth, rows)


def _rejects(
    accounts: Accounts,
    name: str,
    day: date,
    truth: Truth,
    load: tuple[str, bool] | None,
    failed: set[str],
) -> Iterator[Problem]:
    """Check the manifest of rejected rows.

    Only failed loads may have left files that it does not name; the next load deletes them.
    """
    where = f"{name} {day}"
    found = accounts.rejects(name, day)
    text = found.pop(f"{accounts.rejects_prefix(name, day)}manifest.json", None)
    if text is None:
        yield Problem("lost", where, "there is no manifest of rejected rows")
        return
    manifest = json.loads(text)
    if manifest["rejected_rows"] != truth.rejected:
        yield Problem(
            "unbalanced",
            where,
            f"{manifest['rejected_rows']} rows were rejected, expected {truth.rejected}",
        )
    if load is not None and manifest["load_id"] != load[0]:
        yield Problem("unbalanced", where, "the manifest of rejected rows is of another load")
    for key in sorted(set(found) - {file["key"] for file in manifest["files"]}):
        load_id = key.removeprefix(accounts.rejects_prefix(name, day)).partition("/")[0]
        if load_id not in failed:
            yield Problem("stray", where, f"{key} is not in the manifest of rejected rows")


def _failed_loads(accounts: Accounts, name: str) -> set[str]:
    """Load ids without a job run that succeeded."""
    pages = accounts.glue.get_paginator("get_job_runs").paginate(JobName=accounts.job_name(name))
    runs = [run for page in pages for run in page["JobRuns"]]
    succeeded = [run for run in runs if run["JobRunState"] == "SUCCEEDED"]
    return _load_ids(runs) - _load_ids(succeeded)


def _load_ids(runs: list[dict[str, Any]]) -> set[str]:
    return {run["Arguments"]["--load_id"] for run in runs}
