"""A sandbox with the three jobs over the same files, and what each run costs."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.airflow.deployment import HERE as REFERENCE
from benchmarks.load.files import Column, Rows
from benchmarks.redshift import redshift
from xacct_assets.contract.column_types import ColumnType, TrailingBlanks
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.load_request import FeedColumn, LoadRequest, RequestedDay
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.instance_lock import daemon_pid
from xacct_sandbox.daemon.profiles import client

DAY = date(2026, 1, 1)
FLOOR, REFERENCES, OURS = "floor", "reference", "ours"
PROGRAMS = (FLOOR, REFERENCES, OURS)
#: Spark's name of a Redshift type, where it has another.
_SPARK_TYPES = {
    "integer": "INT",
    "double precision": "DOUBLE",
    "real": "FLOAT",
}
_PIPES_FIELDS = (
    *("asset_keys", "code_version_by_asset_key", "provenance_by_asset_key", "partition_key"),
    *("partition_key_range", "partition_time_window", "job_name"),
)


#: Programs of a Spark worker.
_WORKER = ("java", "xacct_sandbox.glue.jobs.spark_worker")


class RunFailed(Exception):
    """A job run did not succeed, or did not load the rows it should."""


@dataclass
class Cost:
    """Of the turns of one program: seconds, and processor seconds of its Spark worker."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


