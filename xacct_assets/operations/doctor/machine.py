"""Where the Dagster instance lives: a disk that several writers can share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from xacct_assets.aws.errors import InvalidRequest
from xacct_assets.operations.doctor.findings import Caution

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec

# Run launchers whose runs are on other machines or in other containers.
_ELSEWHERE = ("dagster_aws", "dagster_k8s", "dagster_celery", "dagster_docker")
# File systems of the network (names in /proc/mounts), on which SQLite's locks cannot be relied on
# (SQLite FAQ, "Can multiple applications access a single database file at the same time?").
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.s3fs", "glusterfs")
#: Bytes below which the disk is nearly full, and its share.
_LEAST, _LEAST_SHARE = 1_000_000_000, 0.05


def dagster_home() -> str | Caution:
    """The home of the Dagster instance exists, on a local disk with room."""
    named = os.environ.get("DAGSTER_HOME", "").strip()
    if not named:
        return Caution(
            "DAGSTER_HOME is not set: `dg dev` forgets its runs when it ends",
            "`DAGSTER_HOME=<absolute folder>` in .env",
        )
    home = Path(named)
    if not home.is_absolute() or not home.is_dir():
        raise InvalidRequest(
            f"DAGSTER_HOME is {named}, which is "
            + ("no folder" if home.is_absolute() else "no absolute path"),
            fix=f"`mkdir -p {home}`" if home.is_absolute() else "give an absolute path in .env",
        )
    if not os.access(home, os.W_OK):
        raise InvalidRequest(f"DAGSTER_HOME {home} cannot be written to", fix=f"chown {home}")
    instance = _instance(home)
    storage, launcher = _storage(instance), _launcher(instance)
    system = _file_system(home)
    if storage is None and launcher.startswith(_ELSEWHERE):
        raise InvalidRequest(
            f"{launcher} starts runs on other machines, and the instance keeps SQLite files",
            reason="they cannot write to the files of this machine",
            fix=f"use PostgreSQL: `storage:` in {home}/dagster.yaml",
        )
    if storage is None and system in _NETWORK:
        raise InvalidRequest(
            f"DAGSTER_HOME {home} is on a network file system ({system}) and keeps SQLite files",
            reason="SQLite's locks do not hold there: runs and events are lost or blocked",
            fix="use a local disk, or PostgreSQL (`storage:` in dagster.yaml)",
        )
    usage = shutil.disk_usage(home)
    if usage.free < _LEAST or usage.free < _LEAST_SHARE * usage.total:
        return Caution(
            f"the disk of {home} is nearly full: {usage.free:,} of {usage.total:,} bytes are free",
            "delete old runs in the UI, or give it a larger disk",
        )
    return f"{home} on {system or 'a local disk'}, {storage or 'SQLite'}"


def backfill_limits(feeds: Sequence[FeedSpec]) -> str | Caution:
    """The instance starts no more runs of a feed at a time than its Glue job may have."""
    home = Path(os.environ.get("DAGSTER_HOME", "").strip() or "/nonexistent")
    instance = _instance(home)
    if not instance:
        return "the instance has no dagster.yaml: Dagster's defaults"
    pools = (instance.get("concurrency") or {}).get("pools") or {}
    limit = pools.get("default_limit")
    if limit is None:
        return Caution(
            f"{home}/dagster.yaml sets no limit on runs of a feed: a backfill's start at once",
            "add `concurrency: {pools: {default_limit: 1, granularity: run}}` to it",
        )
    low = [feed for feed in feeds if feed.load.max_concurrent_runs < limit]
    if low:
        return Caution(
            f"the instance starts {limit} runs of a feed at a time; the Glue job of "
            + ", ".join(f"{feed.name} has {feed.load.max_concurrent_runs}" for feed in low),
            "lower concurrency.pools.default_limit in dagster.yaml, or raise "
            "load.max_concurrent_runs in defs.yaml and deploy",
        )
    return f"{limit} run{'' if limit == 1 else 's'} of a feed at a time, as its Glue job allows"


def _instance(home: Path) -> dict[str, Any]:
    """The settings of the instance; empty without a dagster.yaml."""
    path = home / "dagster.yaml"
    if not path.is_file():
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"{path} cannot be read",
            reason=" ".join(str(error).split()),
            fix="correct it; `dagster instance info` reads it too",
        ) from error
    return document if isinstance(document, dict) else {}


def _storage(instance: dict[str, Any]) -> str | None:
    """The database of the instance; None if it is SQLite."""
    storage = instance.get("storage")
    if not isinstance(storage, dict) or "sqlite" in storage:
        return None
    return next(iter(storage), None)


def _launcher(instance: dict[str, Any]) -> str:
    launcher = instance.get("run_launcher")
    return str(launcher.get("module", "")) if isinstance(launcher, dict) else ""


def _file_system(path: Path) -> str | None:
    """The type of the file system, on Linux."""
    mounts = Path("/proc/mounts")
    if not mounts.is_file():
        return None
    resolved = path.resolve()
    best, kind = "", None
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, type_, *_ = line.split(" ")
        inside = point == "/" or resolved == Path(point) or Path(point) in resolved.parents
        if inside and len(point) >= len(best):
            best, kind = point, type_
    return kind
