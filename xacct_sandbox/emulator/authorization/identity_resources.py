"""The actions and resources of IAM and STS calls."""

from __future__ import annotations

import re

from xacct_sandbox.emulator.authorization.calls import Call
from xacct_sandbox.emulator.authorization.checks import Check, has_tags, text, unknown_operation
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.loader import Emulator

# The resource of an operation, by the first pattern that its name matches: the parameter with the
# name, the type in the ARN.
_IAM_RESOURCES = (
    (re.compile(r".*InstanceProfile(Tags)?"), "InstanceProfileName", "instance-profile"),
    (
        re.compile(r"(Create|Get|Delete|Update|Tag|Untag|Attach|Detach|Put|List)\w*Role\w*"),
        "RoleName",
        "role",
    ),
    (re.compile(r"UpdateAssumeRolePolicy"), "RoleName", "role"),
    (re.compile(r"(AddUserToGroup|RemoveUserFromGroup)"), "GroupName", "group"),
    (
        re.compile(
            r"\w*User\w*|\w*AccessKeys?|\w*LoginProfile|ListGroupsForUser"
            r"|(Enable|Deactivate|Resync)MFADevice|ListMFADevices"
        ),
        "UserName",
        "user",
    ),
    (re.compile(r"\w*Group\w*"), "GroupName", "group"),
    (re.compile(r"\w*Policy\w*"), "PolicyArn", "policy"),
)
_IAM_WITHOUT_RESOURCE = frozenset(
    {
        "GetAccountAuthorizationDetails",
        "GetAccountPasswordPolicy",
        "GetAccountSummary",
        "GetCredentialReport",
        "GenerateCredentialReport",
        "CreateAccountAlias",
        "DeleteAccountAlias",
        "DeleteAccountPasswordPolicy",
        "ListAccountAliases",
        "ListGroups",
        "ListInstanceProfiles",
        "ListOpenIDConnectProviders",
        "ListPolicies",
        "ListRoles",
        "ListSAMLProviders",
        "ListUsers",
        "SimulateCustomPolicy",
        "UpdateAccountPasswordPolicy",
    }
)
_IAM_UNSUPPORTED = re.compile(
    r".*(ServiceLinkedRole|OpenIDConnectProvider|SAMLProvider|VirtualMFADevice"
    r"|ServiceLastAccessedDetails|SimulatePrincipalPolicy).*"
)


def iam_checks(emulator: Emulator, call: Call) -> list[Check]:
    """What the caller of an IAM operation must be allowed."""
    operation, account = call.operation, emulator.responses.get_account_id()
    action = f"iam:{operation}"
    if operation == "GetAccessKeyLastUsed":
        key = emulator.iam._access_keys.get(text(call, "AccessKeyId")) or {}
        user = emulator.iam._users.get(key.get("UserName", "")) or {}
        return [Check(action, str(user.get("Arn", f"arn:aws:iam::{account}:user/")))]
    if operation in _IAM_WITHOUT_RESOURCE:
        return [Check(action, "*")]
    if operation not in emulator.iam._IAM_HANDLERS or _IAM_UNSUPPORTED.fullmatch(operation):
        raise unknown_operation(call)
    for pattern, parameter, kind in _IAM_RESOURCES:
        if pattern.fullmatch(operation):
            arn, keys = _iam_arn(emulator, call, account, parameter, kind), _iam_keys(call)
            return [Check(action, arn, keys), *_iam_extras(emulator, call, arn, account)]
    raise unknown_operation(call)


def _iam_extras(emulator: Emulator, call: Call, arn: str, account: str) -> list[Check]:
    """What a call needs besides its own action (API reference, the pages of these operations)."""
    tagging = _TAGGING.get(call.operation)
    if tagging and has_tags(call):
        return [Check(f"iam:{tagging}", arn)]
    if call.operation == "AddRoleToInstanceProfile":
        role = _iam_arn(emulator, call, account, "RoleName", "role")
        return [Check("iam:PassRole", role, {"iam:passedtoservice": "ec2.amazonaws.com"})]
    return []


# "To create … with tags" (user guide, "Tags for IAM resources").
_TAGGING = {
    "CreateInstanceProfile": "TagInstanceProfile",
    "CreatePolicy": "TagPolicy",
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
}


def _iam_arn(emulator: Emulator, call: Call, account: str, parameter: str, kind: str) -> str:
    if kind == "policy":
        arn = text(call, "PolicyArn")
        path, name = text(call, "Path") or "/", text(call, "PolicyName")
        return arn or f"arn:aws:iam::{account}:policy{path}{name}"
    name = text(call, parameter)
    stored = {
        "role": emulator.iam._roles,
        "user": emulator.iam._users,
        "group": emulator.iam._groups,
        "instance-profile": emulator.iam._instance_profiles,
    }[kind].get(name)
    if stored and stored.get("Arn"):
        return str(stored["Arn"])
    if not name and kind == "user":
        # Without a name, such an operation is about the caller.
        caller = emulator.evaluator.caller_arn()
        return str(caller) if ":user/" in caller else f"arn:aws:iam::{account}:user/"
    path = text(call, "Path") or "/"
    return f"arn:aws:iam::{account}:{kind}{path}{name}"


def _iam_keys(call: Call) -> dict[str, Values]:
    keys: dict[str, Values] = {}
    if re.fullmatch(r"(Attach|Detach)\w+Policy", call.operation):
        keys["iam:policyarn"] = text(call, "PolicyArn")
    if "PermissionsBoundary" in call.parameters:
        keys["iam:permissionsboundary"] = text(call, "PermissionsBoundary")
    return keys


def sts_checks(emulator: Emulator, call: Call) -> list[Check]:
    """What the caller of an STS operation must be allowed."""
    operation = call.operation
    if operation in ("GetCallerIdentity", "GetSessionToken"):
        return []  # "No permissions are required to perform this operation" (STS API reference).
    if operation == "GetAccessKeyInfo":
        return [Check("sts:GetAccessKeyInfo", "*")]
    if operation == "GetFederationToken":
        account = emulator.responses.get_account_id()
        name = text(call, "Name")
        return [Check("sts:GetFederationToken", f"arn:aws:sts::{account}:federated-user/{name}")]
    if operation != "AssumeRole":
        raise unknown_operation(call)
    return _assume_role(call)


def _assume_role(call: Call) -> list[Check]:
    """AssumeRole (STS API reference; "Session tags" and "Source identity" in the user guide)."""
    role = text(call, "RoleArn")
    keys: dict[str, Values] = {}
    for parameter, key in (
        ("ExternalId", "sts:externalid"),
        ("RoleSessionName", "sts:rolesessionname"),
        ("SourceIdentity", "sts:sourceidentity"),
    ):
        if parameter in call.parameters:
            keys[key] = text(call, parameter)
    transitive = [v for k, v in call.parameters.items() if k.startswith("TransitiveTagKeys.")]
    if transitive:
        keys["sts:transitivetagkeys"] = transitive
    actions = ["AssumeRole"]
    if any(name.startswith("Tags.") for name in call.parameters):
        actions.append("TagSession")
    if "SourceIdentity" in call.parameters:
        actions.append("SetSourceIdentity")
    return [Check(f"sts:{action}", role, keys) for action in actions]
