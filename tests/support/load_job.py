"""The deployed load job on tables of the tests: started as its asset starts it, without Dagster."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redshift_connector

from tests.support.load_requests import request_json
from tests.support.sandbox import RunningSandbox

TERMINAL = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}
RUN_SECONDS = 180
# BatchCreatePartition takes this many partitions.
PARTITIONS = 100

PIPES_FIELDS = (
    "asset_keys",
    "code_version_by_asset_key",
    "provenance_by_asset_key",
    "partition_key",
    "partition_key_range",
    "partition_time_window",
    "job_name",
)

#: Name, type, nullable.
Column = tuple[str, str, bool]


def wait_for_run(
    glue: Any, job: str, run_id: str, states: set[str] = TERMINAL, *, seconds: float = RUN_SECONDS
) -> dict[str, Any]:
    """The job run, once it is in one of these states."""
    deadline = time.monotonic() + seconds
    while True:
        run = glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]
        if run["JobRunState"] in states:
            return dict(run)
        assert run["JobRunState"] not in TERMINAL, run
        assert time.monotonic() < deadline, run
        time.sleep(0.1)


@dataclass
class LoadJob:
    """The products job of a deployed sandbox, with the request of another feed.

    Attributes:
        sandbox: with products deployed.
        feed: also the names of its tables in the catalog and in Redshift, and of its folder.
        columns: of the feed.
        key: of the feed.
    """

    sandbox: RunningSandbox
    feed: str
    columns: Sequence[Column]
    key: Sequence[str] = ("id",)
    name: str = "xacct-local-products"

    def client(self, service: str) -> Any:
        return self.sandbox.client("account-b-admin", service)

    @property
    def processing(self) -> str:
        return f"xacct-processing-{self.sandbox.config.suffix}"

    def put(self, day: str, name: str, body: bytes | str) -> None:
        self.sandbox.client("account-a-admin", "s3").put_object(
            Bucket=self.sandbox.config.input_bucket,
            Key=f"{self.folder(day)}{name}",
            Body=body.encode() if isinstance(body, str) else body,
        )

    def put_all(self, files: Mapping[tuple[str, str], bytes | str]) -> None:
        """Put files by day and name."""
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda item: self.put(*item[0], item[1]), files.items()))

    def folder(self, day: str) -> str:
        return f"{self.root}{day.replace('-', '/')}/"

    @property
    def root(self) -> str:
        return f"{self.feed.replace('_', '-')}/"

    @contextmanager
    def tables(self, days: Sequence[str]) -> Iterator[None]:
        """The staging table, and the catalog that a crawl of the days would have made."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(self.sandbox.config.ca_bundle))
            ssl.create_default_context()
            columns = ", ".join(
                f"{name} {kind}{'' if nullable else ' NOT NULL'}"
                for name, kind, nullable in self.columns
            )
            self.query(f"CREATE TABLE public.{self.feed} (partition_date DATE NOT NULL, {columns})")
            self._catalog(days)
            yield
            self.query(f"DROP TABLE public.{self.feed}")
            self.client("glue").delete_table(DatabaseName="products_db", Name=self.feed)

    def _catalog(self, days: Sequence[str]) -> None:
        glue = self.client("glue")
        bucket = f"s3://{self.sandbox.config.input_bucket}/"
        columns = [{"Name": name, "Type": "string"} for name, _, _ in self.columns]
        storage = {"Columns": columns, "Location": bucket + self.root}
        glue.create_table(
            DatabaseName="products_db",
            TableInput={
                "Name": self.feed,
                "StorageDescriptor": storage,
                "PartitionKeys": [{"Name": f"partition_{n}", "Type": "string"} for n in range(3)],
                "Parameters": {"classification": "csv"},
            },
        )
        partitions = [
            {
                "Values": day.split("-"),
                "StorageDescriptor": {**storage, "Location": bucket + self.folder(day)},
            }
            for day in days
        ]
        for start in range(0, len(partitions), PARTITIONS):
            answer = glue.batch_create_partition(
                DatabaseName="products_db",
                TableName=self.feed,
                PartitionInputList=partitions[start : start + PARTITIONS],
            )
            assert not answer.get("Errors"), answer

    def run(
        self,
        days: Sequence[str],
        *,
        seconds: float = RUN_SECONDS,
        request: Mapping[str, Any] | None = None,
        **owners: str,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run the job for these days: the job run, and what it reported for each day.

        Args:
            days: to load.
            seconds: how long to wait for the run.
            request: fields of the load request that differ.
            owners: accounts that are named as owners of the raw and the working bucket.
        """
        config = self.sandbox.config
        owner = {"raw": config.account_a, "working": config.account_b, **owners}
        load_id = uuid.uuid4().hex
        prefix = f"pipes/{load_id}"
        s3 = self.client("s3")
        context = {
            **dict.fromkeys(PIPES_FIELDS),
            "run_id": load_id,
            "retry_number": 0,
            "extras": {**self._request(load_id, days), **(request or {})},
        }
        s3.put_object(
            Bucket=self.processing, Key=f"{prefix}/context.json", Body=json.dumps(context).encode()
        )
        run_id = self.client("glue").start_job_run(
            JobName=self.name,
            Arguments={
                "--load_id": load_id,
                "--bucket_owners": f"{config.input_bucket}={owner['raw']},"
                f"{self.processing}={owner['working']}",
                "--dagster-pipes-context": _encoded(
                    {"bucket": self.processing, "key": f"{prefix}/context.json"}
                ),
                "--dagster-pipes-messages": _encoded(
                    {"bucket": self.processing, "key_prefix": f"{prefix}/messages"}
                ),
            },
        )["JobRunId"]
        run = wait_for_run(self.client("glue"), self.name, run_id, seconds=seconds)
        return run, self._report(f"{prefix}/messages")

    def _report(self, prefix: str) -> dict[str, Any]:
        s3 = self.client("s3")
        for item in s3.list_objects_v2(Bucket=self.processing, Prefix=prefix).get("Contents", []):
            body = s3.get_object(Bucket=self.processing, Key=item["Key"])["Body"].read()
            for line in body.decode().splitlines():
                message = json.loads(line)
                if message["method"] == "report_custom_message":
                    return dict(message["params"]["payload"]["days"])
        return {}

    def _request(self, load_id: str, days: Sequence[str]) -> dict[str, Any]:
        config = self.sandbox.config
        return {
            **request_json(),
            "feed": self.feed,
            "load_id": load_id,
            "days": [{"day": day, "values": day.split("-")} for day in days],
            "catalog": {"database": "products_db", "table": self.feed},
            "columns": [
                {"name": name, "type": kind, "nullable": nullable}
                for name, kind, nullable in self.columns
            ],
            "key": list(self.key),
            "staging": {
                "table": f"public.{self.feed}",
                "load_audit": "public.xacct_load_audit",
            },
            "connection": f"xacct-redshift-{config.suffix}",
            "tmp_dir": f"s3://{self.processing}/glue-tmp/{self.feed}/{load_id}/",
            "copy_role": f"arn:aws:iam::{config.account_b}:role/xacct-RoleB-{config.suffix}",
            "rejects": f"s3://{self.processing}/rejects/{self.feed}/",
        }

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        secret = json.loads(
            self.client("secretsmanager").get_secret_value(
                SecretId=f"xacct/redshift-{self.sandbox.config.suffix}"
            )["SecretString"]
        )
        with closing(
            redshift_connector.connect(
                host=secret["host"],
                port=int(secret["port"]),
                database=secret["dbname"],
                user=secret["username"],
                password=secret["password"],
                sslmode="verify-full",
            )
        ) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def load_audit(self) -> list[tuple[str, int]]:
        """Day and rows of each load that was committed."""
        rows = self.query(
            "SELECT partition_date, rows_loaded FROM public.xacct_load_audit "
            f"WHERE feed = '{self.feed}' ORDER BY partition_date"
        )
        return [(str(day), count) for day, count in rows]

    def rejects(self, day: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The manifest of a day and the records of its files."""
        s3 = self.client("s3")

        def read(key: str) -> bytes:
            return bytes(s3.get_object(Bucket=self.processing, Key=key)["Body"].read())

        manifest = json.loads(read(f"rejects/{self.feed}/{day.replace('-', '/')}/manifest.json"))
        records = [
            json.loads(line)
            for file in manifest["files"]
            for line in gzip.decompress(read(file["key"])).decode().split("\n")
            if line
        ]
        return manifest, records


def _encoded(params: dict[str, Any]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(params).encode())).decode()
