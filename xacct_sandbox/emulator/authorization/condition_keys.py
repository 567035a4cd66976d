"""The condition keys that the sandbox knows, and the values of the global ones.

A key that AWS would fill in and the sandbox cannot is refused by its name: if it counted as
missing, a Deny on it would be void. Keys that no request here can have (a VPC, an organization,
MFA) are known to be missing. Names: IAM user guide, "AWS global condition context keys"; the
service authorization reference.
"""

from __future__ import annotations

from datetime import UTC, datetime

_MISSING_GLOBAL = frozenset(
    {
        "aws:assumedroot",
        "aws:calledvia",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:chatbotsourcearn",
        "aws:ec2instancesourceprivateipv4",
        "aws:ec2instancesourcevpc",
        "aws:federatedprovider",
        "aws:ismcpserviceaction",
        "aws:multifactorauthage",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgid",
        "aws:resourceorgpaths",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
        "aws:vpcsourceip",
    }
)
_FILLED_GLOBAL = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:multifactorauthpresent",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:principaltype",
        "aws:referer",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceidentity",
        "aws:sourceip",
        "aws:sourceowner",
        "aws:tagkeys",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
    }
)
_PREFIXES = (
    "aws:principaltag/",
    "aws:requesttag/",
    "aws:resourcetag/",
    "iam:resourcetag/",
    "kms:encryptioncontext:",
    "s3:existingobjecttag/",
    "s3:requestobjecttag/",
    "secretsmanager:resourcetag/",
)
# Keys of the services, filled in where the operation has them. In every other call they are
# missing on AWS too.
_SERVICE_KEYS = frozenset(
    {
        *(
            f"cloudformation:{name}"
            for name in ("changesetname", "rolearn", "stackpolicyurl", "templateurl")
        ),
        *(
            f"iam:{name}"
            for name in (
                "associatedresourcearn",
                "awsservicename",
                "organizationspolicyid",
                "passedtoservice",
                "permissionsboundary",
                "policyarn",
            )
        ),
        *(
            f"kms:{name}"
            for name in (
                "calleraccount",
                "encryptioncontextkeys",
                "grantisforawsresource",
                "keyorigin",
                "keyspec",
                "keyusage",
                "resourcealiases",
                "viaservice",
            )
        ),
        *(
            f"s3:{name}"
            for name in (
                "accessgrantsinstancearn",
                "accesspointnetworkorigin",
                "accesspointtag",
                "authtype",
                "dataaccesspointaccount",
                "dataaccesspointarn",
                "delimiter",
                "if-match",
                "if-none-match",
                "locationconstraint",
                "max-keys",
                "object-lock-legal-hold",
                "object-lock-mode",
                "object-lock-retain-until-date",
                "prefix",
                "requestobjecttagkeys",
                "resourceaccount",
                "signatureage",
                "signatureversion",
                "tlsversion",
                "versionid",
                "x-amz-acl",
                "x-amz-content-sha256",
                "x-amz-copy-source",
                "x-amz-grant-full-control",
                "x-amz-grant-read",
                "x-amz-grant-read-acp",
                "x-amz-grant-write",
                "x-amz-grant-write-acp",
                "x-amz-metadata-directive",
                "x-amz-object-ownership",
                "x-amz-server-side-encryption",
                "x-amz-server-side-encryption-aws-kms-key-id",
                "x-amz-server-side-encryption-customer-algorithm",
                "x-amz-storage-class",
                "x-amz-website-redirect-location",
            )
        ),
        *(
            f"secretsmanager:{name}"
            for name in (
                "description",
                "kmskeyid",
                "name",
                "secretid",
                "versionid",
                "versionstage",
            )
        ),
        "redshift-data:glue-catalog-arn",
        "redshift-data:session-owner-iam-userid",
        "redshift-data:statement-owner-iam-userid",
        "sns:endpoint",
        "sns:protocol",
        *(
            f"sts:{name}"
            for name in (
                "externalid",
                "rolesessionname",
                "sourceidentity",
                "transitivetagkeys",
            )
        ),
    }
)


def is_known(key: str) -> bool:
    """Whether the sandbox knows the value of a key, or that no request has it."""
    return (
        key in _FILLED_GLOBAL
        or key in _MISSING_GLOBAL
        or key in _SERVICE_KEYS
        or key.startswith(_PREFIXES)
    )


def time_value(key: str) -> str:
    """The value of ``aws:currenttime`` or ``aws:epochtime``."""
    now = datetime.now(UTC)
    if key == "aws:epochtime":
        return str(int(now.timestamp()))
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
