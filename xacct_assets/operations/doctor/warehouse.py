"""The warehouse: workgroup, login, the network path to it, and the Data API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import (
    AwsFailure,
    ConnectionFailed,
    InvalidRequest,
    LoginFailed,
    NotFound,
    SecretInvalid,
)
from xacct_assets.aws.redshift.probes import probe_tls
from xacct_assets.aws.secretsmanager import WarehouseCredentials, parse_secret

if TYPE_CHECKING:
    from xacct_assets.operations.doctor.installation import Installation

_DEPLOY = "`xacct deploy --account b`"
#: Seconds for the network, so that the reason is found within the time of a check.
CONNECT_TIMEOUT = 6.0
#: Seconds for an answer of the warehouse, for the same reason.
ANSWER_TIMEOUT = 8.0
SILENT = (
    "see the state of the workgroup (aws redshift-serverless get-workgroup), its running queries, "
    "and whether a proxy stands in between; in the sandbox: `xacct-sandbox down`, then "
    "`xacct-sandbox up`"
)


def workgroup(here: Installation) -> str:
    """The workgroup is there and AVAILABLE."""
    name = here.settings.workgroup
    client = here.aws.client("redshift-serverless")
    try:
        with aws_call("redshift-serverless:GetWorkgroup", f"workgroup {name}"):
            found = client.get_workgroup(workgroupName=name)["workgroup"]
    except NotFound as absent:
        raise NotFound(f"there is no workgroup {name}", fix=_DEPLOY) from absent
    if found["status"] != "AVAILABLE":
        raise NotFound(f"workgroup {name} is {found['status']}", fix="wait until it is AVAILABLE")
    return f"workgroup {name} of namespace {found['namespaceName']} is AVAILABLE"


def role_chain(here: Installation) -> str:
    """RoleB is attached to the namespace: COPY and UNLOAD begin with it."""
    settings = here.settings
    client = here.aws.client("redshift-serverless")
    with aws_call("redshift-serverless:GetWorkgroup", f"workgroup {settings.workgroup}"):
        found = client.get_workgroup(workgroupName=settings.workgroup)["workgroup"]
    name = found["namespaceName"]
    with aws_call("redshift-serverless:GetNamespace", f"namespace of {settings.workgroup}"):
        namespace = client.get_namespace(namespaceName=name)["namespace"]
    # Each entry is an ARN, or text that contains one: "IamRole(applyStatus=…, iamRoleArn=…)".
    if not any(settings.role_b_arn in role for role in namespace.get("iamRoles", [])):
        raise NotFound(
            f"{settings.role_b_arn} is not attached to namespace {name}",
            reason="COPY and UNLOAD need an attached role at the start of their role chain",
            fix=f"{_DEPLOY}, which attaches it, also to an adopted namespace; or set "
            "XACCT_ROLE_B_ARN to an attached one",
        )
    return f"{settings.role_b_arn} is attached to namespace {name}"


def redshift_secret(here: Installation) -> str:
    """The secret holds a login, and leads to the workgroup."""
    try:
        login = here.aws.warehouse_credentials()
    except SecretInvalid as unusable:
        if command := _restore_previous(here):
            unusable.fix = command
        raise
    wrong = _differing(here, login)
    if wrong and login.secret_arn is None:
        raise InvalidRequest(
            f"XACCT_REDSHIFT_* of the environment do not lead to the workgroup: {'; '.join(wrong)}",
            fix="correct them in .env, or name a secret in XACCT_REDSHIFT_SECRET",
        )
    if wrong:
        raise InvalidRequest(
            f"secret {here.settings.redshift_secret} does not lead to the workgroup: "
            + "; ".join(wrong),
            fix=_restore_previous(here)
            or "correct it: `aws secretsmanager put-secret-value --secret-id "
            f"{here.settings.redshift_secret}`",
        )
    source = login.secret_arn or "XACCT_REDSHIFT_* of the environment"
    usable_by = "wire and Data API" if login.data_api_compatible else "wire only"
    return (
        f"{source}: user {login.user} at {login.host}:{login.port}/{login.database} ({usable_by})"
    )


def iam_login(here: Installation) -> str:
    """IAM gives this identity a temporary password, for the user that runs need."""
    login = here.aws.warehouse_credentials()
    expected = here.stack(here.settings.stack_b).parameters.get("DatabaseUser", "")
    if expected and login.user.lower() != expected.lower():
        raise InvalidRequest(
            f"this identity is database user {login.user}, the pipeline's is {expected}",
            reason="a login by IAM is as the role of the caller",
            fix="run as the orchestrator role, as runs do: set AWS_PROFILE to a profile that "
            f"assumes {here.settings.orchestrator_role_arn}",
        )
    minutes = round((login.valid_seconds or 0) / 60)
    return (
        f"by IAM: user {login.user} at {login.host}:{login.port}/{login.database}, "
        f"for {minutes} minutes (wire and Data API)"
    )


def _differing(here: Installation, login: WarehouseCredentials) -> list[str]:
    expected = _expected(here)
    return [
        f"its {label} is {getattr(login, label)}, the installation's is {value}"
        for label, value in expected.items()
        if value and str(getattr(login, label)) != value
    ]


def _expected(here: Installation) -> dict[str, str]:
    """Host, port, database and user that the secret should have, as far as they are known."""
    settings = here.settings
    parameters = here.stack(settings.stack_b).parameters
    expected = {
        "database": parameters.get("DatabaseName", ""),
        "user": parameters.get("DatabaseUser", ""),
    }
    if "secret" in settings.adopted:
        # Its host may be a name of its owner's.
        return expected
    expected["host"] = parameters.get("WarehouseHost") or (
        f"{settings.workgroup}.{settings.account_b}.{settings.region}.redshift-serverless."
        f"{'amazonaws.com.cn' if settings.partition == 'aws-cn' else 'amazonaws.com'}"
    )
    expected["port"] = parameters.get("WarehousePort", "")
    return expected


def _restore_previous(here: Installation) -> str | None:
    """The command that makes the secret's previous version current, if that one is right."""
    secrets, name = here.aws.client("secretsmanager"), here.settings.redshift_secret
    try:
        with aws_call("secretsmanager:GetSecretValue", name):
            before: Any = secrets.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")
            now: Any = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
        login = parse_secret(before.get("SecretString", ""), name=name)
    except AwsFailure:
        return None
    current = next((id_ for id_, stages in now.items() if "AWSCURRENT" in stages), None)
    if current is None or _differing(here, replace(login, secret_arn=before["ARN"])):
        return None
    return (
        f"its previous version is right: `aws secretsmanager update-secret-version-stage "
        f"--secret-id {name} --version-stage AWSCURRENT --move-to-version-id "
        f"{before['VersionId']} --remove-from-version-id {current}`"
    )


