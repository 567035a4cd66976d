"""The process of a Spark worker: runs job scripts one after the other in the same Spark.

    python -m xacct_sandbox.glue.jobs.spark_worker FOLDER MEMORY CORES CONTROL_FD

It reads orders from standard input and writes reports to the control descriptor, one JSON object
per line. Standard output and error are the script's (and the JVM's). When standard input ends, the
process and its JVM end too, so that a sandbox that was killed leaves no worker behind.

Scripts are isolated from each other: arguments, environment, credentials, module globals, own
modules, working folder, objects read from S3, cached data, temporary views and Spark SQL settings
do not reach the next script. If that is not possible (Spark was stopped, threads are still
running), the worker ends.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import json
import logging
import os
import queue
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import boto3
import botocore.credentials
import botocore.session
from awsglue.s3_mirror import S3Mirror
from awsglue.session import start_session
from pyspark.sql import SparkSession

from xacct_sandbox.glue.jobs.class_archive import ClassArchive
from xacct_sandbox.glue.jobs.endpoints import cut_off
from xacct_sandbox.glue.jobs.protocol import END_OF_OUTPUT, START_OF_OUTPUT
from xacct_sandbox.glue.jobs.warm_up import warm_up

NOT_IN_GLUE = frozenset({"dagster", "dagster_pipes", "dagster_shared", "xacct_assets"})
"""Packages that are installed here and not in Glue: a script needs --extra-py-files for them."""

MAX_ERROR_CHARACTERS = 10_000
IDLE_SECONDS = 15.0
"""After so long without an order, a worker makes the archive of its classes, if there is none."""
THREADS_END_SECONDS = 3.0


class Orders:
    """What the daemon sends: runs to execute, and newer credentials for the run under way."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.runs: queue.Queue[dict[str, Any]] = queue.Queue()
        self.credentials: dict[str, str] = {}

    def next(self, seconds: float, idle: Callable[[], None]) -> dict[str, Any]:
        """Wait for the next run; ``idle`` is called once if there is none for so many seconds."""
        try:
            return self.runs.get(timeout=seconds)
        except queue.Empty:
            idle()
            return self.runs.get()

    def read(self) -> None:
        """Read orders until the daemon ends, then end this process."""
        for line in self._stream:
            order = json.loads(line)
            self.credentials = order["credentials"]
            if "run_id" in order:
                self.runs.put(order)
        os._exit(0)  # a script must not outlive the daemon


class ExtraModules:
    """Finds modules of --extra-py-files, and hides packages that Glue does not have."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = list(paths)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, self._paths)
        if spec is None and name in NOT_IN_GLUE:
            raise ModuleNotFoundError(
                f"No module named {name!r}: AWS Glue does not have it; put it into a zip in S3 "
                "and name that in --extra-py-files",
                name=name,
            )
        return spec


def main(arguments: Sequence[str]) -> None:
    """Start Spark, then execute orders until standard input ends."""
    folder, memory, cores, descriptor = Path(arguments[0]), *arguments[1:4]
    control = os.fdopen(int(descriptor), "w", encoding="utf-8", buffering=1)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("glue").setLevel(logging.INFO)
    orders = Orders(sys.stdin)
    threading.Thread(target=orders.read, name="orders", daemon=True).start()

    archive = ClassArchive(folder)
    spark, mirror = start_session(
        folder, memory=memory, cores=int(cores), java_options=archive.java_options
    )
    class_path = str(spark._jvm.System.getProperty("java.class.path"))  # type: ignore[union-attr]  # noqa: SLF001
    _report(control, {"ready": True})
    warm_up(spark, folder / "warm-up", until=lambda: not orders.runs.empty())
    while True:
        order = orders.next(IDLE_SECONDS, lambda: archive.start_making(class_path))
        _mark_output(START_OF_OUTPUT)
        error = execute(order, orders, spark)
        usable, reason = clean_up(spark, mirror)
        _mark_output(END_OF_OUTPUT)
        _report(control, {"run_id": order["run_id"], "error": error, "usable": usable})
        if not usable:
            sys.stderr.write(f"this Spark worker ends: {reason}\n")
            return


def execute(order: dict[str, Any], orders: Orders, spark: SparkSession) -> str | None:
    """Run one script.

    Returns:
        The error message that Glue would report; None if the script succeeded.
    """
    try:
        with _script_environment(order, orders, spark), _script_session(spark):
            runpy.run_path(order["script"], run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            return f"SystemExit: {end.code}"
    except BaseException as problem:  # noqa: BLE001 -- any exception fails the run
        _print_failure(problem, order["script"])
        return f"{type(problem).__name__}: {problem}"[:MAX_ERROR_CHARACTERS]
    return None


def _print_failure(problem: BaseException, script: str) -> None:
    """Print the traceback without the frames above the script."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    traceback.print_exception(type(problem), problem, trace or problem.__traceback__)


