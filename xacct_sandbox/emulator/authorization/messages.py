"""The messages of denials (IAM user guide, "Troubleshoot access denied error messages")."""

from __future__ import annotations

from xacct_sandbox.emulator.authorization.judgement import Verdict

_POLICIES = {
    "boundary": "a permissions boundary",
    "identity": "an identity-based policy",
    "resource": "a resource-based policy",
    "session": "a session policy",
}
# KMS does not tell who may not use a key which one it is.
_CIPHERTEXT = (
    "the resource associated with this ciphertext because the resource does not exist in this "
    "Region, no resource-based policies allow access, or a resource-based policy explicitly denies "
    "access"
)


def denial(service: str, principal_arn: str, verdict: Verdict, *, foreign: bool) -> str:
    """The message for a denied check.

    Args:
        service: that was called.
        principal_arn: who is denied; "" for an anonymous caller.
        verdict: what is denied, and why.
        foreign: whether the resource belongs to another account.
    """
    decision, check = verdict.decision, verdict.check
    if decision.unknown_key:
        return (
            f"A policy that applies to {check.action} on {check.resource} names the condition key "
            f"{decision.unknown_key}, which the sandbox does not know; so the call is denied."
        )
    if check.action.startswith("kms:") and service == "secretsmanager":
        return "Access to KMS is not allowed"
    if check.action == "kms:Decrypt" and service == "s3" and decision.by == "resource":
        return f"User: {principal_arn} is not authorized to perform: kms:Decrypt on {_CIPHERTEXT}"
    if check.action.startswith("kms:"):
        service = "kms"
    if service == "s3" and (foreign or not principal_arn):
        return "Access Denied"
    return not_authorized(
        principal_arn,
        check.action.replace("sns:", "SNS:", 1),  # as SNS writes it
        f'"{check.resource}"' if service == "s3" else check.resource,
        explicit_deny=decision.explicit,
        policy=_POLICIES[decision.by],
    )


def not_authorized(
    principal_arn: str,
    action: str,
    resource: str,
    *,
    explicit_deny: bool,
    policy: str = "an identity-based policy",
) -> str:
    """The message of AWS.

    Args:
        principal_arn: who is denied.
        action: what is denied.
        resource: where it is denied.
        explicit_deny: whether a Deny statement applies.
        policy: the kind of policy with that statement.
    """
    if explicit_deny:
        reason = f"with an explicit deny in {policy}"
    elif policy == "a resource-based policy":
        reason = f"because no resource-based policy allows the {action} action"
    else:
        reason = f"because no identity-based policy allows the {action} action"
    return (
        f"User: {principal_arn} is not authorized to perform: {action} "
        f"on resource: {resource} {reason}"
    )