def redshift_network(here: Installation) -> str:
    """Redshift's endpoint accepts TLS connections from here."""
    login = here.aws.warehouse_credentials()
    try:
        certificate = probe_tls(login.host, login.port, CONNECT_TIMEOUT)
    except ConnectionFailed as failed:
        if "timed out" in (failed.reason or ""):
            raise ConnectionFailed(
                f"{login.host}:{login.port} accepts connections and does not answer",
                reason="name, route and port are right: what listens there hangs",
                fix=SILENT,
            ) from failed
        raise
    return f"{login.host}:{login.port} answers, certificate of {certificate}"


def redshift_login(here: Installation) -> str:
    """Redshift accepts the login."""
    try:
        (row, *_) = here.aws.warehouse.query("SELECT current_user AS name, version() AS version")
    except LoginFailed as refused:
        settings = here.settings
        if not settings.logs_in_by_iam and "secret" not in settings.adopted and refused.fix:
            refused.fix = (
                f"{_DEPLOY} gives the database user the secret's password; or: {refused.fix}"
            )
        raise
    return f"{row['name']}, {str(row['version'])[:60]}"


def data_api(here: Installation) -> str:
    """The Data API runs a statement."""
    # A time-out within the time of a check: the statement is cancelled, not left.
    result = here.aws.data_api.execute("SELECT 1 AS one", name="xacct doctor", timeout=6.0)
    return f"statement {result.id} ran in workgroup {here.settings.workgroup}"
