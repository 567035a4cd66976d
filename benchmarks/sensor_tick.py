"""What a tick of the arrival sensor costs, by the objects inside and outside its window.

Against the sandbox's S3 for what that holds, and against a listing server (``s3_listing.py``) for
the rest, whose answers are compared with the sandbox's in the same run. `main` fails if a count is
not what the design says: this is a check as well as a measurement.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

import boto3
import dagster as dg
from botocore.config import Config

from benchmarks import report
from benchmarks.own_sandbox import Progress, environment, own_sandbox
from benchmarks.s3_listing import HOST, PAGE, keys_of
from benchmarks.sensor_rig import (
    SensorRig,
    Tick,
    folder,
    inside,
    outside,
    products_feed,
    window_days,
)
from xacct_assets.feed.arrival import sensor as product
from xacct_sandbox.daemon import env_file
from xacct_sandbox.daemon.config import SandboxConfig

REPEATS = 3
WINDOWS = (1, 1_000, 50_000)
MILLION = 1_000_000
SANDBOX_WINDOWS = (1, 1_000)
#: Seconds for putting objects outside the window into the sandbox: as many as that gives.
SANDBOX_LOADING_SECONDS = 20.0
#: Seconds of listing in the ticks that are to be too short (the product's: LISTING_SECONDS).
SHORT_LISTING_SECONDS = 0.3
_STATES = ("first look", "quiet", "one changed")


class NotAsDesigned(Exception):
    """A count differs from what the design says."""


def main() -> int:
    """Measure everything and write the section; about three minutes."""
    say = Progress()
    with (
        tempfile.TemporaryDirectory(prefix="xacct-bench-") as scratch,
        own_sandbox(say, {"XACCT_SANDBOX_SPARK_WARM": "0"}) as config,  # nothing is loaded here
    ):
        bench = Bench(config, Path(scratch), say)
        small, compared = bench.sandbox()
        large, sweeps, short = bench.listing_server()
    report.write_section("sensor", _section(small, large, sweeps, short, compared, say))
    say(f"{report.REPORT.name} is written")
    return 0


@dataclass
class Case:
    """So many objects inside and outside, and the ticks over them by state."""

    within: int
    without: int
    days: int
    ticks: dict[str, list[Tick]] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """What a look at the window must cost: a request per day, and per further page."""
        return self.days + (self.within - 1) // PAGE

    def seconds(self, state: str) -> list[float]:
        return [tick.seconds for tick in self.ticks[state]]

    @property
    def processor(self) -> float:
        """Seconds of the processor for all ticks."""
        return sum(tick.cpu for ticks in self.ticks.values() for tick in ticks)

    def check(self) -> None:
        """Raises NotAsDesigned, naming the case and the tick."""
        for state, ticks in self.ticks.items():
            for tick in ticks:
                if tick.window != self.calls or tick.elsewhere:
                    raise NotAsDesigned(
                        f"{self.within:,} inside, {self.without:,} outside, {state}: {tick.window} "
                        f"requests for the window and {tick.elsewhere} elsewhere; {self.calls} "
                        "and 0 were expected"
                    )
                asks = state in ("first look", "settled")
                if len(tick.requested) != asks:
                    raise NotAsDesigned(f"{state}: it asked for {tick.requested or 'nothing'}")


@dataclass
class Sweeps:
    """Ticks in which the sweep has its turn, over a window of one object."""

    without: int
    ticks: list[Tick]


@dataclass
class Short:
    """A day too long for a tick."""

    within: int
    ticks: list[Tick]
    calls: int


class Bench:
    """The measurements. Boto3 takes endpoint and identity from the environment, as in production.

    Args:
        config: a sandbox with both accounts deployed.
        scratch: where Dagster instances are kept.
        say: for progress.
    """

    def __init__(self, config: SandboxConfig, scratch: Path, say: Progress) -> None:
        self._config = config
        self._scratch = scratch
        self._say = say
        self._today = datetime.now(UTC).date()
        self._feed = products_feed(self._today)
        self._instances = 0

    # The sandbox

    def sandbox(self) -> tuple[list[Case], str]:
        """Few objects, but the whole way: TLS, an assumed role, the policies of both accounts."""
        cases: list[Case] = []
        bucket = self._config.input_bucket
        with environment(env_file.variables(self._config)):
            loader = _Loader(bucket)
            within = keys_of(inside(self._feed, self._today, max(SANDBOX_WINDOWS)))
            put = 0
            for count in SANDBOX_WINDOWS:
                loader.put(within[put:count])
                put = count
                cases += self._cases("sandbox", (bucket, count, 0))
            # In any order, so that what fits into the time is spread as the whole would be.
            others = keys_of(outside(self._feed, self._today, 20_000))
            random.Random(1).shuffle(others)  # noqa: S311 -- an order, no secret
            stored = loader.put(others, SANDBOX_LOADING_SECONDS)
            self._say(f"sandbox: {stored:,} objects put outside the window")
            cases += self._cases("sandbox", (bucket, put, stored))
            compared = self._compare(sorted([*within, *others[:stored]]), within)
            loader.delete(within[1:])
            cases += self._cases("sandbox", (bucket, 1, stored))
        return sorted(cases, key=lambda case: (case.within, case.without)), compared

    def _compare(self, keys: Sequence[str], within: Sequence[str]) -> str:
        """The listing server over the same keys must give the sandbox's very answers."""
        bucket = self._config.input_bucket
        with _listing_server({bucket: {"folders": [], "keys": keys}}) as endpoint:
            sandbox = _s3()
            with environment({**os.environ, "AWS_ENDPOINT_URL_S3": endpoint}):
                server = _s3()
            questions = _questions(keys, within)
            pages = 0
            for question in questions:
                from_sandbox = _answers(sandbox, {"Bucket": bucket, **question})
                ours = _answers(server, {"Bucket": bucket, **question})
                pages += len(from_sandbox)
                if from_sandbox != ours:
                    raise NotAsDesigned(
                        f"the listing server and the sandbox differ on {question}:\n"
                        f"{str(ours)[:1000]}\nsandbox:\n{str(from_sandbox)[:1000]}"
                    )
        compared = f"{len(questions)} listings ({pages} pages) of the same {len(keys):,} keys"
        self._say(f"the listing server answers as the sandbox does: {compared}")
        return compared

    # The listing server

    def listing_server(self) -> tuple[list[Case], list[Sweeps], Short]:
        """Up to a million objects; the identity is the sandbox's, S3 is the listing server."""
        buckets = {
            _bucket(within, without): {
                "folders": [
                    *inside(self._feed, self._today, within),
                    *outside(self._feed, self._today, without),
                ],
                "keys": [],
            }
            for within in WINDOWS
            for without in (0, MILLION)
        }
        with (
            _listing_server(buckets) as endpoint,
            environment({**env_file.variables(self._config), "AWS_ENDPOINT_URL_S3": endpoint}),
        ):
            self._say(f"listing server: {len(buckets)} buckets are ready")
            # Before any object is changed.
            sweeps = [self._sweeps(_bucket(1, without), without) for without in (0, MILLION)]
            short = self._short(_bucket(max(WINDOWS), MILLION), max(WINDOWS))
            cases = [
                case
                for within in WINDOWS
                for case in self._cases(
                    "listing server",
                    (_bucket(within, 0), within, 0),
                    (_bucket(within, MILLION), within, MILLION),
                )
            ]
        return cases, sweeps, short

    def _sweeps(self, bucket: str, without: int) -> Sweeps:
        rig = self._rig(bucket)
        rig.tick()
        turns = [rig.tick(after=60) for _ in range(REPEATS)]
        self._say(f"the sweep's turns with {without:,} outside: {_summary(turns)}")
        return Sweeps(without, turns)

    def _short(self, bucket: str, within: int) -> Short:
        """A long day in ticks with too little time; only the cursor's text goes on to the next."""
        usual = product.LISTING_SECONDS
        product.LISTING_SECONDS = SHORT_LISTING_SECONDS
        try:
            rig = self._rig(bucket, sweep_days_back=0)
            ticks = [rig.tick()]
            while not ticks[-1].requested:
                if len(ticks) > 100:
                    raise NotAsDesigned(f"{within:,} objects are not listed after 100 ticks")
                ticks.append(rig.tick(after=30))
        finally:
            product.LISTING_SECONDS = usual
        case = Case(within, 0, len(window_days(self._feed, self._today)))
        listed = sum(tick.window for tick in ticks)
        if listed > case.calls:
            raise NotAsDesigned(
                f"{listed} requests in {len(ticks)} ticks, {case.calls} in one: pages came twice"
            )
        self._say(f"{within:,} objects in short ticks: {len(ticks)} ticks, {_summary(ticks)}")
        return Short(within, ticks, case.calls)

    # Cases

    def _cases(self, where: str, *kinds: tuple[str, int, int]) -> list[Case]:
        """All states of the window, without the sweep (which is measured by itself).

        The cases of (bucket, inside, outside) take turns, so that whatever else the machine is busy
        with falls on each of them alike.
        """
        rigs = [self._rig(bucket, sweep_days_back=0) for bucket, _, _ in kinds]
        cases = [
            Case(within, without, len(window_days(self._feed, self._today)))
            for _, within, without in kinds
        ]

        def measure(state: str, after: float = 0, *, keep: bool = True) -> None:
            for rig, case in zip(rigs, cases, strict=True):
                case.ticks.setdefault(state, []).append(rig.tick(after, keep=keep))

        for rig in rigs:
            # The first request connects, and assumes the role.
            rig.aws.raw_bucket(rig.feed).list_page("nothing/", None, 1)
        for number in range(REPEATS):
            measure("first look", keep=number == REPEATS - 1)
        for _ in range(REPEATS):
            measure("quiet", after=30)
        owner = _s3()
        changed = [keys_of(inside(self._feed, self._today, n))[n // 2] for _, n, _ in kinds]
        for number in range(REPEATS):
            for (bucket, _, _), key in zip(kinds, changed, strict=True):
                owner.put_object(Bucket=bucket, Key=key, Body=f"changed {number}".encode())
            measure("one changed", after=30)
        # Whatever part of the last tick it was seen in.
        measure("settled", after=self._feed.arrival.settle_seconds + 5)
        for (bucket, _, _), key in zip(kinds, changed, strict=True):
            owner.put_object(Bucket=bucket, Key=key, Body=key.encode())
        for case in cases:
            case.check()
            self._say(
                f"{where}, {case.within:,} inside and {case.without:,} outside: "
                f"quiet {_summary(case.ticks['quiet'])}"
            )
        return cases

    def _rig(self, bucket: str, **arrival: object) -> SensorRig:
        self._instances += 1
        home = self._scratch / str(self._instances)
        home.mkdir()
        # Empty, as Dagster says it should be where nothing is to be changed.
        (home / "dagster.yaml").touch()
        return SensorRig(
            products_feed(self._today, **arrival), bucket, dg.DagsterInstance.local_temp(str(home))
        )


# -- what is measured against ----------------------------------------------------------------------


@contextmanager
def _listing_server(buckets: Mapping[str, Mapping[str, Sequence[object]]]) -> Iterator[str]:
    """The endpoint of a listing server in a process of its own, as S3 would be."""
    long_ago = datetime.now(UTC) - timedelta(days=1)
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.s3_listing"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            server.stdin.write(
                json.dumps({"modified": long_ago.isoformat(), "buckets": buckets}) + "\n"
            )
            server.stdin.flush()
            port = server.stdout.readline().strip()
            if not port:
                raise NotAsDesigned("the listing server ended at once; its error is above")
            yield f"http://{HOST}:{port}"
        finally:
            server.stdin.close()


def _s3() -> Any:
    """S3 as the owner of the raw bucket, wherever the environment says that is."""
    return boto3.Session(profile_name="account-a-admin").client(
        "s3", config=Config(max_pool_connections=_Loader.WORKERS)
    )


class _Loader:
    """Puts and deletes objects whose body is their key."""

    WORKERS = 4

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._s3 = _s3()

    def put(self, keys: Sequence[str], seconds: float = float("inf")) -> int:
        """Put the keys in their order until the time is up; how many were."""
        end, done = time.monotonic() + seconds, 0
        with ThreadPoolExecutor(self.WORKERS) as pool:
            while done < len(keys) and time.monotonic() < end:
                some = keys[done : done + 25 * self.WORKERS]
                list(pool.map(self._put, some))
                done += len(some)
        return done

    def _put(self, key: str) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=key.encode())

    def delete(self, keys: Sequence[str]) -> None:
        """Delete them all."""
        for start in range(0, len(keys), PAGE):
            some = [{"Key": key} for key in keys[start : start + PAGE]]
            answer = self._s3.delete_objects(
                Bucket=self._bucket, Delete={"Objects": some, "Quiet": True}
            )
            if answer.get("Errors"):
                raise NotAsDesigned(f"objects were not deleted: {answer['Errors'][:3]}")