class Rig:
    """The jobs of a deployed sandbox."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._glue = client(config, "account-b-admin", "glue")
        self._s3 = client(config, "account-b-admin", "s3")
        self._raw = client(config, "account-a-admin", "s3")
        self._working = f"xacct-processing-{config.suffix}"
        self._copy_role = f"arn:aws:iam::{config.account_b}:role/xacct-RoleB-{config.suffix}"
        self._jobs = {OURS: f"xacct-{config.suffix}-products"}
        floor = (Path(__file__).parent / "floor_job.py").read_text(encoding="utf-8")
        reference = (REFERENCE / "reference_load.py").read_text(encoding="utf-8")
        self._make_job(FLOOR, floor)
        self._make_job(REFERENCES, reference.replace("reference_products", "bench_reference"))

    def _make_job(self, name: str, script: str) -> None:
        self._jobs[name] = f"bench-{name}"
        key = f"scripts/bench-{name}.py"
        self._s3.put_object(Bucket=self._working, Key=key, Body=script.encode())
        known = self._glue.get_job(JobName=self._jobs[OURS])["Job"]
        self._glue.create_job(
            Name=self._jobs[name],
            Role=known["Role"],
            Command={**known["Command"], "ScriptLocation": f"s3://{self._working}/{key}"},
            GlueVersion=known["GlueVersion"],
            WorkerType=known["WorkerType"],
            NumberOfWorkers=known["NumberOfWorkers"],
            Connections=known["Connections"],
        )

    # -- files and tables ----------------------------------------------------------------------

    @contextmanager
    def landed(self, rows: Rows, scratch: Path) -> Iterator[Case]:
        """The files in account A's bucket, the tables, and the catalog of them; then gone."""
        folder = f"bench/{DAY:%Y/%m/%d}/"
        keys, size = [], 0
        for number in range(rows.files):
            path = scratch / f"{number}.csv"
            with path.open("wb") as file:
                for chunk in rows.chunks(number):
                    file.write(chunk)
            size += path.stat().st_size
            keys.append(f"{folder}{number}.csv")
            self._raw.upload_file(str(path), self._config.input_bucket, keys[-1])
            path.unlink()
        self._make_tables(rows.columns)
        self._make_catalog(rows.columns, folder)
        try:
            yield Case(self, rows, size, tuple(self._uri(key) for key in keys))
        finally:
            self._query("DROP TABLE public.bench_ours", "DROP TABLE public.bench_reference")
            self._glue.delete_table(DatabaseName="products_db", Name="bench")
            for key in keys:
                self._raw.delete_object(Bucket=self._config.input_bucket, Key=key)

    def _uri(self, key: str) -> str:
        return f"s3://{self._config.input_bucket}/{key}"

    def _make_tables(self, columns: list[Column]) -> None:
        typed = ", ".join(f"{name} {kind}" for name, kind, _ in columns)
        self._query(
            f"CREATE TABLE public.bench_ours (partition_date DATE NOT NULL, {typed})",
            "CREATE TABLE public.bench_reference ("
            f"{', '.join(f'{name} VARCHAR(65535)' for name, _, _ in columns)}, day VARCHAR(10))",
        )

    def _make_catalog(self, columns: list[Column], folder: str) -> None:
        storage = {
            "Columns": [{"Name": name, "Type": "string"} for name, _, _ in columns],
            "Location": self._uri("bench/"),
            "SerdeInfo": {"Parameters": {"field.delim": ",", "quoteChar": '"', "escapeChar": '"'}},
        }
        self._glue.create_table(
            DatabaseName="products_db",
            TableInput={
                "Name": "bench",
                "StorageDescriptor": storage,
                "PartitionKeys": [{"Name": f"partition_{n}", "Type": "string"} for n in range(3)],
                "Parameters": {"classification": "csv", "skip.header.line.count": "1"},
            },
        )
        self._glue.create_partition(
            DatabaseName="products_db",
            TableName="bench",
            PartitionInput={
                "Values": f"{DAY:%Y/%m/%d}".split("/"),
                "StorageDescriptor": {**storage, "Location": self._uri(folder)},
            },
        )

    def _query(self, *statements: str) -> None:
        with redshift(self._config) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    # -- runs ----------------------------------------------------------------------------------

    def arguments(self, program: str, case: Case) -> dict[str, str]:
        """The arguments of a run of one of the programs."""
        folder = f"bench/{DAY:%Y/%m/%d}/"
        if program == FLOOR:
            reader = {"header": "true", "quote": '"', "escape": '"'}
            if case.rows.breaks:
                reader["multiLine"] = "true"
            typed = ", ".join(f"{name} {_spark_type(kind)}" for name, kind, _ in case.rows.columns)
            return {
                "--source": self._uri(folder),
                "--schema": typed,
                "--reader": json.dumps(reader),
                "--target": f"s3://{self._working}/glue-tmp/bench/floor/",
            }
        if program == REFERENCES:
            return {
                "--day": f"{DAY:%Y/%m/%d}",
                "--database": "products_db",
                "--table": "bench",
                "--connection": f"xacct-redshift-{self._config.suffix}",
                "--tmp_dir": f"s3://{self._working}/glue-tmp/bench/reference/",
                "--copy_role": self._copy_role,
            }
        return self._load_arguments(case)

    def _load_arguments(self, case: Case) -> dict[str, str]:
        """As the pipeline starts the job, with the context among the arguments' objects in S3."""
        load_id = uuid.uuid4().hex
        prefix, config = f"pipes/bench/{load_id}", self._config
        context = {
            **dict.fromkeys(_PIPES_FIELDS),
            "run_id": load_id,
            "retry_number": 0,
            "extras": self._request(case, load_id).to_json(),
        }
        self._s3.put_object(
            Bucket=self._working, Key=f"{prefix}/context.json", Body=json.dumps(context).encode()
        )
        return {
            "--load_id": load_id,
            "--bucket_owners": f"{config.input_bucket}={config.account_a},"
            f"{self._working}={config.account_b}",
            "--dagster-pipes-context": _encoded(
                {"bucket": self._working, "key": f"{prefix}/context.json"}
            ),
            "--dagster-pipes-messages": _encoded(
                {"bucket": self._working, "key_prefix": f"{prefix}/messages"}
            ),
        }

    def _request(self, case: Case, load_id: str) -> LoadRequest:
        return LoadRequest(
            feed="bench",
            load_id=load_id,
            days=(RequestedDay(DAY, tuple(f"{DAY:%Y/%m/%d}".split("/")), case.rows.rows),),
            catalog_database="products_db",
            catalog_table="bench",
            dialect=CsvDialect(),
            patterns=("*.csv",),
            columns=tuple(
                FeedColumn(name, ColumnType.parse(kind), nullable)
                for name, kind, nullable in case.rows.columns
            ),
            key=("id",),
            trailing_blanks=TrailingBlanks.REJECT,
            staging_table="public.bench_ours",
            load_audit_table="public.xacct_load_audit",
            connection=f"xacct-redshift-{self._config.suffix}",
            database="dev",
            tmp_dir=f"s3://{self._working}/glue-tmp/bench/{load_id}/",
            copy_role=self._copy_role,
            rejects=f"s3://{self._working}/rejects/bench/",
            splittable_files=() if case.rows.breaks else case.uris,
        )

    def run(self, program: str, case: Case) -> tuple[float, float]:
        """Run a program once: seconds, and processor seconds of its Spark worker.

        Raises:
            RunFailed: it did not succeed, or loaded a number of rows that cannot be right.
        """
        arguments = self.arguments(program, case)
        before, began = self.processor_seconds(), time.monotonic()
        run_id = self._glue.start_job_run(JobName=self._jobs[program], Arguments=arguments)[
            "JobRunId"
        ]
        state, run = "", {}
        while state not in ("SUCCEEDED", "FAILED", "ERROR", "TIMEOUT", "STOPPED"):
            time.sleep(0.05)
            run = self._glue.get_job_run(JobName=self._jobs[program], RunId=run_id)["JobRun"]
            state = run["JobRunState"]
        seconds = time.monotonic() - began
        if state != "SUCCEEDED":
            raise RunFailed(f"{program} ended {state}: {run.get('ErrorMessage')}")
        spent = self.processor_seconds() - before
        if program == OURS:
            self._check(arguments["--load_id"], case)
        return seconds, spent

    def _check(self, load_id: str, case: Case) -> None:
        prefix = f"pipes/bench/{load_id}/messages"
        (item,) = self._s3.list_objects_v2(Bucket=self._working, Prefix=prefix)["Contents"]
        body = self._s3.get_object(Bucket=self._working, Key=item["Key"])["Body"].read()
        report: Mapping[str, Any] = next(
            message["params"]["payload"]["days"][str(DAY)]
            for message in map(json.loads, body.decode().splitlines())
            if message["method"] == "report_custom_message"
        )
        rejected = case.rows.rows // case.rows.reject_every if case.rows.reject_every else 0
        if report["rows_read"] != case.rows.rows or report["rows_rejected"] != rejected:
            raise RunFailed(f"ours read and rejected other rows than there are: {report}")

    def worker(self) -> list[int]:
        """The processes of the Spark worker: Python and its JVM."""
        daemon = daemon_pid(self._config)
        assert daemon is not None
        return [pid for pid in processes.tree(daemon) if processes.name(pid) in _WORKER]

    def processor_seconds(self) -> float:
        """Of the worker so far."""
        return processes.processor_seconds(self.worker())

    @contextmanager
    def on_one_core(self) -> Iterator[None]:
        """All threads of the worker share one core while inside."""
        every = os.sched_getaffinity(0)
        self._bind({min(every)})
        try:
            yield
        finally:
            self._bind(every)

    def _bind(self, cores: set[int]) -> None:
        for pid in self.worker():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)


@dataclass(frozen=True)
class Case:
    """Files that have landed.

    Attributes:
        rig: where.
        rows: what they hold.
        size: bytes of all.
        uris: of each.
    """

    rig: Rig
    rows: Rows
    size: int
    uris: tuple[str, ...]

    def measure(self, turns: int) -> dict[str, Cost]:
        """The programs in turns; the first turn, a rehearsal, is not counted."""
        costs = {program: Cost() for program in PROGRAMS}
        for turn in range(turns + 1):
            for program, cost in costs.items():
                seconds, spent = self.rig.run(program, self)
                if turn:
                    cost.wall.append(seconds)
                    cost.processor.append(spent)
        return costs


def _spark_type(kind: str) -> str:
    return "STRING" if kind.startswith("varchar") else _SPARK_TYPES.get(kind, kind.upper())


def _encoded(params: Mapping[str, str]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(params).encode())).decode()
