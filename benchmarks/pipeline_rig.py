"""Both systems up at the same time on one sandbox, run one after the other, each run watched."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3

from benchmarks import dagster_instance, processes, year_feed
from benchmarks.airflow import deployment, instance
from benchmarks.observation import CRAWL, JOB, Services, Work, asked, busy_seconds, known_after
from benchmarks.own_sandbox import own_sandbox
from xacct_sandbox.daemon import latency, lifecycle, profiles, request_log
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.sample_data import ProductFile

ROWS_A_DAY = 1000
KEY_SECONDS = 3600
OURS, FAST, DEFAULTS, MANY = "ours", "reference_fast", "reference_defaults", "reference_many"
YEAR = [date.fromisoformat(year_feed.FIRST_DAY) + timedelta(days=number) for number in range(365)]
SINGLE_DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(40)]
MONTHS = [
    [date(2026, 3, 1) + timedelta(days=30 * month + day) for day in range(30)] for month in range(6)
]

Say = Callable[[str], None]


@dataclass
class Observed:
    """One run, or one backfill."""

    wall: float
    """Seconds from the request to the end that the orchestrator itself noted."""
    busy: float
    """Seconds of it in which a service was at work."""
    first_call: float
    """Seconds from the request to the first AWS call."""
    calls: int
    """AWS calls, less the reading of the data files."""
    by_operation: dict[str, int]
    processor: float
    """Processor seconds of the orchestrator's processes."""
    crawls: list[float]
    """Seconds of each crawl."""
    jobs: list[float]
    """Seconds of each job run."""
    known: list[tuple[str, float, float]] = field(default_factory=list)
    """Kind, seconds of work, and seconds until the orchestrator saw its end."""
    memory: int = 0
    """Most bytes (PSS) of all the orchestrator's processes together; 0: not looked at."""

    @property
    def overhead(self) -> float:
        """Seconds in which no service was at work."""
        return self.wall - self.busy

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Rig:
    """The sandbox and the two systems."""

    config: SandboxConfig
    airflow: instance.Airflow
    dagster: dagster_instance.Dagster
    services: Services
    say: Say
    folder: Path
    variables: dict[str, str]
    """Environment of our Dagster's processes."""
    _next: Iterator[date] = field(default_factory=lambda: iter(SINGLE_DAYS))

    # -- runs ----------------------------------------------------------------------------------

    def new_day(self) -> date:
        """A day that no system has run."""
        return next(self._next)

    def one_day(self, system: str, day: date, *, memory: bool = False) -> Observed:
        """A day through one system."""

        def run() -> float:
            if system == OURS:
                return self.dagster.wait(self.dagster.launch(year_feed.FEED, day), 300).ended
            run_id = self.airflow.trigger(system, day)
            return self.airflow.wait(system, [run_id], 900)[0].ended

        return self._observed(system, run, every=1.0 if memory else None)

    def range_run(self, days: Sequence[date]) -> Observed:
        """Our days as a range in one run."""

        def run() -> float:
            run_id = self.dagster.launch(year_feed.FEED, days[0], days[-1])
            return self.dagster.wait(run_id, 900).ended

        return self._observed(OURS, run, every=2.0)

    def backfill(self, system: str, days: Sequence[date]) -> Observed:
        """The days as a backfill: for the reference a DAG run each, 16 of them at a time."""

        def run() -> float:
            if system == OURS:
                backfill = self.dagster.backfill(year_feed.FEED, list(days))
                return self.dagster.wait_for_backfill(backfill, 1800)
            run_ids = [self.airflow.trigger(system, day) for day in days]
            return max(run.ended for run in self.airflow.wait(system, run_ids, 1800))

        return self._observed(system, run, every=4.0)

    def staggered(self, system: str, days: Sequence[date], apart: float) -> list[float]:
        """Walls of days that are begun one after the other while earlier ones still wait."""
        begun = []
        for day in days:
            began = time.time()
            begun.append((self.airflow.trigger(system, day), began))
            time.sleep(apart)
        ended = {
            run.run_id: run.ended for run in self.airflow.wait(system, [r for r, _ in begun], 900)
        }
        return [ended[run_id] - began for run_id, began in begun]

    def _observed(self, system: str, run: Callable[[], float], every: float | None) -> Observed:
        pids = self._pids(system)
        spent = processes.processor_seconds(_trees(pids))
        with ExitStack() as stack:
            peaks = stack.enter_context(processes.watched(lambda: pids, every)) if every else None
            began = time.time()
            ended = run()
        processor = processes.processor_seconds(_trees(pids)) - spent
        made = request_log.fetch(self.config, began)
        mine = asked(made, self.config.input_bucket)
        work = self.services.work(*self._names(system), began)
        return Observed(
            wall=ended - began,
            busy=busy_seconds(work, began, ended),
            first_call=min(call.at for call in mine) - began,
            calls=len(mine),
            by_operation=dict(Counter(f"{call.service} {call.operation}" for call in mine)),
            processor=processor,
            crawls=_seconds(work, CRAWL),
            jobs=_seconds(work, JOB),
            known=known_after(work, made),
            memory=peaks.together if peaks else 0,
        )

    def _pids(self, system: str) -> list[int]:
        return self.dagster.pids if system == OURS else self.airflow.pids

    def _names(self, system: str) -> tuple[str, str]:
        """Of its crawler and its job."""
        name = f"xacct-{self.config.suffix}-{year_feed.FEED if system == OURS else 'reference'}"
        return name, f"{name}-light" if system == MANY else name

    @contextmanager
    def stock(self) -> Iterator[Rig]:
        """The same with a second `dagster dev`, which has Dagster's default settings."""
        with dagster_instance.running(
            self.folder / "stock", self.variables, self.say, settings="telemetry: {enabled: false}"
        ) as dagster:
            yield replace(self, dagster=dagster)

    # -- with nothing to do --------------------------------------------------------------------

    def idle(self, seconds: float) -> dict[str, dict[str, float]]:
        """Memory, processor use and AWS calls of each system while nobody asks for anything."""
        before = {s: processes.processor_seconds(_trees(self._pids(s))) for s in (OURS, FAST)}
        began = time.time()
        time.sleep(seconds)
        made = len(asked(request_log.fetch(self.config, began), self.config.input_bucket))
        idle = {}
        for system, spent in before.items():
            peaks = processes.Peaks()
            peaks.look(self._pids(system))
            now = processes.processor_seconds(_trees(self._pids(system)))
            idle[system] = {
                "memory": peaks.together,
                "processes": len(_trees(self._pids(system))),
                "processor_share": (now - spent) / seconds,
            }
        idle["both"] = {"calls": made}
        return idle

    # -- the sandbox ---------------------------------------------------------------------------

    def fix_times(self, text: str) -> None:
        """Service times from now on; what did not fit before is forgotten."""
        latency.overruns_path(self.config).unlink(missing_ok=True)
        latency.write(self.config, latency.parse(text))

    def overruns(self) -> Counter[str]:
        """How much work of each kind took longer than its fixed time."""
        path = latency.overruns_path(self.config)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return Counter(line.split('"kind": "')[1].split('"')[0] for line in lines)

    def rows_exported(self, prefix: str, day: date) -> int:
        """What the manifest of a day's export says."""
        s3 = profiles.client(self.config, "account-a-admin", "s3")
        bucket = f"sample-opt-bucket-etl-{self.config.suffix}"
        key = f"{prefix}/{day:%Y/%m/%d}/manifest"
        manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return sum(entry["meta"]["record_count"] for entry in manifest["entries"])


