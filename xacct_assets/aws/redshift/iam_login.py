"""The login to Redshift Serverless by IAM: a temporary password for the caller's own identity.

Redshift Serverless API reference, GetCredentials: the password is valid for 900 to 3600 seconds.
The database user is the caller: ``IAMR:`` and the name of a role, ``IAM:`` and the name of a user.
Redshift makes the user at the first login if there is none (management guide, "Defining database
roles to grant to federated users in Amazon Redshift Serverless"). An open connection outlives the
password it was opened with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.secretsmanager import WarehouseCredentials

if TYPE_CHECKING:
    from mypy_boto3_redshift_serverless.client import RedshiftServerlessClient

    from xacct_assets.aws.redshift.serverless import WorkgroupDescription

#: Seconds that are asked for: the least that AWS gives.
VALID_SECONDS = 900


def role_user(role_arn: str) -> str:
    """The database user of an IAM role.

    >>> role_user("arn:aws:iam::222222222222:role/team/loader")
    'IAMR:loader'
    """
    return f"IAMR:{role_arn.rpartition('/')[2]}"


def temporary_credentials(
    client: RedshiftServerlessClient, workgroup: WorkgroupDescription, database: str
) -> WarehouseCredentials:
    """A temporary login as the identity that the client signs with.

    Until its refresh time, AWS may give the same password again (``nextRefreshTime``): how long it
    is still valid is in the answer.

    Args:
        client: boto3's ``redshift-serverless`` client.
        workgroup: where to log in.
        database: in the workgroup.

    Raises:
        AccessDenied: the identity lacks redshift-serverless:GetCredentials on the workgroup.
    """
    with aws_call("redshift-serverless:GetCredentials", workgroup.arn):
        given = client.get_credentials(
            workgroupName=workgroup.name, dbName=database, durationSeconds=VALID_SECONDS
        )
    return WarehouseCredentials(
        host=workgroup.host,
        port=workgroup.port,
        database=database,
        user=given["dbUser"],
        password=given["dbPassword"],
        valid_seconds=(given["expiration"] - _time_of(given)).total_seconds(),
    )


def _time_of(answer: Mapping[str, Any]) -> datetime:
    """When the service answered, by its own clock: this machine's may be wrong."""
    header = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return datetime.now(UTC)


def jdbc_url(workgroup: WorkgroupDescription, database: str) -> str:
    """The address by which Glue's Redshift connector logs in with the role of its job.

    The driver asks for the temporary password itself (Redshift management guide, "Authentication
    with the Spark connector"). It reads workgroup, account and Region from the workgroup's own host
    name, and from these options where the host is another one (driver 2.1, ``IsServerless``).
    """
    # arn:aws:redshift-serverless:<Region>:<account>:workgroup/<id>
    _, _, _, region, account, _ = workgroup.arn.split(":", 5)
    options = {
        "IsServerless": "true",
        "ServerlessAcctId": account,
        "ServerlessWorkGroup": workgroup.name,
        "Region": region,
        "ssl": "true",
        "sslmode": "verify-full",
    }
    joined = "&".join(f"{name}={quote(value)}" for name, value in options.items())
    return f"jdbc:redshift:iam://{workgroup.host}:{workgroup.port}/{database}?{joined}"
