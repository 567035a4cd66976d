"""Which template normally grants a permission: the first place to look after a denial."""

from __future__ import annotations

_A = "infra/account_a.yaml"
_B = "infra/account_b.yaml"
_ORCHESTRATOR = f"the orchestrator role's policy ({_B})"

#: Beginning of an IAM action -> where it is granted. First match wins.
_GRANTS: tuple[tuple[str, str], ...] = (
    (
        "sts:AssumeRole",
        f"BOTH the trust policy of the role to be assumed ({_A}: RoleA; {_B}: the others) and the "
        f"caller's own policy ({_B})",
    ),
    ("s3:", f"BOTH the bucket policy ({_A}) and the caller's own policy ({_B})"),
    ("glue:", _ORCHESTRATOR),
    ("redshift-data:", _ORCHESTRATOR),
    ("redshift-serverless:", _ORCHESTRATOR),
    ("secretsmanager:", f"{_ORCHESTRATOR} and, if the secret has its own key, that key's policy"),
    ("logs:", _ORCHESTRATOR),
    ("kms:", "the key's policy, in the key's account, and the caller's own policy"),
    ("iam:PassRole", f"the caller's own policy, on the role that is passed ({_B})"),
)


def grant_hint(action: str | None, resource: str | None, principal: str | None) -> str:
    """Where to look to have `action` on `resource` allowed for `principal`."""
    where = next(
        (place for prefix, place in _GRANTS if (action or "").startswith(prefix)),
        "the principal's policy",
    )
    who = principal or "the caller"
    return (
        f"let {who} do {action} on {resource}: normally granted by {where}; compare what is "
        "deployed with the template (aws cloudformation detect-stack-drift)"
    )
