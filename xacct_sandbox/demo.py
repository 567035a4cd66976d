"""`xacct-sandbox demo`: the whole pipeline once, then the Dagster UI.

The pipeline is run by its public commands in subprocesses (`dagster job execute`,
`xacct reconcile`, `dg dev`), as a user would run it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from xacct_sandbox import commands, landing
from xacct_sandbox.daemon import env_file, lifecycle, ports
from xacct_sandbox.daemon.config import HOST, SandboxConfig, SandboxError
from xacct_sandbox.daemon.profiles import client

FEED = landing.GENERATED_FEED
ASSETS = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")

# 2026-11-22 17:33:18 +0000 - dagster - DEBUG - job - run id - pid - step - STEP_START - text
_EVENT = re.compile(
    r" - dagster - (?P<level>[A-Z]+) - \S+ - [0-9a-f-]{36} - (?:\d+ - )?(?P<step>\w+) - "
    r"(?:(?P<event>[A-Z][A-Z_]+) - )?(?P<text>.*)$"
)


def run(options: argparse.Namespace) -> int:
    """The ``demo`` command. Returns its exit code.

    Raises:
        SandboxError: a step fails; the message says what to do.
    """
    check_env_file(Path.cwd() / ".env")
    if not options.no_ui:
        check_ui_port(options.ui_port, SandboxConfig.load())
    say = commands.stopwatch()
    config = commands.start_and_deploy(say)
    days = landing.days_to_land(None, options.days)
    landing.land_products(
        config,
        days_without_files(config, days),
        rows=options.rows,
        files=1,
        key="products.csv",
        seed=1,
        say=say,
    )
    environment = lifecycle.client_environment(config)
    is_right = run_days(config, days, environment, say)
    if not options.no_ui:
        # Also with a day that is wrong, such as one whose file was broken yesterday.
        return serve_ui(config, options.ui_port, environment, say)
    if not is_right:
        raise SandboxError(
            "a day is not right (see its problem above); once its cause is mended, materialize it "
            f"again: dg launch --assets 'group:{FEED}' --partition DAY"
        )
    print("\nThe sandbox keeps running. `make run` adds the UI, `make stop` ends everything.")
    return 0


def run_days(
    config: SandboxConfig,
    days: list[date],
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> bool:
    """Materializes the days that are not right, and prints the table of all.

    Returns:
        Whether all days are right now.
    """
    rows = reconciliation(days, environment)
    open_days = [date.fromisoformat(row["partition"]) for row in rows if not row["ok"]]
    for first, last in contiguous_ranges(open_days):
        say(f"materializing {first} to {last} through all five assets")
        try:
            materialize(first, last, environment, config.log_dir / "demo.log", say)
        except SandboxError as problem:
            print(problem)
    if not open_days:
        say("all days were loaded before, and their row counts add up")
    print()
    return show_reconciliation(days, environment) == 0


def next_steps(url: str, today: date) -> str:
    """What to try while the UI is served: a good file, a broken one, the good one again.

    Args:
        url: of the UI.
        today: the day of the files (UTC), for which nothing has landed yet.
    """
    land = f"xacct-sandbox land --date {today}"
    return f"""
The Dagster UI is at {url} and its sensor looks for files every 5 seconds.
Watch the days at {url}/assets/{FEED}/{ASSETS[0]}?view=partitions
and try this in a second terminal; each file takes about 20 seconds:

  . .venv/bin/activate
  {land:<56} # today's file: the day turns green
  {land + " --broken delimiter":<56} # a broken one: red, and why
  {land:<56} # the right one again: green
  {"xacct reconcile":<56} # are the row counts right?

