"""An SQS queue in memory."""

from __future__ import annotations

import uuid
from typing import Any

from tests.support.fakes.modelled_client import ModelledClient, client_error


class FakeQueue:
    """A standard queue: visibility timeouts, a new receipt handle per receive, ten per request.

    Attributes:
        client: the boto3 client of the queue.
        now: current time in seconds since the epoch.
        denied: "receive" and "delete", where they are denied.
        undeletable: ids of messages whose deletion fails.
        messages: the messages on the queue by id.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = 1_000_000.0
        self.denied: set[str] = set()
        self.undeletable: set[str] = set()
        self.messages: dict[str, dict[str, Any]] = {}
        self.client = ModelledClient(
            "sqs", receive_message=self.receive, delete_message_batch=self.delete
        )

    def send(self, body: str) -> str:
        message_id = str(uuid.uuid4())
        self.messages[message_id] = {"body": body, "visible": 0.0, "receipt": "", "sent": self.now}
        return message_id

    def receive(
        self, QueueUrl: str, MaxNumberOfMessages: int, VisibilityTimeout: int, **_: Any
    ) -> dict[str, Any]:
        assert QueueUrl == self.url
        if "receive" in self.denied:
            raise client_error("AccessDenied", operation="ReceiveMessage")
        given = []
        for message_id, message in self.messages.items():
            if message["visible"] <= self.now and len(given) < MaxNumberOfMessages:
                message["visible"] = self.now + VisibilityTimeout
                message["receipt"] = str(uuid.uuid4())
                given.append(
                    {
                        "MessageId": message_id,
                        "ReceiptHandle": message["receipt"],
                        "Body": message["body"],
                        "Attributes": {"SentTimestamp": str(int(message["sent"] * 1000))},
                    }
                )
        return {"Messages": given} if given else {}

    def delete(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        assert QueueUrl == self.url
        assert 1 <= len(Entries) <= 10
        if "delete" in self.denied:
            raise client_error("AccessDenied", operation="DeleteMessageBatch")
        done, failed = [], []
        for entry in Entries:
            known = [
                message_id
                for message_id, message in self.messages.items()
                if message["receipt"] == entry["ReceiptHandle"]
            ]
            if not known or known[0] in self.undeletable:
                failed.append({"Id": entry["Id"], "Code": "Stale", "SenderFault": True})
                continue
            del self.messages[known[0]]
            done.append({"Id": entry["Id"]})
        return {"Successful": done, "Failed": failed}
