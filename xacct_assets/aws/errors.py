"""Typed failures: what happened, in which account, whether a retry can help, and what to do.

`botocore_errors.aws_call` wraps each call to AWS and turns botocore's exceptions into these, so
that nothing above `aws/` needs to know botocore.
"""

from __future__ import annotations

from typing import Any


class AwsFailure(Exception):
    """A request to AWS failed.

    Attributes:
        what: the operation that failed, and the resource it was for.
        reason: the cause; the service's own message if there is one.
        account: account that owns the resource, if known.
        principal: ARN of the caller, if known.
        action: IAM action, if known.
        resource: the resource, best as an ARN, if known.
        code: the service's error code.
        retryable: True if the same request may succeed later without a change by a person.
        fix: what to do.
    """

    retryable_by_default = False
    default_fix: str | None = None

    def __init__(
        self,
        what: str,
        *,
        reason: str | None = None,
        account: str | None = None,
        principal: str | None = None,
        action: str | None = None,
        resource: str | None = None,
        code: str | None = None,
        retryable: bool | None = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.reason = reason
        self.account = account
        self.principal = principal
        self.action = action
        self.resource = resource
        self.code = code
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.fix = fix or self.default_fix
        super().__init__(self.describe())

    def name_resource(self, arn: str, account: str, fix: str) -> None:
        """Say what the failure was about, where the service does not."""
        self.resource, self.account, self.fix = arn, account, fix
        self.args = (self.describe(),)

    def describe(self) -> str:
        """The message: operation and reason, then principal, action, resource, and the fix."""
        head = f"{self.what}: {self.reason}" if self.reason else self.what
        lines = [head if head.endswith((".", "!", "?")) else head + "."]
        details = [
            f"{name}: {value}"
            for name, value in (
                ("principal", self.principal),
                ("action", self.action),
                ("resource", self.resource),
                ("account", self.account),
                ("code", self.code),
            )
            if value
        ]
        if details:
            lines.append("  " + "\n  ".join(details))
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class AccessDenied(AwsFailure):
    """IAM, a bucket policy or a trust policy denied a principal an action on a resource."""


class CredentialsProblem(AwsFailure):
    """No credentials were found, or they are wrong or have expired."""

    default_fix = (
        "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE (or the role of the "
        "machine), then run `xacct doctor`"
    )


class Throttled(AwsFailure):
    """The service still throttled the request after all retries."""

    retryable_by_default = True
    default_fix = "try again later, or ask for a higher quota if this happens often"


class Unavailable(AwsFailure):
    """The service could not be reached, did not answer in time, or had an internal error."""

    retryable_by_default = True
    default_fix = (
        "try again; if it stays, check the network path (VPC endpoints, DNS, proxies, "
        "AWS_ENDPOINT_URL) and the AWS health page"
    )


class NotFound(AwsFailure):
    """The resource does not exist in this account and Region."""


class InvalidRequest(AwsFailure):
    """The service understood the request and refused it."""


class WaitTimeout(AwsFailure):
    """Remote work did not end within its timeout."""

    retryable_by_default = True


class ObjectChanged(AwsFailure):
    """An S3 object was replaced or deleted between being listed and being read."""

    retryable_by_default = True
    default_fix = "materialize the day again: it will see the object as it is now"


class ObjectArchived(AwsFailure):
    """An S3 object is archived: it is listed, and cannot be read until it has been restored.

    Attributes:
        archive: the storage class, with the access tier if S3 names one.
    """

    default_fix = (
        "restore the object (aws s3api restore-object), which takes hours, or write it again; then "
        "try again"
    )

    def __init__(self, what: str, *, archive: str, **details: Any) -> None:
        self.archive = archive
        super().__init__(what, **details)


class CrawlFailed(AwsFailure):
    """A crawl ended in another state than COMPLETED."""


class JobRunFailed(AwsFailure):
    """A Glue job run ended in another state than SUCCEEDED; `result` is its `JobRunResult`."""

    def __init__(self, what: str, *, result: Any, **details: Any) -> None:
        self.result = result
        super().__init__(what, **details)


class StatementFailed(AwsFailure):
    """The database refused or aborted a statement; `statement_id` is the Data API's, if any."""

    def __init__(
        self,
        what: str,
        *,
        statement_id: str | None = None,
        status: str | None = None,
        **details: Any,
    ) -> None:
        self.statement_id = statement_id
        self.status = status
        super().__init__(what, **details)


class ResultExpired(AwsFailure):
    """The Data API no longer keeps the result (it does so for 24 hours)."""

    default_fix = "run the statement again with a new client token"


class ConnectionFailed(AwsFailure):
    """The wire connection to Redshift could not be opened or was lost."""

    retryable_by_default = True


class CommitUnknown(ConnectionFailed):
    """The connection was lost during COMMIT: the transaction may have been committed."""


class LoginFailed(AwsFailure):
    """Redshift refused the user or the password."""


class SecretInvalid(AwsFailure):
    """A secret lacks a needed part. The message shows no part of the secret."""


class ManifestInvalid(AwsFailure):
    """An UNLOAD manifest or a reject manifest cannot be used."""


class DeployFailed(AwsFailure):
    """A CloudFormation stack did not reach the requested state."""