Ctrl-C ends the UI; `make stop` ends everything."""


@dataclass
class Progress:
    """Turns the log of a Dagster run into a line per asset, with the seconds that it took.

    Attributes:
        say: prints a line.
        started: when each step started, by ``time.monotonic()``.
        failure: the step that failed, if one did.
    """

    say: Callable[[str], None]
    started: dict[str, float] = field(default_factory=dict)
    failure: str | None = None

    def feed_line(self, line: str) -> None:
        """Reports one line of Dagster's log, if it matters to the user."""
        match = _EVENT.search(line)
        if match is None:
            return
        name, event = match["step"].removeprefix(f"{FEED}__"), match["event"]
        if event == "STEP_START":
            self.started[name] = time.monotonic()
            if name in ASSETS:
                self.say(f"  {name} …")
        elif event == "STEP_SUCCESS" and name in ASSETS:
            self.say(f"  {name} done in {time.monotonic() - self.started[name]:.1f} s")
        elif event == "STEP_FAILURE":
            self.failure = name
            self.say(f"  {name} FAILED")
        elif event == "ASSET_CHECK_EVALUATION" and "did not pass" in match["text"]:
            self.say(f"  {match['text']}")
        elif event is None and match["level"] != "DEBUG" and not match["text"].startswith("["):
            # Lines that start with a bracket are from a remote log; they go to the file only.
            self.say(f"    {match['text']}")


def check_env_file(path: Path) -> None:
    """Checks that Dagster, which prefers ``.env`` to the environment, would use the sandbox.

    Raises:
        SandboxError: the file is the user's own.
    """
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(
        env_file.MARKER
    ):
        raise SandboxError(
            f"{path} is your own, and Dagster prefers it: its runs would use the accounts that it "
            "names. Move it to another folder, or run this in another clone"
        )


def check_ui_port(port: int, config: SandboxConfig) -> None:
    """Checks that the UI can be served on the port, before minutes of work.

    Raises:
        SandboxError: the port is taken, or is one of the sandbox's.
    """
    own = port in (config.aws_port, config.console_port, config.redshift_port)
    problem = "by the sandbox itself" if own else ports.bind_problem(port)
    if problem is not None:
        raise SandboxError(
            f"port {port} on {HOST} is taken ({problem}), so the Dagster UI cannot be served "
            "there; end what uses it (`make stop` if it is an earlier run of this), or choose "
            f"another port: make run UI_PORT={port + 1}"
        )


def days_without_files(config: SandboxConfig, days: list[date]) -> list[date]:
    """The days that have no file in the raw bucket yet."""
    s3 = client(config, landing.ADMIN, "s3")
    return [
        day
        for day in days
        if not s3.list_objects_v2(
            Bucket=config.input_bucket, Prefix=f"{FEED}/{day:%Y/%m/%d}/", MaxKeys=1
        )["KeyCount"]
    ]


def contiguous_ranges(days: list[date]) -> Iterator[tuple[date, date]]:
    """The days as (first, last) of contiguous ranges, oldest first."""
    start = previous = None
    for day in sorted(days):
        if start is None or previous is None:
            start = day
        elif day - previous > timedelta(days=1):
            yield start, previous
            start = day
        previous = day
    if start is not None and previous is not None:
        yield start, previous