# -- whether the listing server answers as the sandbox does ----------------------------------------


def _questions(keys: Sequence[str], within: Sequence[str]) -> list[dict[str, Any]]:
    """Listings of every kind that the pipeline asks for, and of some that it does not."""
    day = within[0].rpartition("/")[0] + "/"
    middle = within[len(within) // 2]
    return [
        {},
        {"MaxKeys": 700},
        {"Prefix": day},
        {"Prefix": day.rstrip("/")},
        {"Prefix": day, "MaxKeys": 300},
        {"Prefix": day, "StartAfter": middle},
        {"Prefix": day, "StartAfter": middle, "MaxKeys": 100},
        {"Prefix": day, "StartAfter": middle + "!"},
        {"Prefix": day, "StartAfter": within[-1]},
        {"Prefix": day, "StartAfter": keys[0]},
        {"Prefix": day, "StartAfter": "zzz"},
        {"Prefix": "no such folder & such/"},
        {"StartAfter": middle},
    ]


def _answers(s3: Any, question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the XML of every page says, less what cannot be the same twice."""
    found, token = [], {}
    bodies: list[bytes] = []

    def keep(response_dict: Mapping[str, Any], **_: object) -> None:
        bodies.append(response_dict["body"])

    s3.meta.events.register("before-parse.s3.ListObjectsV2", keep)
    try:
        while True:
            page = s3.list_objects_v2(**question, **token)
            found.append(_said(bodies.pop()))
            if not page["IsTruncated"]:
                return found
            token = {"ContinuationToken": page["NextContinuationToken"]}
    finally:
        s3.meta.events.unregister("before-parse.s3.ListObjectsV2", keep)


def _said(body: bytes) -> dict[str, Any]:
    root = ElementTree.fromstring(body)  # noqa: S314 -- from our own two servers
    document: dict[str, Any] = {"root": root.tag, "contents": []}
    for child in root:
        if len(child):
            document["contents"].append([child.tag, sorted((e.tag, _text(e)) for e in child)])
        elif child.tag in document:
            raise NotAsDesigned(f"{child.tag} is there twice")
        else:
            document[child.tag] = _text(child)
    return document


def _text(element: ElementTree.Element) -> str:
    name, text = element.tag.rpartition("}")[2], element.text or ""
    if name == "LastModified" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text):
        return "a time"
    # Opaque by S3's word.
    return "a token" if name.endswith("ContinuationToken") and text else text


# -- what is written -------------------------------------------------------------------------------


def _bucket(within: int, without: int) -> str:
    return f"raw-{within}-{without}"


def _summary(ticks: Sequence[Tick]) -> str:
    requests = sorted({tick.window + tick.elsewhere for tick in ticks})
    shown = "-".join(str(count) for count in dict.fromkeys((requests[0], requests[-1])))
    return f"{shown} requests, {report.spread([tick.seconds for tick in ticks])} s"


def _section(
    small: Sequence[Case],
    large: Sequence[Case],
    sweeps: Sequence[Sweeps],
    short: Short,
    compared: str,
    say: Progress,
) -> str:
    days = large[0].days
    rate = max(WINDOWS) / median(
        [
            seconds
            for case in large
            if case.within == max(WINDOWS)
            for seconds in case.seconds("quiet")
        ]
    )
    parts = [
        "## A tick of the arrival sensor (`make bench BENCH=sensor`)",
        f"{report.circumstances(('dagster', 'boto3', 'botocore', 'ministack'))} {REPEATS} ticks of "
        f"each kind; the whole benchmark took {say.seconds:.0f} s.",
        "The sensor of the products feed, as in `xacct_assets/defs/`, is evaluated against a "
        "Dagster instance on disk (SQLite) with the product's own boto3 clients. Requests are "
        f"counted by botocore's `before-send` event, so that retries count. The window has {days} "
        "days; all objects inside it belong to one day. Of the objects outside, a fifth belong "
        "to days that the sweep covers, three tenths to older days of the feed, a tenth to "
        "folders beside those of the window, and the rest to other feeds.",
        "First look: without a cursor; the sensor requests the day. Quiet: nothing has changed. "
        "One changed: the first tick after an object was replaced. (The benchmark also checks "
        "that a tick after the day has settled requests it, with the same number of requests.) "
        f"Each tick costs one request for each of the {days} days, and one more for each further "
        f"{PAGE:,} objects. The benchmark fails if any tick makes more or fewer.",
        "### Up to a million objects: a listing server, not the sandbox",
        "A million objects are too many files for the sandbox's disk layout, and storing 50,000 "
        "takes it minutes. Therefore **S3 is a local server here that answers ListObjectsV2 from "
        "sorted keys in memory** (`benchmarks/s3_listing.py`). It is reached through "
        "AWS_ENDPOINT_URL_S3, without TLS, and checks no signatures. In this run its responses "
        f"were compared with the sandbox's: {compared}, XML element by element, all equal "
        "(LastModified and continuation tokens by their form only). A request to AWS takes "
        "longer than one to this machine: multiply the requests by your own latency. Where other "
        "processes kept the cores busy (see the load above), processor time says more than "
        "seconds.",
        _cases(large),
        "With a million objects outside, divided by without them. The two cases alternate, tick "
        "by tick:",
        _ratios(large),
        "### The sandbox",
        "The complete path: TLS, an assumed role, the policies of both accounts. There are as "
        f"many objects outside as could be stored in {SANDBOX_LOADING_SECONDS:.0f} s. The "
        "sandbox's S3 scans all keys of a bucket for each listing. Its own time therefore grows "
        "with the bucket; the number of requests does not.",
        _cases(small),
        "### What the sweep adds",
        "The tables above are without the sweep (`sweep_days_back: 0`). With it, one tick a "
        "minute also lists five days behind the window. It costs requests for the objects of "
        f"those five days only (with the million, {_in_swept():,} objects are in its days). "
        "Listing server, one object inside the window:",
        _turns(sweeps),
        "### A day too long for a tick",
        f"{short.within:,} objects in one day and {MILLION:,} outside, listing server. Listing "
        f"may take {SHORT_LISTING_SECONDS} s per tick instead of the product's "
        f"{product.LISTING_SECONDS:.0f} s (in which {rate * product.LISTING_SECONDS:,.0f} objects "
        "fit at the rate of this run). Each tick has only the cursor of the one before. The "
        "benchmark checks that no page is listed twice.",
        _short_table(short),
    ]
    return "\n\n".join(report.wrapped(part) for part in parts)


def _cases(cases: Sequence[Case]) -> str:
    states = (f"{state} (s)" for state in _STATES)
    return report.table(
        ("inside", "outside", "requests a tick", *states, "processor, quiet (s)"),
        [_row(case) for case in cases],
    )


def _turns(sweeps: Sequence[Sweeps]) -> str:
    return report.table(
        ("outside", "requests for the window", "requests of the sweep's turn", "tick (s)"),
        [_sweep_row(sweep) for sweep in sweeps],
    )


def _row(case: Case) -> list[str]:
    return [
        f"{case.within:,}",
        f"{case.without:,}",
        str(case.calls),
        *(report.spread(case.seconds(state)) for state in _STATES),
        report.spread([tick.cpu for tick in case.ticks["quiet"]]),
    ]


def _ratios(cases: Sequence[Case]) -> str:
    rows = []
    for within in dict.fromkeys(case.within for case in cases):
        without, with_ = sorted(
            (case for case in cases if case.within == within), key=lambda case: case.without
        )

        rows.append(
            [
                f"{within:,}",
                f"{with_.calls / without.calls:.2f}",
                *(
                    report.spread(_each(with_.seconds(state), without.seconds(state)), digits=2)
                    for state in _STATES
                ),
                f"{with_.processor / without.processor:.2f}",
            ]
        )
    return report.table(("inside", "requests", *_STATES, "processor, all ticks"), rows)


def _each(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Ratios of ticks that followed one another."""
    return [one / other for one, other in zip(above, below, strict=True)]


def _in_swept() -> int:
    today = datetime.now(UTC).date()
    feed = products_feed(today)
    swept = {
        folder(feed, today - timedelta(days=back))
        for back in range(feed.arrival.days_back + 1, feed.arrival.sweep_days_back + 1)
    }
    return sum(count for name, count in outside(feed, today, MILLION) if name in swept)


def _sweep_row(sweep: Sweeps) -> list[str]:
    def counts(values: Sequence[int]) -> str:
        return "–".join(str(count) for count in dict.fromkeys((min(values), max(values))))

    return [
        f"{sweep.without:,}",
        counts([tick.window for tick in sweep.ticks]),
        counts([tick.elsewhere for tick in sweep.ticks]),
        report.spread([tick.seconds for tick in sweep.ticks]),
    ]


def _short_table(short: Short) -> str:
    ticks = short.ticks
    rows = [
        ["ticks until the day is requested", str(len(ticks))],
        ["requests in each", ", ".join(str(tick.window) for tick in ticks)],
        ["requests until then", str(sum(tick.window for tick in ticks))],
        ["requests of the whole window in one tick with time enough", str(short.calls)],
        ["seconds of a tick", report.spread([tick.seconds for tick in ticks])],
        ["cursor at its largest", f"{max(tick.cursor for tick in ticks):,} bytes"],
    ]
    return report.table(("", "this run"), rows)
