"""A Glue job in memory."""

from datetime import UTC, datetime

from xacct_assets.aws.glue.job_runs import LIVE

OPTIONS = {"worker_type": "G.1X", "number_of_workers": 2, "timeout_minutes": 10}


class GlueRuns:
    """A job whose runs go through given states."""

    def __init__(self, modelled, refusal):
        self.refusal = refusal
        self.runs: list[dict] = []
        self.plan = ["STARTING", "RUNNING", "SUCCEEDED"]
        self.start_errors: list = []
        self.hidden_looks = 0
        self.stop_errors: list = []
        self.list_errors: list = []
        self.client = modelled(
            "glue",
            start_job_run=self.start,
            get_job_run=self.get,
            get_job_runs=lambda **asked: self.list(**asked),
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
            if run["Id"] in JobRunIds and run["states"][0] in LIVE:
                run["states"] = ["STOPPING", "STOPPED"]
        return {"SuccessfulSubmissions": [], "Errors": []}

    @property
    def started(self):
        return len(self.client.named("start_job_run"))
