"""From the role chain in IAM_ROLE to an S3 client. Every hop is a real IAM decision.

The first role must be attached to the namespace; Redshift's service principal assumes it. Each
further role is assumed by the one before. Every hop has the external ID that Redshift Serverless
sends: the ARN of the database user ("Restricting access to IAM roles"). Every statement assumes the
chain again, so a policy that was removed fails the next COPY or UNLOAD.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox import clients
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon.config import SandboxError
from xacct_sandbox.redshift.sql.errors import INTERNAL_ERROR, RedshiftError
from xacct_sandbox.redshift.sql.option_lists import DEFAULT_ROLE
from xacct_sandbox.service_errors import ServiceError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SERVICE = "redshift.amazonaws.com"
SESSION_NAME = "RedshiftIamRoleSession"


@dataclass(frozen=True)
class Namespace:
    """The namespace of the sandbox."""

    account_id: str
    region: str
    namespace_id: str
    name: str
    iam_roles: tuple[str, ...]
    default_iam_role: str | None
    status: str

    @property
    def arn(self) -> str:
        owner = f"{self.region}:{self.account_id}"
        return f"arn:aws:redshift-serverless:{owner}:namespace/{self.namespace_id}"

    def database_user_arn(self, user: str) -> str:
        """The principal that IAM errors name, and the external ID of every chained role."""
        cluster = f"serverless-{self.account_id}-{self.namespace_id}"
        return f"arn:aws:redshift:{self.region}:{self.account_id}:dbuser:{cluster}/{user}"


@dataclass(frozen=True)
class RoleSession:
    """S3 with the credentials of the last role of a chain.

    Attributes:
        principal: The ARN that IAM sees.
    """

    s3: S3Client
    principal: str


def resolve_chain(namespace: Namespace | None, roles: tuple[str, ...] | str) -> tuple[str, ...]:
    """The role chain to assume.

    Args:
        roles: The chain, or ``DEFAULT_ROLE``.

    Raises:
        RedshiftError: There is no namespace or no default role, or the first role is not attached
            to the namespace.
    """
    if namespace is None:
        raise RedshiftError(
            "there is no namespace, so no IAM role is attached",
            hint="Create the namespace (redshift-serverless CreateNamespace) first.",
        )
    if roles == DEFAULT_ROLE:
        if not namespace.default_iam_role:
            raise RedshiftError(
                f"no default IAM role is set for namespace {namespace.name}",
                hint="Set DefaultIamRoleArn of the namespace, or name the role in IAM_ROLE.",
            )
        return (namespace.default_iam_role,)
    assert not isinstance(roles, str)
    if roles[0] not in namespace.iam_roles:
        attached = ", ".join(namespace.iam_roles) or "none"
        raise RedshiftError(
            f"The requested role {roles[0]} is not associated to cluster",
            hint=f"Attach it to namespace {namespace.name} (IamRoles); attached now: {attached}.",
        )
    return roles


def assume_chain(
    namespace: Namespace, chain: tuple[str, ...], user: str, *, region: str | None
) -> RoleSession:
    """Assume the roles of the chain one after another. Blocks: call it in a thread.

    Raises:
        RedshiftError: A role was denied; the text names the principal and the role.
    """
    user_arn = namespace.database_user_arn(user)
    try:
        credentials = clients.service_role(
            SERVICE,
            chain[0],
            source_arn=namespace.arn,
            session_name=SESSION_NAME,
            source_account=namespace.account_id,
            external_id=user_arn,
        )
    except ServiceError as refusal:
        raise _not_authorized(user_arn, chain[0], refusal.message) from refusal
    except SandboxError as problem:
        raise RedshiftError(f"credentials for {chain[0]}: {problem}") from problem
    for caller, role in pairwise(chain):
        credentials = _next_hop(credentials, caller, role, user_arn, namespace.region)
    return RoleSession(
        s3=clients.client("s3", credentials, region or namespace.region),
        principal=_session_arn(chain[-1]),
    )


def _next_hop(
    credentials: Credentials, caller: str, role: str, user_arn: str, region: str
) -> Credentials:
    sts = clients.client("sts", credentials, region)
    try:
        answer = sts.assume_role(RoleArn=role, RoleSessionName=SESSION_NAME, ExternalId=user_arn)
    except ClientError as refusal:
        error = refusal.response.get("Error", {})
        detail = f"{error.get('Code', '')}: {error.get('Message', '')}; ExternalId {user_arn}"
        raise _not_authorized(_session_arn(caller), role, detail) from refusal
    except BotoCoreError as problem:
        raise RedshiftError(f"credentials for {role}: {problem}") from problem
    keys = answer["Credentials"]
    return Credentials(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], keys["Expiration"]
    )


def _not_authorized(principal: str, role: str, detail: str) -> RedshiftError:
    return RedshiftError(
        f"User {principal} is not authorized to assume IAM Role {role}",
        sqlstate=INTERNAL_ERROR,
        detail=f"error:  User {principal} is not authorized to assume IAM Role {role}"
        f"  code: 8001  action: sts:AssumeRole  context: IAM Role={role}  reason: {detail}",
        hint="Check the trust policy of the role and the sts:AssumeRole permission of the caller.",
    )


def _session_arn(role_arn: str) -> str:
    account = role_arn.split(":")[4]
    name = role_arn.rsplit("/", 1)[-1]
    return f"arn:aws:sts::{account}:assumed-role/{name}/{SESSION_NAME}"


def s3_failure(problem: Exception, action: str, url: str, principal: str) -> RedshiftError:
    """An S3 error as COPY and UNLOAD report it, with the principal, the action and the object."""
    if isinstance(problem, ClientError):
        error = problem.response.get("Error", {})
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.get("Code", "Unknown")
        text = {"AccessDenied": "Access Denied", "403": "Access Denied"}.get(
            code, error.get("Message", code)
        )
        request_id = problem.response.get("ResponseMetadata", {}).get("RequestId", "")
        return RedshiftError(
            f"S3ServiceException:{text},Status {status},Error {code},Rid {request_id}",
            detail=f"error:  S3ServiceException:{text}  code: 8001  action: {action}"
            f"  resource: {url}  principal: {principal}  reason: {error.get('Message', '')}",
            hint=f"{principal} needs {action} on {url}: in its identity policy and, across"
            " accounts, in the bucket policy.",
        )
    return RedshiftError(f"S3 request {action} on {url} failed: {problem}")
