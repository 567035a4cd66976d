"""The policy and the notification configuration of one S3 bucket in memory."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.support.fakes.modelled_client import ModelledClient, client_error


class FakeBucketConfiguration:
    """A bucket's policy and notifications, each written as a whole, as S3 does.

    Args:
        policy: the policy's text; None if there is none.
        notifications: the notification configuration.

    Attributes:
        client: the boto3 client.
        denied: methods of the client that are denied.
        malformed: the message with which S3 refuses the next policy.
    """

    def __init__(
        self, policy: str | None = None, notifications: dict[str, Any] | None = None
    ) -> None:
        self.policy = policy
        self.notifications = notifications or {}
        self.denied: set[str] = set()
        self.malformed: str | None = None
        self.client = ModelledClient(
            "s3",
            head_bucket=lambda **_: {},
            get_bucket_policy=self._get_policy,
            put_bucket_policy=self._put_policy,
            delete_bucket_policy=self._delete_policy,
            get_bucket_notification_configuration=self._get_notifications,
            put_bucket_notification_configuration=self._put_notifications,
        )

    @property
    def statements(self) -> list[dict[str, Any]]:
        """The policy's statements."""
        return list(json.loads(self.policy or '{"Statement": []}')["Statement"])

    @property
    def writes(self) -> list[str]:
        """The methods that changed something, in order."""
        return [name for name, _ in self.client.calls if not name.startswith(("get_", "head_"))]

    def _allow(self, method: str) -> None:
        if method in self.denied:
            raise client_error("AccessDenied", "Access Denied", 403, method)

    def _get_policy(self, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        self._allow("get_bucket_policy")
        if self.policy is None:
            raise client_error("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
        return {"Policy": self.policy}

    def _put_policy(self, Bucket: str, Policy: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        self._allow("put_bucket_policy")
        if self.malformed:
            raise client_error("MalformedPolicy", self.malformed)
        assert json.loads(Policy)["Statement"], "S3 stores no policy without a statement"
        self.policy = Policy
        return {}

    def _delete_policy(self, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        self._allow("delete_bucket_policy")
        self.policy = None
        return {}

    def _get_notifications(self, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        self._allow("get_bucket_notification_configuration")
        return {**copy.deepcopy(self.notifications), "ResponseMetadata": {}}

    def _put_notifications(
        self, Bucket: str, NotificationConfiguration: dict[str, Any], ExpectedBucketOwner: str
    ) -> dict[str, Any]:
        self._allow("put_bucket_notification_configuration")
        self.notifications = copy.deepcopy(NotificationConfiguration)
        return {}