def _trees(pids: Sequence[int]) -> list[int]:
    return [below for pid in pids for below in processes.tree(pid)]


def _seconds(work: Sequence[Work], kind: str) -> list[float]:
    return [each.seconds for each in work if each.kind == kind]


@contextmanager
def rig(programs: Path, say: Say) -> Iterator[Rig]:
    """Sandbox, files, Airflow and `dagster dev`; all ended afterwards.

    Both systems get the same session keys of the orchestrator role, as MWAA and ECS hand keys to
    their tasks: neither calls STS for itself.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xacct-bench-")))
        folder.chmod(0o755)
        feeds = year_feed.write(folder / "feeds")
        config = stack.enter_context(own_sandbox(say, {"XACCT_EXTRA_FEEDS_DIR": str(feeds)}))
        days = [*YEAR, *SINGLE_DAYS, *(day for month in MONTHS for day in month)]
        land(config, days)
        say(f"{len(days)} days have landed")
        reference = deployment.deploy(config)
        say("the reference's crawler, job and tables are deployed")
        keys = profiles.client(config, "developer", "sts").assume_role(
            RoleArn=config.orchestrator_role_arn,
            RoleSessionName="benchmark",
            DurationSeconds=KEY_SECONDS,
        )["Credentials"]
        variables = _variables(config, keys)
        airflow = stack.enter_context(
            instance.running(
                programs, folder / "airflow", {**variables, **reference.variables}, say
            )
        )
        dagster = stack.enter_context(dagster_instance.running(folder / "dagster", variables, say))
        session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], config.region
        )
        yield Rig(config, airflow, dagster, Services(config, session), say, folder, variables)


def _variables(config: SandboxConfig, keys: dict[str, Any]) -> dict[str, str]:
    ours = lifecycle.client_environment(config)
    wanted = {
        name: value
        for name, value in ours.items()
        if name.startswith(("AWS_", "XACCT_", "SSL_")) and name != "AWS_PROFILE"
    }
    return {
        **wanted,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def land(config: SandboxConfig, days: Sequence[date]) -> None:
    """A file of products for each day."""
    s3 = profiles.client(config, "account-a-admin", "s3")

    def put(day: date) -> None:
        s3.put_object(
            Bucket=config.input_bucket,
            Key=f"{year_feed.FEED}/{day:%Y/%m/%d}/products.csv",
            Body=b"".join(ProductFile(seed=1, day=day, rows=ROWS_A_DAY).chunks()),
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, days))
