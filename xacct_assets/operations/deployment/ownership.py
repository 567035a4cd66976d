"""Which stacks are of an installation: `xacct` changes and deletes no other."""

from __future__ import annotations

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.stack_reading import StackDescription

#: Tag of every stack of an installation; its value is the suffix.
INSTALLATION_TAG = "xacct"
#: Folder of what `xacct doctor` writes and deletes again; no feed's folder can be it.
PROBE = "_xacct_probe"


def belongs(stack: StackDescription, suffix: str) -> bool:
    """Whether the stack is of the installation. Its name alone proves nothing.

    Without the tag, it may be of an older version, or an administrator may have made it from the
    template: its parameter names the installation then. A stack in review has neither tags nor
    parameters for certain; it has no resources either (API reference, CreateChangeSet).
    """
    if stack.status == "REVIEW_IN_PROGRESS":
        return True
    named = stack.tags.get(INSTALLATION_TAG, stack.parameters.get("Suffix"))
    return named == suffix


def require_ours(stack: StackDescription, suffix: str) -> None:
    """Raise unless the stack is of the installation.

    Raises:
        DeployFailed: says how it could be made so.
    """
    if belongs(stack, suffix):
        return
    raise DeployFailed(
        f"stack {stack.name} is not of installation {suffix}; nothing was changed",
        reason=f"it has no tag {INSTALLATION_TAG}={suffix}: somebody else made it",
        fix="choose another XACCT_SUFFIX. If it is yours nevertheless: aws cloudformation "
        f"update-stack --stack-name {stack.name} --use-previous-template --capabilities "
        f"CAPABILITY_NAMED_IAM --tags Key={INSTALLATION_TAG},Value={suffix}",
    )
