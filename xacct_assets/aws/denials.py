"""Denials: who was denied which action on which resource, and what normally grants it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

#: (action, resource, principal) -> what to do. Any of them may be None.
PermissionHints = Callable[[str | None, str | None, str | None], str]

# "User: arn:… is not authorized to perform: s3:GetObject on resource: "arn:…" because no
# identity-based policy allows the s3:GetObject action"; crawlers leave out "User:".
_DENIED_MESSAGE = re.compile(
    r"(?:User: )?(?P<principal>(?!User:)[^\s(]*) ?is not authorized to perform: "
    r"(?P<action>[\w:*-]*[\w*])(?: on resource: \"?(?P<resource>[^\s\";,]*[^\s\";,.)])\"?)?"
    r"(?:[ ;](?P<because>(?:because|with) .+))?",
    re.DOTALL,
)
# Redshift's message if a hop of a role chain is denied.
_NOT_ASSUMED = re.compile(
    r"User (?P<principal>arn:\S+) is not authorized to assume IAM Role "
    r"(?P<resource>arn:[\w:/+=,.@-]+)"
)
_ACCOUNT = re.compile(r"^arn:[^:]+:[^:]*:[^:]*:(\d{12}):")


def _general_hint(action: str | None, resource: str | None, principal: str | None) -> str:
    return f"let {principal or 'the caller'} do {action} on {resource}"


_hints: PermissionHints = _general_hint


def set_permission_hints(hints: PermissionHints) -> None:
    """Set what denials say about the fix, for the whole process.

    These clients do not know which template grants which permission; who uses them does.
    """
    global _hints
    _hints = hints


def permission_hint(action: str | None, resource: str | None, principal: str | None) -> str:
    """What to do to have `action` on `resource` allowed for `principal`."""
    return _hints(action, resource, principal)


@dataclass(frozen=True)
class Denial:
    """What a denial message says; None for what it leaves out."""

    principal: str | None
    action: str
    resource: str | None


def parse_denial(message: str | None) -> Denial | None:
    """Read a denial message of IAM; None if the text is something else."""
    match = _DENIED_MESSAGE.search(message or "")
    if match is None:
        return None
    return Denial(match["principal"] or None, match["action"], match["resource"])


def denial_in(text: str | None) -> dict[str, str]:
    """Read the denial in the error text of a job, a crawl or a statement.

    Returns:
        Keyword arguments for `AwsFailure`: principal, action, resource, fix. Empty if the text
        reports no denial.
    """
    denial = parse_denial(text)
    if denial is None:
        match = _NOT_ASSUMED.search(text or "")
        if match is None:
            return {}
        denial = Denial(match["principal"], "sts:AssumeRole", match["resource"])
    resource = denial.resource or "?"
    return {
        "principal": denial.principal or "",
        "action": denial.action,
        "resource": resource,
        "fix": permission_hint(denial.action, resource, denial.principal),
    }


def account_of(arn: str | None) -> str | None:
    """The account id in an ARN; None where the ARN (as S3's) has none."""
    match = _ACCOUNT.match(arn or "")
    return match.group(1) if match else None
