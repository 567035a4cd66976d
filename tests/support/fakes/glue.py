"""Glue in memory: a crawler, a job, and the Data Catalog."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.support.fakes.modelled_client import ModelledClient, client_error
from xacct_assets.aws.console import Console

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeGlueCrawler:
    """A crawler. Its state is read a number of times before a crawl ends.

    Args:
        looks: reads of the state until a crawl ends.
        outcome: state in which crawls end.
        lag: listings in which the newest crawl is missing once it has ended.

    Attributes:
        client: the boto3 client of the crawler.
        lag_from: number of the first crawl that the listing shows late.
        lost: for each of the next starts, "before" or "after": the answer is lost, and the crawl
            was not started or was started.
        stop_errors: an error for each of the next stops.
        error_message: error message of a failed crawl.
    """

    def __init__(self, *, looks: int = 3, outcome: str = "COMPLETED", lag: int = 0) -> None:
        self.crawls: list[dict] = []
        self.looks_left = 0
        self.looks, self.outcome, self.lag = looks, outcome, lag
        self.stopped = 0
        self.lag_from = 1
        self.lost: list[str] = []
        self.stop_errors: list = []
        self.error_message = "Access Denied"
        self.client = ModelledClient(
            "glue",
            start_crawler=self.start,
            get_crawler=self.get,
            list_crawls=self.list,
            stop_crawler=self.stop,
        )

    def begin(self):
        number = len(self.crawls) + 1
        self.crawls.append(
            {
                "CrawlId": f"crawl-{number}",
                "State": "RUNNING",
                "StartTime": NOON + timedelta(minutes=number),
            }
        )
        self.looks_left = self.looks

    def start(self, Name):
        if self.looks_left > 0:
            raise client_error("CrawlerRunningException")
        if self.lost:
            error = self.lost.pop(0)
            if error == "after":
                self.begin()
            raise ReadTimeoutError(endpoint_url="https://glue")
        self.begin()
        return {}

    def look(self):
        """Count a read of the state. Returns whether a crawl was running."""
        if self.looks_left > 0:
            self.looks_left -= 1
            if self.looks_left == 0:
                self.crawls[-1] |= {
                    "State": self.outcome,
                    "EndTime": NOON,
                    "DPUHour": 0.02,
                    "Summary": r'{"PARTITION": "{\"ADD\": \"{\\\"Count\\\": 1}\"}"}',
                    **({"ErrorMessage": self.error_message} if self.outcome == "FAILED" else {}),
                }
            return True
        return False

    def get(self, Name):
        running = "STOPPING" if self.outcome == "STOPPED" else "RUNNING"
        return {"Crawler": {"Name": Name, "State": running if self.look() else "READY"}}

    def list(self, CrawlerName, MaxResults):
        if self.crawls and self.crawls[-1]["State"] == "RUNNING":
            self.look()
        shown = self.crawls
        if len(self.crawls) >= self.lag_from and self.lag > 0 and self.looks_left == 0:
            self.lag -= 1
            shown = self.crawls[:-1]
        date = format_datetime(NOON, usegmt=True)
        return {
            "Crawls": list(reversed(shown)),
            "ResponseMetadata": {"HTTPHeaders": {"date": date}},
        }

    def stop(self, Name):
        self.stopped += 1
        if self.looks_left == 0:
            raise client_error("CrawlerNotRunningException")
        if self.stop_errors:
            raise self.stop_errors.pop(0)
        self.looks_left = 1
        self.outcome = "STOPPED"
        return {}


# States of a run that has not ended.
_LIVE = {"STARTING", "RUNNING", "WAITING", "STOPPING"}
CONSOLE = Console("https://us-east-1.console.aws.amazon.com", "us-east-1")
OPTIONS = {"worker_type": "G.1X", "number_of_workers": 2, "timeout_minutes": 10}


class FakeGlueJob:
    """A Glue job. Each read of a run's state moves the run to its next planned state.

    Attributes:
        client: the boto3 client of the job.
        plan: states of the runs to come.
        start_errors: for each of the next starts, an error, a function that returns one, or None.
        hidden_looks: listings that are still empty.
        stop_errors: for each of the next stops, an error to raise, or a message in the answer.
        list_errors: an error for each of the next listings.
    """

    def __init__(self) -> None:
        self.runs: list[dict] = []
        self.plan = ["STARTING", "RUNNING", "SUCCEEDED"]
        self.start_errors: list = []
        self.hidden_looks = 0
        self.stop_errors: list = []
        self.list_errors: list = []
        self.client = ModelledClient(
            "glue",
            start_job_run=self.start,
            get_job_run=self.get,
            get_job_runs=lambda **request: self.list(**request),
            batch_stop_job_run=self.stop,
        )

    def add(self, load_id, states, **facts):
        run = {
            "Id": f"jr_{len(self.runs) + 1}",
            "JobName": "load",
            "Arguments": {"--load_id": load_id},
            "StartedOn": datetime(2026, 1, 1, tzinfo=UTC),
            "states": list(states),
            **facts,
        }
        self.runs.insert(0, run)
        return run

    def shown(self, run, step=False):
        states = run["states"]
        if step and len(states) > 1:
            states.pop(0)
        return {
            **{key: value for key, value in run.items() if key != "states"},
            "JobRunState": states[0],
            "ExecutionTime": 70,
            "MaxCapacity": 2.0,
        }

    def start(self, JobName, Arguments, **_):
        error = self.start_errors.pop(0) if self.start_errors else None
        if callable(error):
            error = error(Arguments)
        if error is not None:
            raise error
        return {"JobRunId": self.add(Arguments["--load_id"], self.plan)["Id"]}

    def get(self, JobName, RunId):
        (run,) = [run for run in self.runs if run["Id"] == RunId]
        return {"JobRun": self.shown(run, step=True)}

    def list(self, JobName, MaxResults, NextToken=None):
        if self.list_errors:
            raise self.list_errors.pop(0)
        if self.hidden_looks:
            self.hidden_looks -= 1
            return {"JobRuns": []}
        return {"JobRuns": [self.shown(run) for run in self.runs]}

    def stop(self, JobName, JobRunIds):
        error = self.stop_errors.pop(0) if self.stop_errors else None
        if isinstance(error, Exception):
            raise error
        if error is not None:
            detail = {"ErrorCode": "InternalServiceException", "ErrorMessage": error}
            refused = {"JobName": JobName, "JobRunId": JobRunIds[0], "ErrorDetail": detail}
            return {"SuccessfulSubmissions": [], "Errors": [refused]}
        for run in self.runs:
            if run["Id"] in JobRunIds and run["states"][0] in _LIVE:
                run["states"] = ["STOPPING", "STOPPED"]
        return {"SuccessfulSubmissions": [], "Errors": []}

    @property
    def started(self):
        return len(self.client.named("start_job_run"))


class FakeGlueCatalog:
    """One database, ``db``. Its pages hold two items, so that every test covers paging.

    Attributes:
        client: the boto3 client of the catalog.
        tables: TableInput by name.
        partitions: PartitionInput by table and partition values.
        indexes: the keys of each partition index, by table.
        denied: methods of the client that are denied.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.partitions: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
        self.indexes: dict[str, list[list[str]]] = {}
        self.denied: set[str] = set()
        handlers: list[Callable[..., dict[str, Any]]] = [
            self.get_database,
            self.get_partition_indexes,
            self.create_partition_index,
            self.get_tables,
            self.create_table,
            self.update_table,
            self.delete_table,
            self.get_partitions,
            self.batch_create_partition,
            self.batch_update_partition,
            self.batch_delete_partition,
        ]
        self.client = ModelledClient(
            "glue", **{handler.__name__: self._authorized(handler) for handler in handlers}
        )

    def _authorized(self, handler: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def call(**request: Any) -> dict[str, Any]:
            if handler.__name__ in self.denied:
                raise client_error("AccessDeniedException", operation=handler.__name__)
            # Copies, as over the network: neither side sees later changes of the other.
            return copy.deepcopy(handler(**copy.deepcopy(request)))

        return call

    def get_database(self, Name: str) -> dict[str, Any]:
        if Name != "db":
            raise client_error("EntityNotFoundException", operation="GetDatabase")
        return {}

    def get_partition_indexes(self, DatabaseName: str, TableName: str) -> dict[str, Any]:
        found = [
            {
                "IndexName": str(number),
                "IndexStatus": "ACTIVE",
                "Keys": [{"Name": k, "Type": "string"} for k in keys],
            }
            for number, keys in enumerate(self.indexes.get(TableName, []))
        ]
        return {"PartitionIndexDescriptorList": found}

    def create_partition_index(
        self, DatabaseName: str, TableName: str, PartitionIndex: dict[str, Any]
    ) -> dict[str, Any]:
        self.indexes.setdefault(TableName, []).append(PartitionIndex["Keys"])
        return {}

    def get_tables(self, DatabaseName: str, NextToken: str = "0", **_: Any) -> dict[str, Any]:
        return _page("TableList", list(self.tables.values()), NextToken)

    def create_table(self, DatabaseName: str, TableInput: dict[str, Any]) -> dict[str, Any]:
        self.tables[TableInput["Name"]] = TableInput
        self.partitions[TableInput["Name"]] = {}
        return {}

    def update_table(
        self, DatabaseName: str, TableInput: dict[str, Any], **_: Any
    ) -> dict[str, Any]:
        self.tables[TableInput["Name"]] = TableInput
        return {}

    def delete_table(self, DatabaseName: str, Name: str) -> dict[str, Any]:
        del self.tables[Name]
        return {}

    def get_partitions(
        self, DatabaseName: str, TableName: str, NextToken: str = "0", **_: Any
    ) -> dict[str, Any]:
        return _page("Partitions", list(self.partitions[TableName].values()), NextToken)

    def batch_create_partition(
        self, DatabaseName: str, TableName: str, PartitionInputList: list[dict[str, Any]]
    ) -> dict[str, Any]:
        assert len(PartitionInputList) <= 100
        for entry in PartitionInputList:
            self.partitions[TableName][tuple(entry["Values"])] = entry
        return {"Errors": []}

    def batch_update_partition(
        self, DatabaseName: str, TableName: str, Entries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        for entry in Entries:
            values = tuple(entry["PartitionValueList"])
            self.partitions[TableName][values] = entry["PartitionInput"]
        return {"Errors": []}

    def batch_delete_partition(
        self, DatabaseName: str, TableName: str, PartitionsToDelete: list[dict[str, Any]]
    ) -> dict[str, Any]:
        assert len(PartitionsToDelete) <= 25
        for entry in PartitionsToDelete:
            del self.partitions[TableName][tuple(entry["Values"])]
        return {"Errors": []}


def _page(key: str, items: list[Any], token: str) -> dict[str, Any]:
    start = int(token)
    answer: dict[str, Any] = {key: items[start : start + 2]}
    if start + 2 < len(items):
        answer["NextToken"] = str(start + 2)
    return answer