def reconciliation(days: list[date], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows that `xacct reconcile --json` prints for the days.

    Raises:
        SandboxError: the command failed.
    """
    completed = subprocess.run(
        [_command("xacct"), "reconcile", "--feed", FEED, "--json", *_partition_options(days)],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        rows: list[dict[str, Any]] = json.loads(completed.stdout)
    except json.JSONDecodeError as problem:
        raise SandboxError(
            f"`xacct reconcile` failed (exit code {completed.returncode}): "
            f"{completed.stderr.strip()}"
        ) from problem
    return rows


def show_reconciliation(days: list[date], environment: Mapping[str, str]) -> int:
    """Prints the table of `xacct reconcile`. Returns its exit code."""
    return subprocess.run(
        [_command("xacct"), "reconcile", "--feed", FEED, *_partition_options(days)],
        env=dict(environment),
        check=False,
    ).returncode


def materialize(
    first: date, last: date, environment: Mapping[str, str], log: Path, say: Callable[[str], None]
) -> None:
    """Materializes all five assets for a range of days in one run.

    Args:
        first: first day of the range.
        last: last day of the range.
        environment: of the subprocess.
        log: gets the whole output of the run.
        say: prints a line of progress per asset.

    Raises:
        SandboxError: the run failed; the message names the log.
    """
    # `dg launch` accepts a range only for assets with a single-run backfill policy, and the feed's
    # max_days_per_run sets another one. These tags are those of a run of a backfill from the UI.
    tags = {
        "dagster/asset_partition_range_start": str(first),
        "dagster/asset_partition_range_end": str(last),
    }
    command = [
        *(_command("dagster"), "job", "execute"),
        *("--module-name", "xacct_assets.definitions", "--job", f"{FEED}_day"),
        *("--tags", json.dumps(tags)),
    ]
    progress = Progress(say)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as log_file,
        subprocess.Popen(
            command,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        if process.stdout is None:
            raise SandboxError("the output of the run cannot be read")
        for line in process.stdout:
            log_file.write(line)
            progress.feed_line(line)
    if process.returncode != 0 or progress.failure:
        tail = log.read_text(encoding="utf-8").splitlines()[-25:]
        step = f" in {progress.failure}" if progress.failure else ""
        raise SandboxError(
            "\n".join([*tail, "", f"the run failed{step}; its whole log is in {log}"])
        )


def serve_ui(
    config: SandboxConfig, port: int, environment: Mapping[str, str], say: Callable[[str], None]
) -> int:
    """Runs `dg dev` until it ends. Returns its exit code; `down` can end it too.

    What Dagster logs of every run goes to a file, so that the next commands stay on the screen.

    Raises:
        SandboxError: the UI did not start; the message has its log's end.
    """
    url = f"http://{HOST}:{port}"
    # A shell without a terminal starts background processes with SIGINT ignored, and children
    # inherit that: `dg dev` could not be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = config.log_dir / "dagster.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [
                *(_command("dg"), "dev", "--workspace", "workspace.yaml"),
                *("--host", HOST, "--port", str(port), "--log-level", "warning"),
            ],
            env={**environment, **env_file.ARRIVAL, "XACCT_DAGSTER_URL": url},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        config.ui_pid_file.write_text(str(process.pid), encoding="utf-8")
        try:
            if not _is_served(url, process):
                tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
                raise SandboxError("\n".join([f"the Dagster UI ended; its log is {log}:", *tail]))
            if not _is_guarded(port):
                os.killpg(process.pid, signal.SIGINT)
                raise SandboxError(
                    "the Dagster UI was ended: it answers requests of foreign web pages; the "
                    f"guard of xacct_assets/local_runtime/dagster.yaml is missing; see {log}"
                )
            say(f"the Dagster UI is ready; its log is {log}")
            print(next_steps(url, datetime.now(UTC).date()), flush=True)
            return process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            return process.wait()
        finally:
            config.ui_pid_file.unlink(missing_ok=True)


def _is_served(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Waits until the UI answers. Returns False if its process ends before that."""
    # Without the proxies of the environment, which cannot reach this machine's own addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None:
        try:
            with opener.open(f"{url}/server_info", timeout=5):
                return True
        except OSError:
            time.sleep(0.25)
    return False


def _is_guarded(port: int) -> bool:
    """Whether the UI refuses a request under a foreign Host, as a web page can have it sent."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", "/server_info", headers={"Host": "foreign.example"})
        return connection.getresponse().status == 403
    except OSError:
        return False
    finally:
        connection.close()


def _partition_options(days: list[date]) -> list[str]:
    return [part for day in days for part in ("--partition", str(day))]


def _command(name: str) -> str:
    """The path of a command: of this virtual environment, or else of PATH."""
    in_environment = Path(sys.executable).with_name(name)
    path = str(in_environment) if in_environment.exists() else shutil.which(name)
    if path is None:
        raise SandboxError(f"`{name}` is not installed beside {sys.executable}; run `make setup`")
    return path
