"""Typed failures that say what happened, on whose side, whether a retry can help, and what to do.

`aws_call` wraps each call to AWS and turns botocore's exceptions into these; nothing above `aws/`
needs to know botocore.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Self

from xacct_assets.iam_hints import grant_hint


class AwsFailure(Exception):
    """Something asked of AWS did not happen.

    Attributes:
        what: what was being done, and the thing it was done to.
        reason: the cause, in the words of the service where there are any.
        account, principal, action, resource: on whose side, who asked, for which permission, on
            what. None where not known.
        code: the error code of the service.
        retryable: True if the same request may succeed later with nothing changed by a person.
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

    def describe(self) -> str:
        """The whole story on a few lines: what, why, who, where, what to do."""
        head = f"{self.what}: {self.reason}" if self.reason else self.what
        lines = [head if head.endswith((".", "!", "?")) else head + "."]
        where = [
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
        if where:
            lines.append("  " + "\n  ".join(where))
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class AccessDenied(AwsFailure):
    """A principal was refused an action on a resource by IAM, a bucket policy or a trust policy."""


class CredentialsProblem(AwsFailure):
    """No credentials were found, or the ones found are wrong or have ended."""

    default_fix = (
        "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE (or the role of the "
        "machine), then run `xacct doctor`"
    )


class Throttled(AwsFailure):
    """The service asked us to slow down, and kept asking through all retries."""

    retryable_by_default = True
    default_fix = "try again later, or ask for a higher quota if this happens often"


class Unavailable(AwsFailure):
    """The service could not be reached, did not answer in time, or failed on its own side."""

    retryable_by_default = True
    default_fix = (
        "try again; if it stays, check the network path (VPC endpoints, DNS, proxies, "
        "AWS_ENDPOINT_URL) and the AWS health page"
    )


class NotFound(AwsFailure):
    """The named thing does not exist, or not in this account and Region."""


class InvalidRequest(AwsFailure):
    """The service understood the request and refused it."""


class WaitTimeout(AwsFailure):
    """Something did not end within the time given to it."""

    retryable_by_default = True


class ObjectChanged(AwsFailure):
    """An S3 object was replaced or deleted between being listed and being read."""

    retryable_by_default = True
    default_fix = "materialize the day again: it will see the object as it is now"


class CrawlFailed(AwsFailure):
    """A crawl ended in another state than COMPLETED."""


class JobRunFailed(AwsFailure):
    """A Glue job run ended in another state than SUCCEEDED. `result` holds the run's facts."""

    def __init__(self, what: str, *, result: Any, **about: Any) -> None:
        self.result = result
        super().__init__(what, **about)


class StatementFailed(AwsFailure):
    """The database refused or aborted a statement. `statement_id` is the Data API's, if any."""

    def __init__(
        self, what: str, *, statement_id: str | None = None, status: str | None = None, **about: Any
    ) -> None:
        self.statement_id = statement_id
        self.status = status
        super().__init__(what, **about)


class ResultExpired(AwsFailure):
    """The Data API no longer keeps the result (it does so for 24 hours)."""

    default_fix = "run the statement again with a new client token"


class ConnectionFailed(AwsFailure):
    """The wire connection to Redshift could not be opened or was lost."""

    retryable_by_default = True


class CommitUnknown(ConnectionFailed):
    """The connection was lost while COMMIT was on its way: the transaction may have happened."""


class LoginFailed(AwsFailure):
    """Redshift refused the user or the password."""


class SecretInvalid(AwsFailure):
    """A secret was read but does not hold what is needed. Never shows any part of the secret."""


class ManifestInvalid(AwsFailure):
    """An UNLOAD manifest or a reject manifest is not what it must be."""


class DeployFailed(AwsFailure):
    """A CloudFormation stack did not reach the state asked for."""


# Error codes by meaning. Services spell the same thing in many ways; these are from the error
# shapes of the botocore models and the "common errors" lists of the services' API references.
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AccessDeniedFault",
    "AuthorizationError",
    "UnauthorizedOperation",
    "AllAccessDisabled",
    "403",
}
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
}
_UNAVAILABLE = {
    "DatabaseConnectionException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "InternalServiceError",
    "InternalServiceException",
    "InternalServiceErrorException",
    "OperationTimeoutException",
    "QueryTimeoutException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "500",
    "502",
    "503",
    "504",
}
_NOT_FOUND = {
    "EntityNotFoundException",
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchKey",
    "NotFound",
    "ResourceNotFoundException",
    "404",
}

# "User: arn:… is not authorized to perform: s3:GetObject on resource: "arn:…" because no
# identity-based policy allows the s3:GetObject action"; crawlers leave the "User:" out.
_DENIED_MESSAGE = re.compile(
    r"(?:User: )?(?P<principal>(?!User:)[^\s(]*) ?is not authorized to perform: "
    r"(?P<action>[\w:*-]*[\w*])(?: on resource: \"?(?P<resource>[^\s\";,]*[^\s\";,.)])\"?)?"
    r"(?:[ ;](?P<because>(?:because|with) .+))?",
    re.DOTALL,
)
# Redshift's own words when a hop of a role chain is refused.
_NOT_ASSUMED = re.compile(
    r"User (?P<principal>arn:\S+) is not authorized to assume IAM Role "
    r"(?P<resource>arn:[\w:/+=,.@-]+)"
)
_ACCOUNT = re.compile(r"^arn:[^:]+:[^:]*:[^:]*:(\d{12}):")


