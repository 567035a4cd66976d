"""What exists in account B and is adopted: looked up before anything is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import DeployFailed, NotFound
from xacct_assets.aws.redshift.iam_login import role_user
from xacct_assets.aws.redshift.serverless import (
    NamespaceDescription,
    Serverless,
    WorkgroupDescription,
)
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.secretsmanager import (
    Endpoint,
    WarehouseCredentials,
    parse_secret,
    read_warehouse_credentials,
)

if TYPE_CHECKING:
    from xacct_assets.aws.sessions import Sessions
    from xacct_assets.settings import Settings


@dataclass(frozen=True)
class Adopted:
    """What exists in account B and is adopted.

    Attributes:
        login: in the adopted secret; None if the secret is made by the stack.
        json_secret: ARN of the JSON secret that XACCT_DATA_API_SECRET names, if that is needed.
        workgroup, namespace: None if they are made by the stack.
        admin_login: how the admin of the stack's own namespace logs in: ``secret`` or ``iam``.
    """

    login: WarehouseCredentials | None = None
    json_secret: str = ""
    workgroup: WorkgroupDescription | None = None
    namespace: NamespaceDescription | None = None
    admin_login: str = "secret"

    def parameters(self, settings: Settings) -> dict[str, str]:
        """The template parameters of account B that follow from it, also those for "made here"."""
        login, workgroup, namespace = self.login, self.workgroup, self.namespace
        parameters = {
            "AdoptProcessingBucket": str("processing-bucket" in settings.adopted).lower(),
            "AdoptedSecretArn": (login.secret_arn or "") if login else "",
            "RedshiftLogin": settings.redshift_login,
            "AdminLogin": self.admin_login,
            "DatabaseUser": login.user if login else pipeline_user(settings),
            "JsonSecretName": settings.json_secret if self.needs_json_secret else "",
            "JsonSecretArn": self.json_secret,
            "AdoptedWorkgroupArn": workgroup.arn if workgroup else "",
            "NamespaceName": namespace.name if namespace else settings.namespace,
            "AdoptedNamespaceArn": namespace.arn if namespace else "",
        }
        if workgroup is not None:
            parameters["WarehouseHost"] = workgroup.host
            parameters["WarehousePort"] = str(workgroup.port)
        return parameters

    @property
    def needs_json_secret(self) -> bool:
        """Whether the stack makes a JSON secret: Glue and the Data API read no URI."""
        return (
            self.login is not None and not self.login.data_api_compatible and not self.json_secret
        )


def pipeline_user(settings: Settings) -> str:
    """The database user of the orchestrator, if no secret says who it is."""
    if settings.logs_in_by_iam:
        return role_user(settings.orchestrator_role_arn)
    return settings.database_user


def _admin_login(settings: Settings, serverless: Serverless) -> str:
    """How the admin of a namespace that is made here logs in; one with a secret keeps it."""
    if not settings.logs_in_by_iam:
        return "secret"
    try:
        kept = serverless.namespace(settings.namespace).admin_secret
    except NotFound:
        return "iam"
    return "secret" if kept else "iam"


def find_adopted(settings: Settings, sessions: Sessions) -> Adopted:
    """Look up everything in account B that XACCT_ADOPT names.

    Args:
        settings: of the installation.
        sessions: with deployment rights in account B.

    Raises:
        NotFound: something does not exist.
        SecretInvalid: the secret holds no usable login.
        DeployFailed: the settings contradict what was found.
    """
    if "processing-bucket" in settings.adopted:
        name = settings.processing_bucket
        if not Bucket(sessions.client("s3"), name, settings.account_b).exists():
            raise _does_not_exist("processing-bucket", f"bucket {name}")
    login = _login(settings, sessions) if "secret" in settings.adopted else None
    json_secret = ""
    if login is not None and not login.data_api_compatible and settings.data_api_secret:
        json_secret = _json_secret(settings, sessions, login)
    serverless = Serverless(sessions.client("redshift-serverless"))
    workgroup = namespace = None
    if "workgroup" in settings.adopted:
        try:
            workgroup = serverless.workgroup(settings.workgroup)
        except NotFound as absent:
            raise _does_not_exist("workgroup", f"workgroup {settings.workgroup}") from absent
        # A workgroup belongs to one namespace for ever, so that one is adopted with it.
        namespace = serverless.namespace(workgroup.namespace)
    elif "namespace" in settings.adopted:
        try:
            namespace = serverless.namespace(settings.namespace)
        except NotFound as absent:
            raise _does_not_exist("namespace", f"namespace {settings.namespace}") from absent
    if namespace is not None:
        require_admin(settings)
    made_here = namespace is None
    admin_login = _admin_login(settings, serverless) if made_here else "secret"
    return Adopted(login, json_secret, workgroup, namespace, admin_login)


def require_admin(settings: Settings) -> None:
    """Check that an adopted namespace has a login that makes the pipeline's user and tables.

    With the login by IAM, the identity that deploys may be one.

    Raises:
        DeployFailed: no admin is named, and no user that exists.
    """
    if settings.logs_in_by_iam:
        return
    if settings.admin_secret is None and "secret" not in settings.adopted:
        raise DeployFailed(
            "no login of an admin of the adopted namespace is known",
            reason="the pipeline's database user and tables must be made by one",
            fix="set XACCT_ADMIN_SECRET to a secret with the login of a superuser of the database "
            "(JSON or Airflow URI); or adopt a secret of a user that exists "
            "(XACCT_REDSHIFT_SECRET, and secret in XACCT_ADOPT)",
        )


def _login(settings: Settings, sessions: Sessions) -> WarehouseCredentials:
    name = settings.redshift_secret
    try:
        login = read_warehouse_credentials(sessions.client("secretsmanager"), name)
    except NotFound as absent:
        raise _does_not_exist("secret", f"secret {name}") from absent
    if login.database != settings.database:
        raise DeployFailed(
            f"secret {name} leads to database {login.database}",
            reason=f"XACCT_DATABASE is {settings.database}, which the Data API and Glue would use",
            fix=f"set XACCT_DATABASE={login.database}, or adopt another secret",
        )
    return login


def _json_secret(settings: Settings, sessions: Sessions, login: WarehouseCredentials) -> str:
    """The ARN of the JSON secret that XACCT_DATA_API_SECRET names; it must be the same user's."""
    name = settings.data_api_secret or ""
    secrets = sessions.client("secretsmanager")
    # Such a secret need not have host and database: neither the Data API nor Glue reads them.
    with aws_call("secretsmanager:GetSecretValue", name):
        answer = secrets.get_secret_value(SecretId=name)
    endpoint = Endpoint(login.host, login.port, login.database)
    parsed = parse_secret(answer.get("SecretString", ""), name=name, defaults=endpoint)
    if not parsed.data_api_compatible or parsed.user != login.user:
        raise DeployFailed(
            f"secret {name} cannot serve the Data API and Glue",
            reason='it must be JSON with "username" and "password" of the user in '
            f"{settings.redshift_secret}, {login.user}",
            fix="correct XACCT_DATA_API_SECRET, or leave it out: `xacct deploy` then makes one",
        )
    return str(answer["ARN"])


def _does_not_exist(kind: str, resource: str) -> DeployFailed:
    return DeployFailed(
        f"{resource} does not exist in this account and Region, so it cannot be adopted",
        reason=f"XACCT_ADOPT names {kind}",
        fix=f"correct the name in .env, or leave {kind} out of XACCT_ADOPT to have it made",
    )