@contextlib.contextmanager
def _script_environment(
    order: dict[str, Any], orders: Orders, spark: SparkSession
) -> Iterator[None]:
    """Arguments, environment, modules and credentials of one script, undone afterwards."""
    # Spark starts the Python processes of its tasks with these variables. In Glue they have the
    # job's role and the modules of --extra-py-files too. (Here their credentials are not renewed.)
    of_tasks = spark.sparkContext.environment
    tasks_before = dict(of_tasks)
    of_tasks.update(_aws_environment(order["credentials"]))
    of_tasks["PYTHONPATH"] = os.pathsep.join(order["py_files"])
    environment, arguments, path = dict(os.environ), sys.argv, list(sys.path)
    folder, modules = os.getcwd(), set(sys.modules)
    finder = ExtraModules(order["py_files"])
    os.environ.update(_aws_environment(order["credentials"]))
    os.chdir(order["folder"])
    sys.argv = [order["script"], *order["arguments"]]
    sys.path[:0] = order["py_files"]
    sys.meta_path.insert(0, finder)
    session = _refreshing_session(orders)
    cut_off(session, order["unreachable"], order["unreachable_seconds"])
    boto3.setup_default_session(botocore_session=session)
    try:
        yield
    finally:
        boto3.DEFAULT_SESSION = None
        of_tasks.clear()
        of_tasks.update(tasks_before)
        sys.meta_path.remove(finder)
        sys.path[:] = path
        sys.argv = arguments
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        for name in set(sys.modules) - modules:
            if name.partition(".")[0] in NOT_IN_GLUE or _is_below(name, order["folder"]):
                del sys.modules[name]


@contextlib.contextmanager
def _script_session(spark: SparkSession) -> Iterator[None]:
    """A Spark session with its own settings and views, which getOrCreate() returns."""
    SparkSession._instantiatedSession = None  # noqa: SLF001
    spark.newSession()
    try:
        yield
    finally:
        SparkSession._instantiatedSession = None  # noqa: SLF001


def _refreshing_session(orders: Orders) -> botocore.session.Session:
    """A session whose clients use the newest credentials: a run may last longer than they do."""
    session = botocore.session.Session()
    session.register_component("credential_provider", _JobRole(orders))
    return session


class _JobRole:
    """A botocore credential resolver that knows the credentials of the job's role only."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def load_credentials(self) -> botocore.credentials.RefreshableCredentials:
        """Called by botocore for the session's first client."""
        return botocore.credentials.RefreshableCredentials.create_from_metadata(
            self._newest(), refresh_using=self._newest, method="glue-job-role"
        )

    def _newest(self) -> dict[str, str]:
        credentials = self._orders.credentials
        return {
            "access_key": credentials["access_key_id"],
            "secret_key": credentials["secret_access_key"],
            "token": credentials["session_token"],
            "expiry_time": credentials["expiration"],
        }


def _aws_environment(credentials: dict[str, str]) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": credentials["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": credentials["secret_access_key"],
        "AWS_SESSION_TOKEN": credentials["session_token"],
    }


def _is_below(module: str, folder: str) -> bool:
    file = getattr(sys.modules[module], "__file__", None)
    return file is not None and file.startswith(f"{folder}{os.sep}")


def clean_up(spark: SparkSession, mirror: S3Mirror) -> tuple[bool, str]:
    """Remove what the script left.

    Returns:
        Whether the worker can run another script, and the reason if it cannot.
    """
    if spark.sparkContext._jsc is None or spark.sparkContext._jsc.sc().isStopped():  # noqa: SLF001
        return False, "the script stopped Spark"
    context = spark.sparkContext._jsc  # noqa: SLF001
    context.sc().cancelAllJobs()
    spark.sparkContext.setLogLevel("WARN")
    spark.catalog.clearCache()
    for data in context.getPersistentRDDs().values():
        data.unpersist(False)
    mirror.clear()
    deadline = time.monotonic() + THREADS_END_SECONDS
    while left := [thread for thread in threading.enumerate() if not thread.daemon][1:]:
        if time.monotonic() > deadline:
            return False, f"the script left threads running: {', '.join(t.name for t in left)}"
        time.sleep(0.05)
    return True, ""


def _mark_output(mark: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.write(f"{mark}\n")
        stream.flush()


def _report(control: IO[str], message: dict[str, Any]) -> None:
    control.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)