def account_of(arn: str | None) -> str | None:
    """The account id in an ARN; None where the ARN (as S3's) has none."""
    match = _ACCOUNT.match(arn or "")
    return match.group(1) if match else None


def denial_in(text: str | None) -> dict[str, str]:
    """Who was denied what on which resource, and the fix, if a text of AWS tells of a denial.

    Jobs, crawls and statements report in their own words what their role was denied; the answer
    fits the keyword arguments of `AwsFailure`, and is empty if the text tells of no denial.
    """
    match = _DENIED_MESSAGE.search(text or "")
    if match is not None:
        principal, action = match["principal"], match["action"]
        resource = match["resource"] or "?"
    elif match := _NOT_ASSUMED.search(text or ""):
        principal, action, resource = match["principal"], "sts:AssumeRole", match["resource"]
    else:
        return {}
    return {
        "principal": principal,
        "action": action,
        "resource": resource,
        "fix": grant_hint(action, resource, principal or None),
    }


def error_code(error: BaseException) -> str:
    """The service's error code of a botocore ClientError, else an empty string."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return ""
    return str(response.get("Error", {}).get("Code", ""))


def http_status(error: BaseException) -> int:
    """The HTTP status of a botocore ClientError, else 0."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return 0
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def retries_before(error: BaseException) -> int:
    """How often botocore had asked before it got this answer."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return 0
    return int(response.get("ResponseMetadata", {}).get("RetryAttempts", 0))


def translate(
    error: BaseException,
    *,
    action: str,
    resource: str,
    account: str | None = None,
    principal: str | None = None,
    fix: str | None = None,
) -> AwsFailure | None:
    """The typed failure for an exception of botocore; None if the exception is not botocore's.

    Args:
        error: what was raised.
        action: the IAM action asked for, such as ``s3:ListBucket``.
        resource: the thing it was asked of, best as an ARN.
        account: the account that owns the resource, if known.
        principal: who asked, if the error does not say so itself.
        fix: overrides the usual advice.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        CredentialRetrievalError,
        EndpointConnectionError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
        ReadTimeoutError,
        TokenRetrievalError,
    )

    about: dict[str, Any] = {"action": action, "resource": resource, "account": account}
    what = f"{action} on {resource}"
    if isinstance(error, ClientError):
        return _translate_answer(error, what, about, principal, fix)
    if isinstance(
        error,
        NoCredentialsError
        | PartialCredentialsError
        | CredentialRetrievalError
        | ProfileNotFound
        | TokenRetrievalError,
    ):
        return CredentialsProblem(f"{what} was not sent", reason=str(error), fix=fix, **about)
    if isinstance(
        error, HTTPClientError | ConnectionError | EndpointConnectionError | ReadTimeoutError
    ):
        return Unavailable(f"{what} got no answer", reason=str(error), fix=fix, **about)
    if isinstance(error, BotoCoreError):
        return InvalidRequest(f"{what} was not sent", reason=str(error), fix=fix, **about)
    return None


def _translate_answer(
    error: BaseException,
    what: str,
    about: dict[str, Any],
    principal: str | None,
    fix: str | None,
) -> AwsFailure:
    response: dict[str, Any] = getattr(error, "response", {})
    detail = response.get("Error", {})
    code, message = str(detail.get("Code", "")), str(detail.get("Message", "")).strip()
    status = http_status(error)
    # `Sessions` adds the caller to denials: S3 says only "Access Denied".
    principal = principal or detail.get("Principal")
    about = {**about, "code": code, "principal": principal}
    if code in _DENIED or (status == 403 and code not in _CREDENTIALS):
        return _denied(what, message, about, fix)
    if code in _CREDENTIALS:
        return CredentialsProblem(f"{what} was refused", reason=message or code, fix=fix, **about)
    if code in _THROTTLED or status == 429:
        return Throttled(f"{what} was throttled", reason=message or code, fix=fix, **about)
    if code in _NOT_FOUND or status == 404:
        return NotFound(f"{what} failed", reason=message or code, fix=fix, **about)
    if code in _UNAVAILABLE or status >= 500:
        return Unavailable(
            f"{what} failed on the service's side", reason=message or code, fix=fix, **about
        )
    return InvalidRequest(f"{what} was refused", reason=message or code, fix=fix, **about)


def _denied(what: str, message: str, about: dict[str, Any], fix: str | None) -> AccessDenied:
    match = _DENIED_MESSAGE.search(message)
    if match:
        about["principal"] = match["principal"] or about["principal"]
        about["action"] = match["action"]
        about["resource"] = match["resource"] or about["resource"]
    if about["account"] is None:
        about["account"] = account_of(about["resource"])
    return AccessDenied(
        f"{what} was denied",
        reason=message or "Access Denied",
        fix=fix or grant_hint(about["action"], about["resource"], about["principal"]),
        **about,
    )


class aws_call:
    """Context manager: exceptions of botocore leave it as `AwsFailure`s, others unchanged.

    Args: those of `translate`, and `expected_codes`: error codes that the caller handles; errors
    with these codes pass through unchanged.
    """

    def __init__(
        self,
        action: str,
        resource: str,
        *,
        account: str | None = None,
        fix: str | None = None,
        expected_codes: tuple[str, ...] = (),
    ) -> None:
        self._action = action
        self._resource = resource
        self._account = account
        self._fix = fix
        self._expected_codes = expected_codes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, AwsFailure):
            return
        if error_code(error) in self._expected_codes and error_code(error):
            return
        failure = translate(
            error,
            action=self._action,
            resource=self._resource,
            account=self._account,
            fix=self._fix,
        )
        if failure is not None:
            raise failure from error
