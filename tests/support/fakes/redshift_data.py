"""Redshift's Data API in memory."""

from __future__ import annotations

from tests.support.fakes.modelled_client import ModelledClient

STATEMENT = "d9b6c0c9-0747-4bf4-b142-e8883122f766"


class FakeRedshiftData:
    """The Data API of a workgroup. Each description moves a statement to its next status.

    Attributes:
        client: the boto3 client of the Data API.
        statuses: statuses of the statement, the current one first.
        facts: further fields of the description.
        answer: further fields of the answer to a submission.
        pages: pages of the result.
        submit_errors: an error for each of the next submissions; nothing is submitted.
        lost_answers: an error for each of the next submissions; the statement is submitted.
        describe_errors: an error for each of the next descriptions.
        outcomes: descriptions to return first.
        tokens: statement id by client token.
        cancelled: ids of the cancelled statements.
        cancel_errors: an error for each of the next cancellations.
    """

    def __init__(self) -> None:
        self.statuses = ["SUBMITTED", "STARTED", "FINISHED"]
        self.facts: dict = {}
        self.answer: dict = {}
        self.pages: list[dict] = []
        self.submit_errors: list = []
        self.lost_answers: list = []
        self.describe_errors: list = []
        self.outcomes: list[dict] = []
        self.tokens: dict[str, str] = {}
        self.cancelled: list[str] = []
        self.cancel_errors: list = []
        self.client = ModelledClient(
            "redshift-data",
            execute_statement=self.submit,
            batch_execute_statement=self.submit,
            describe_statement=self.describe,
            get_statement_result=self.result,
            cancel_statement=self.cancel,
        )

    @property
    def submits(self):
        return [call for call in self.client.calls if call[0].endswith("execute_statement")]

    def submit(self, ClientToken, **_):
        if self.submit_errors:
            raise self.submit_errors.pop(0)
        self.tokens[ClientToken] = STATEMENT
        if self.lost_answers:
            raise self.lost_answers.pop(0)
        return {"Id": STATEMENT, **self.answer}

    def describe(self, Id, WaitTimeSeconds=None):
        if self.describe_errors:
            raise self.describe_errors.pop(0)
        if self.outcomes:
            return {"Id": Id, **self.outcomes.pop(0)}
        if len(self.statuses) > 1:
            self.statuses.pop(0)
        return {"Id": Id, "Status": self.statuses[0], "ResultRows": 3, "Duration": 2 * 10**9} | (
            self.facts
        )

    def result(self, Id, NextToken=None):
        index = int(NextToken or 0)
        page = dict(self.pages[index])
        if index + 1 < len(self.pages):
            page["NextToken"] = str(index + 1)
        return page

    def cancel(self, Id):
        self.cancelled.append(Id)
        if self.cancel_errors:
            raise self.cancel_errors.pop(0)
        self.statuses = ["ABORTED"]
        return {"Status": True}
