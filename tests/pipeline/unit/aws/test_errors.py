"""Failures of AWS are typed, and name principal, action, resource and fix."""

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from xacct_assets.aws.botocore_errors import aws_call, translate
from xacct_assets.aws.denials import set_permission_hints
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

DENIED = (
    "User: arn:aws:sts::222222222222:assumed-role/xacct-glue/run is not authorized to perform: "
    "glue:GetTable on resource: arn:aws:glue:us-east-1:222222222222:table/d/t because no "
    "identity-based policy allows the glue:GetTable action"
)


def test_a_denial_names_principal_action_resource_account_and_who_grants_it(refusal):
    failure = translate(
        refusal("AccessDeniedException", DENIED), action="glue:GetTable", resource="table d.t"
    )
    assert isinstance(failure, AccessDenied)
    text = str(failure)
    for part in (
        "principal: arn:aws:sts::222222222222:assumed-role/xacct-glue/run",
        "action: glue:GetTable",
        "resource: arn:aws:glue:us-east-1:222222222222:table/d/t",
        "account: 222222222222",
        "no identity-based policy",
        "infra/account_b.yaml",
    ):
        assert part in text
    assert not failure.retryable


def test_the_message_of_a_denial_is_believed_over_what_was_asked(refusal):
    message = (
        "User: arn:aws:iam::222222222222:user/me is not authorized to perform: sts:AssumeRole on "
        "resource: arn:aws:iam::222222222222:role/orchestrator"
    )
    failure = translate(refusal("AccessDenied", message), action="s3:ListBucket", resource="b")
    assert (failure.action, failure.resource) == (
        "sts:AssumeRole",
        "arn:aws:iam::222222222222:role/orchestrator",
    )
    assert "trust policy" in failure.fix


def test_a_bare_denial_of_s3_names_the_caller_that_the_session_knows(refusal):
    error = refusal("AccessDenied", "Access Denied", 403)
    error.response["Error"]["Principal"] = "arn:aws:iam::222222222222:role/orchestrator"
    failure = translate(
        error, action="s3:GetObject", resource="arn:aws:s3:::raw/key", account="111111111111"
    )
    assert failure.principal == "arn:aws:iam::222222222222:role/orchestrator"
    assert failure.account == "111111111111"
    assert "BOTH the bucket policy" in failure.fix


@pytest.mark.parametrize(
    ("code", "status", "kind", "retryable"),
    [
        ("ThrottlingException", 400, Throttled, True),
        ("SlowDown", 503, Throttled, True),
        ("InternalServerException", 500, Unavailable, True),
        ("SomethingNew", 502, Unavailable, True),
        ("OperationTimeoutException", 400, Unavailable, True),
        ("EntityNotFoundException", 400, NotFound, False),
        ("NoSuchBucket", 404, NotFound, False),
        ("404", 404, NotFound, False),
        ("403", 403, AccessDenied, False),
        ("ExpiredToken", 403, CredentialsProblem, False),
        ("InvalidAccessKeyId", 403, CredentialsProblem, False),
        ("InvalidInputException", 400, InvalidRequest, False),
    ],
)
def test_each_kind_of_error_has_a_type_and_says_if_it_is_retryable(
    refusal, code, status, kind, retryable
):
    failure = translate(refusal(code, "text", status), action="a:B", resource="r")
    assert type(failure) is kind
    assert failure.retryable is retryable
    assert failure.code == code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), CredentialsProblem),
        (EndpointConnectionError(endpoint_url="https://x"), Unavailable),
        (ReadTimeoutError(endpoint_url="https://x"), Unavailable),
        (ParamValidationError(report="bad"), InvalidRequest),
    ],
)
def test_failures_without_an_answer_have_a_type(error, kind):
    assert type(translate(error, action="a:B", resource="r")) is kind


def test_other_exceptions_are_not_translated():
    with pytest.raises(ZeroDivisionError), aws_call("a:B", "r"):
        _ = 1 / 0


def test_an_interrupt_is_not_translated():
    with pytest.raises(KeyboardInterrupt), aws_call("a:B", "r"):
        raise KeyboardInterrupt


def test_a_failure_that_is_typed_already_is_not_wrapped_again():
    failure = AwsFailure("known")
    with pytest.raises(AwsFailure) as caught, aws_call("a:B", "r"):
        raise failure
    assert caught.value is failure


def test_codes_that_the_caller_handles_pass_through(refusal):
    error = refusal("CrawlerRunningException")
    with (
        pytest.raises(type(error)),
        aws_call("a:B", "r", expected_codes=("CrawlerRunningException",)),
    ):
        raise error


def test_a_denial_that_leaves_out_its_principal_is_still_read(refusal):
    message = (
        "User: is not authorized to perform: sts:AssumeRole on resource: "
        "arn:aws:iam::222222222222:role/orchestrator"
    )
    failure = translate(refusal("AccessDenied", message), action="glue:GetTable", resource="t")
    assert (failure.action, failure.account) == ("sts:AssumeRole", "222222222222")


def test_the_fix_of_a_denial_is_the_hint_that_was_handed_in(refusal):
    set_permission_hints(lambda action, resource, principal: f"ask for {action} on {resource}")
    failure = translate(
        refusal("AccessDenied", "Access Denied"), action="s3:GetObject", resource="arn:aws:s3:::b/k"
    )
    assert failure.fix == "ask for s3:GetObject on arn:aws:s3:::b/k"


@pytest.mark.parametrize(
    ("names", "archive"),
    [
        ({"StorageClass": "GLACIER"}, "GLACIER"),
        (
            {"StorageClass": "INTELLIGENT_TIERING", "AccessTier": "ARCHIVE_ACCESS"},
            "INTELLIGENT_TIERING, ARCHIVE_ACCESS",
        ),
        ({}, "a class that S3 did not name"),
    ],
)
def test_a_read_of_an_archived_object_is_no_denial(names, archive, refusal):
    error = refusal("InvalidObjectState", "The operation is not valid", 403, "GetObject")
    error.response["Error"] |= names
    failure = translate(error, action="s3:GetObject", resource="arn:aws:s3:::raw/a.csv")
    assert isinstance(failure, ObjectArchived)
    assert (failure.archive, failure.retryable) == (archive, False)
    assert f"archived in {archive}" in str(failure)
    assert "policy" not in str(failure)
    assert "restore-object" in failure.fix
