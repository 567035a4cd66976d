"""Translates botocore's exceptions into the typed failures of `errors`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xacct_assets.aws.denials import account_of, parse_denial, permission_hint
from xacct_assets.aws.errors import (
    AccessDenied,
    AwsFailure,
    CredentialsProblem,
    InvalidRequest,
    NotFound,
    ObjectArchived,
    Throttled,
    Unavailable,
)

# Error codes by meaning, from the error shapes of botocore's service models and the "common errors"
# pages of the services' API references. Services use different codes for the same thing.
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
    "AWS.SimpleQueueService.NonExistentQueue",
    "EntityNotFoundException",
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchKey",
    "NotFound",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "404",
}
# S3 answers it with the HTTP status of a denial (S3 API reference, GetObject).
_ARCHIVED = "InvalidObjectState"


def error_code(error: BaseException) -> str:
    """The service's error code of a botocore ClientError, else an empty string."""
    return str(_response(error, "Error").get("Code", ""))


def http_status(error: BaseException) -> int:
    """The HTTP status of a botocore ClientError, else 0."""
    return int(_response(error, "ResponseMetadata").get("HTTPStatusCode", 0))


def retries_before(error: BaseException) -> int:
    """How often botocore repeated the request before it got this error."""
    return int(_response(error, "ResponseMetadata").get("RetryAttempts", 0))


def _response(error: BaseException, part: str) -> dict[str, Any]:
    response = getattr(error, "response", None)
    return dict(response.get(part, {})) if isinstance(response, dict) else {}


def translate(
    error: BaseException,
    *,
    action: str,
    resource: str,
    account: str | None = None,
    fix: str | None = None,
) -> AwsFailure | None:
    """The typed failure for an exception of botocore; None if it is another exception.

    Args:
        error: the exception.
        action: IAM action of the request, such as ``s3:ListBucket``.
        resource: what the request was for, best as an ARN.
        account: the account that owns the resource, if known.
        fix: replaces the usual advice.
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

    details: dict[str, Any] = {"action": action, "resource": resource, "account": account}
    what = f"{action} on {resource}"
    if isinstance(error, ClientError):
        return _translate_response(error, what, details, fix)
    details |= {"reason": str(error), "fix": fix}
    if isinstance(
        error,
        NoCredentialsError
        | PartialCredentialsError
        | CredentialRetrievalError
        | ProfileNotFound
        | TokenRetrievalError,
    ):
        return CredentialsProblem(f"{what} was not sent", **details)
    if isinstance(
        error, HTTPClientError | ConnectionError | EndpointConnectionError | ReadTimeoutError
    ):
        return Unavailable(f"{what} got no answer", **details)
    if isinstance(error, BotoCoreError):
        return InvalidRequest(f"{what} was not sent", **details)
    return None


def _translate_response(
    error: BaseException, what: str, details: dict[str, Any], fix: str | None
) -> AwsFailure:
    response = _response(error, "Error")
    code, message = error_code(error), str(response.get("Message", "")).strip()
    status = http_status(error)
    # `Sessions` adds the caller to denials, because S3 says only "Access Denied".
    details = {**details, "code": code, "principal": response.get("Principal")}
    if code == _ARCHIVED:
        names = (response.get("StorageClass"), response.get("AccessTier"))
        archive = ", ".join(filter(None, names)) or "a class that S3 did not name"
        return ObjectArchived(
            f"{what} was refused",
            archive=archive,
            reason=f"it is archived in {archive}",
            fix=fix,
            **details,
        )
    if code in _DENIED or (status == 403 and code not in _CREDENTIALS):
        return _denied(what, message, details, fix)
    details |= {"reason": message or code, "fix": fix}
    if code in _CREDENTIALS:
        return CredentialsProblem(f"{what} was refused", **details)
    if code in _THROTTLED or status == 429:
        return Throttled(f"{what} was throttled", **details)
    if code in _NOT_FOUND or status == 404:
        return NotFound(f"{what} failed", **details)
    if code in _UNAVAILABLE or status >= 500:
        return Unavailable(f"{what} failed on the service's side", **details)
    return InvalidRequest(f"{what} was refused", **details)


def _denied(what: str, message: str, details: dict[str, Any], fix: str | None) -> AccessDenied:
    if denial := parse_denial(message):
        details["principal"] = denial.principal or details["principal"]
        details["action"] = denial.action
        details["resource"] = denial.resource or details["resource"]
    if details["account"] is None:
        details["account"] = account_of(details["resource"])
    hint = permission_hint(details["action"], details["resource"], details["principal"])
    return AccessDenied(
        f"{what} was denied", reason=message or "Access Denied", fix=fix or hint, **details
    )


@contextmanager
def aws_call(
    action: str,
    resource: str,
    *,
    account: str | None = None,
    fix: str | None = None,
    expected_codes: tuple[str, ...] = (),
) -> Iterator[None]:
    """Context manager: exceptions of botocore leave it as `AwsFailure`s, others unchanged.

    Args:
        action: IAM action of the request, such as ``s3:ListBucket``.
        resource: what the request is for, best as an ARN.
        account: the account that owns the resource, if known.
        fix: replaces the usual advice.
        expected_codes: errors with these codes leave it as botocore's exceptions: the caller
            handles them.
    """
    try:
        yield
    except AwsFailure:
        raise
    except Exception as error:
        code = error_code(error)
        if code and code in expected_codes:
            raise
        failure = translate(error, action=action, resource=resource, account=account, fix=fix)
        if failure is None:
            raise
        raise failure from error


@contextmanager
def ignore_codes(*codes: str) -> Iterator[None]:
    """Context manager: an `AwsFailure` with one of these error codes ends the block silently."""
    try:
        yield
    except AwsFailure as failure:
        if failure.code not in codes:
            raise
