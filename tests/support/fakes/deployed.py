"""Two accounts in memory in which `xacct deploy` and `xacct destroy` can run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.fakes.cloudformation import NOW
from tests.support.fakes.modelled_client import ModelledClient, client_error
from tests.support.fakes.stack_service import BUCKET, FakeStackService
from xacct_assets.operations.deployment.accounts import Accounts


class Killed(BaseException):
    """The process is gone: nothing more is sent."""


class FakeAccount:
    """One account: its stacks, and all resources, those that no stack made among them.

    Attributes:
        things: properties of each resource, by type and physical id.
        objects: content of each bucket's objects.
        metadata: of the objects that have some, by bucket and key.
        marked_secrets: ARNs of the secrets that are marked for deletion.
        snapshots: names of the snapshots of namespaces.
        cloudformation: its stacks.
        after_call: called after each call to a client.
    """

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.things: dict[tuple[str, str], dict[str, Any]] = {}
        self.objects: dict[str, dict[str, bytes]] = {}
        self.metadata: dict[tuple[str, str], dict[str, str]] = {}
        self.marked_secrets: set[str] = set()
        self.snapshots: list[str] = []
        self.after_call: Callable[[], None] = lambda: None
        self.cloudformation = FakeStackService(id_, self.things, self.objects)
        self.clients = {
            "cloudformation": self._client("cloudformation", **self.cloudformation.operations()),
            "glue": self._client(
                "glue",
                delete_crawler=self._delete_crawler,
                get_tables=lambda DatabaseName: {"TableList": []},
            ),
            "redshift-serverless": self._client(
                "redshift-serverless",
                create_snapshot=self._create_snapshot,
                get_snapshot=lambda snapshotName: {"snapshot": {"status": "AVAILABLE"}},
            ),
            "secretsmanager": self._client("secretsmanager", describe_secret=self._describe_secret),
            "s3": self._client(
                "s3",
                head_bucket=self._head_bucket,
                list_object_versions=self._versions,
                list_multipart_uploads=lambda **_: {},
                delete_objects=self._delete_objects,
                delete_bucket=self._delete_bucket,
                head_object=self._head_object,
                put_object=self._put_object,
            ),
        }

    def client(self, service: str) -> ModelledClient:
        """boto3's client of a service."""
        return self.clients[service]

    def by_hand(self, type_: str, id_: str, **properties: Any) -> None:
        """Make a resource that no stack made."""
        self.things[type_, id_] = properties
        if type_ == BUCKET:
            self.objects[id_] = {}

    def _client(self, service: str, **operations: Callable[..., dict[str, Any]]) -> ModelledClient:
        def killable(operation: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
            def call(**request: Any) -> dict[str, Any]:
                answer = operation(**request)
                self.after_call()
                return answer

            return call

        return ModelledClient(
            service, **{name: killable(operation) for name, operation in operations.items()}
        )

    def _delete_crawler(self, Name: str) -> dict[str, Any]:
        if self.things.pop(("AWS::Glue::Crawler", Name), None) is None:
            raise client_error("EntityNotFoundException", "no such crawler")
        return {}

    def _create_snapshot(self, namespaceName: str, snapshotName: str) -> dict[str, Any]:
        if ("AWS::RedshiftServerless::Namespace", namespaceName) not in self.things:
            raise client_error("ResourceNotFoundException", "no such namespace", 404)
        self.snapshots.append(snapshotName)
        return {}

    def _describe_secret(self, SecretId: str) -> dict[str, Any]:
        for (type_, arn), properties in self.things.items():
            name = arn.rpartition(":")[2].rpartition("-")[0]
            if type_ == "AWS::SecretsManager::Secret" and SecretId in (arn, name):
                marked = {"DeletedDate": NOW} if arn in self.marked_secrets else {}
                return {"ARN": arn, "Name": properties.get("Name", name), **marked}
        raise client_error("ResourceNotFoundException", "can't find the specified secret", 400)

    def _head_bucket(self, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        assert ExpectedBucketOwner == self.id
        if (BUCKET, Bucket) not in self.things:
            raise client_error("404", "Not Found", 404)
        return {}

    def _versions(self, Bucket: str, Prefix: str, **_: Any) -> dict[str, Any]:
        return {
            "Versions": [
                {"Key": key, "VersionId": "null", "Size": len(content)}
                for key, content in self.objects[Bucket].items()
                if key.startswith(Prefix)
            ]
        }

    def _delete_objects(self, Bucket: str, Delete: dict[str, Any], **_: Any) -> dict[str, Any]:
        for item in Delete["Objects"]:
            del self.objects[Bucket][item["Key"]]
        return {}

    def _delete_bucket(self, Bucket: str, **_: Any) -> dict[str, Any]:
        if self.objects[Bucket]:
            raise client_error("BucketNotEmpty", "The bucket is not empty", 409)
        del self.things[BUCKET, Bucket], self.objects[Bucket]
        return {}

    def _head_object(self, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:
        if Key not in self.objects.get(Bucket, {}):
            raise client_error("404", "Not Found", 404)
        return {"Metadata": self.metadata.get((Bucket, Key), {})}

    def _put_object(
        self, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str], **_: Any
    ) -> dict[str, Any]:
        self.objects[Bucket][Key] = Body
        self.metadata[Bucket, Key] = Metadata
        return {}


class FakeAccounts:
    """Takes the place of `Accounts`.

    Attributes:
        a, b: the accounts.
    """

    def __init__(self) -> None:
        self.a, self.b = FakeAccount("111111111111"), FakeAccount("222222222222")
        self._calls, self._kill_at = 0, -1
        for account in (self.a, self.b):
            account.after_call = self._after_call

    def install(self, monkeypatch: Any) -> None:
        """Let `Accounts` use these."""
        sessions = {"a": self.a, "b": self.b}

        def init(accounts: Any, settings: Any) -> None:
            accounts._settings = settings
            accounts.sessions = sessions

        monkeypatch.setattr(Accounts, "__init__", init)
        monkeypatch.setattr(Accounts, "verify", lambda *_: "arn")

    def kill_after(self, calls: int | None) -> None:
        """Kill the process after so many calls; with None, it lives."""
        self._calls, self._kill_at = 0, -1 if calls is None else calls

    def _after_call(self) -> None:
        self._calls += 1
        if 0 <= self._kill_at <= self._calls:
            raise Killed
