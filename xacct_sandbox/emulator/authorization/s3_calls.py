"""Which S3 operation a request is, and the IAM action it needs.

The actions are those of the service authorization reference for Amazon S3 ("Actions defined by
Amazon S3") and of the API reference ("Required permissions for Amazon S3 API operations").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Query parameters that select an operation. A request may have one of them; "uploadId" of a part
# comes with "partNumber".
_SELECTORS = frozenset(
    {
        "abac",
        "accelerate",
        "acl",
        "analytics",
        "annotation",
        "attributes",
        "cors",
        "delete",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "list-type",
        "location",
        "logging",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "renameObject",
        "replication",
        "request-payment",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "session",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versioning",
        "versions",
        "website",
    }
)

# (level, method, selector): (operation, action). Only what ministack executes as that operation.
_OPERATIONS = {
    ("service", "GET", ""): ("ListBuckets", "ListAllMyBuckets"),
    ("bucket", "GET", ""): ("ListObjects", "ListBucket"),
    ("bucket", "GET", "list-type"): ("ListObjectsV2", "ListBucket"),
    ("bucket", "HEAD", ""): ("HeadBucket", "ListBucket"),
    ("bucket", "PUT", ""): ("CreateBucket", "CreateBucket"),
    ("bucket", "DELETE", ""): ("DeleteBucket", "DeleteBucket"),
    ("bucket", "GET", "uploads"): ("ListMultipartUploads", "ListBucketMultipartUploads"),
    ("bucket", "GET", "versions"): ("ListObjectVersions", "ListBucketVersions"),
    ("bucket", "GET", "location"): ("GetBucketLocation", "GetBucketLocation"),
    ("bucket", "GET", "policy"): ("GetBucketPolicy", "GetBucketPolicy"),
    ("bucket", "GET", "versioning"): ("GetBucketVersioning", "GetBucketVersioning"),
    ("bucket", "GET", "encryption"): ("GetBucketEncryption", "GetEncryptionConfiguration"),
    ("bucket", "GET", "logging"): ("GetBucketLogging", "GetBucketLogging"),
    ("bucket", "GET", "notification"): (
        "GetBucketNotificationConfiguration",
        "GetBucketNotification",
    ),
    ("bucket", "GET", "tagging"): ("GetBucketTagging", "GetBucketTagging"),
    ("bucket", "GET", "cors"): ("GetBucketCors", "GetBucketCORS"),
    ("bucket", "GET", "acl"): ("GetBucketAcl", "GetBucketAcl"),
    ("bucket", "GET", "lifecycle"): (
        "GetBucketLifecycleConfiguration",
        "GetLifecycleConfiguration",
    ),
    ("bucket", "GET", "accelerate"): (
        "GetBucketAccelerateConfiguration",
        "GetAccelerateConfiguration",
    ),
    ("bucket", "GET", "website"): ("GetBucketWebsite", "GetBucketWebsite"),
    ("bucket", "GET", "object-lock"): (
        "GetObjectLockConfiguration",
        "GetBucketObjectLockConfiguration",
    ),
    ("bucket", "GET", "replication"): ("GetBucketReplication", "GetReplicationConfiguration"),
    ("bucket", "GET", "ownershipControls"): (
        "GetBucketOwnershipControls",
        "GetBucketOwnershipControls",
    ),
    ("bucket", "GET", "publicAccessBlock"): ("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("bucket", "PUT", "policy"): ("PutBucketPolicy", "PutBucketPolicy"),
    ("bucket", "PUT", "notification"): (
        "PutBucketNotificationConfiguration",
        "PutBucketNotification",
    ),
    ("bucket", "PUT", "tagging"): ("PutBucketTagging", "PutBucketTagging"),
    ("bucket", "PUT", "versioning"): ("PutBucketVersioning", "PutBucketVersioning"),
    ("bucket", "PUT", "encryption"): ("PutBucketEncryption", "PutEncryptionConfiguration"),
    ("bucket", "PUT", "lifecycle"): (
        "PutBucketLifecycleConfiguration",
        "PutLifecycleConfiguration",
    ),
    ("bucket", "PUT", "cors"): ("PutBucketCors", "PutBucketCORS"),
    ("bucket", "PUT", "acl"): ("PutBucketAcl", "PutBucketAcl"),
    ("bucket", "PUT", "website"): ("PutBucketWebsite", "PutBucketWebsite"),
    ("bucket", "PUT", "logging"): ("PutBucketLogging", "PutBucketLogging"),
    ("bucket", "PUT", "accelerate"): (
        "PutBucketAccelerateConfiguration",
        "PutAccelerateConfiguration",
    ),
    ("bucket", "PUT", "requestPayment"): ("PutBucketRequestPayment", "PutBucketRequestPayment"),
    ("bucket", "PUT", "object-lock"): (
        "PutObjectLockConfiguration",
        "PutBucketObjectLockConfiguration",
    ),
    ("bucket", "PUT", "replication"): ("PutBucketReplication", "PutReplicationConfiguration"),
    ("bucket", "PUT", "ownershipControls"): (
        "PutBucketOwnershipControls",
        "PutBucketOwnershipControls",
    ),
    ("bucket", "PUT", "publicAccessBlock"): ("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("bucket", "DELETE", "policy"): ("DeleteBucketPolicy", "DeleteBucketPolicy"),
    ("bucket", "DELETE", "tagging"): ("DeleteBucketTagging", "PutBucketTagging"),
    ("bucket", "DELETE", "cors"): ("DeleteBucketCors", "PutBucketCORS"),
    ("bucket", "DELETE", "lifecycle"): ("DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("bucket", "DELETE", "encryption"): ("DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("bucket", "DELETE", "website"): ("DeleteBucketWebsite", "DeleteBucketWebsite"),
    ("bucket", "DELETE", "replication"): ("DeleteBucketReplication", "PutReplicationConfiguration"),
    ("bucket", "DELETE", "ownershipControls"): (
        "DeleteBucketOwnershipControls",
        "PutBucketOwnershipControls",
    ),
    ("bucket", "DELETE", "publicAccessBlock"): (
        "DeletePublicAccessBlock",
        "PutBucketPublicAccessBlock",
    ),
    ("bucket", "POST", "delete"): ("DeleteObjects", "DeleteObject"),
    ("object", "GET", ""): ("GetObject", "GetObject"),
    ("object", "HEAD", ""): ("HeadObject", "GetObject"),
    ("object", "PUT", ""): ("PutObject", "PutObject"),
    ("object", "DELETE", ""): ("DeleteObject", "DeleteObject"),
    ("object", "GET", "uploadId"): ("ListParts", "ListMultipartUploadParts"),
    ("object", "GET", "tagging"): ("GetObjectTagging", "GetObjectTagging"),
    ("object", "GET", "retention"): ("GetObjectRetention", "GetObjectRetention"),
    ("object", "GET", "legal-hold"): ("GetObjectLegalHold", "GetObjectLegalHold"),
    ("object", "GET", "acl"): ("GetObjectAcl", "GetObjectAcl"),
    ("object", "GET", "attributes"): ("GetObjectAttributes", "GetObjectAttributes"),
    ("object", "PUT", "uploadId"): ("UploadPart", "PutObject"),
    ("object", "PUT", "tagging"): ("PutObjectTagging", "PutObjectTagging"),
    ("object", "PUT", "retention"): ("PutObjectRetention", "PutObjectRetention"),
    ("object", "PUT", "legal-hold"): ("PutObjectLegalHold", "PutObjectLegalHold"),
    ("object", "PUT", "acl"): ("PutObjectAcl", "PutObjectAcl"),
    ("object", "POST", "restore"): ("RestoreObject", "RestoreObject"),
    ("object", "POST", "uploads"): ("CreateMultipartUpload", "PutObject"),
    ("object", "POST", "uploadId"): ("CompleteMultipartUpload", "PutObject"),
    ("object", "DELETE", "uploadId"): ("AbortMultipartUpload", "AbortMultipartUpload"),
    ("object", "DELETE", "tagging"): ("DeleteObjectTagging", "DeleteObjectTagging"),
}

# With ``versionId``.
VERSION_ACTIONS = {
    "DeleteObject": "DeleteObjectVersion",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObject": "GetObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "GetObjectAttributes": "GetObjectVersionAttributes",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectAcl": "PutObjectVersionAcl",
    "PutObjectTagging": "PutObjectVersionTagging",
}

# Aliases of access points: they are names of other resources, which the sandbox has not.
_ALIAS_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap")


def bucket_and_key(path: str) -> tuple[str, str]:
    """The bucket and the key of a path-style request; "" if it has none."""
    bucket, _, key = path.removeprefix("/").partition("/")
    return bucket, key


def s3_operation(
    method: str,
    path: str,
    headers: Mapping[str, str],
    query: Mapping[str, Sequence[str]],
) -> tuple[str, str]:
    """The operation of a request, and its IAM action without ``s3:``.

    Returns:
        "" as operation, and a description of the request, if the sandbox has no such request.
    """
    bucket, key = bucket_and_key(path)
    level = "object" if key else "bucket" if bucket else "service"
    selectors = sorted(_SELECTORS & query.keys())
    described = f"{method} of {level} with ?{'&'.join(selectors)}".removesuffix(" with ?")
    wrong_path = not path.startswith("/") or path.startswith("//")
    if wrong_path or bucket.endswith(_ALIAS_SUFFIXES) or len(selectors) > 1:
        return "", described
    selector = selectors[0] if selectors else ""
    if selector and len(query[selector]) > 1:
        return "", f"{described} twice"
    if (
        method == "PUT"
        and level == "object"
        and ("partNumber" in query) != (selector == "uploadId")
    ):
        return "", f"{described}, which needs partNumber and uploadId together"
    operation, action = _OPERATIONS.get((level, method, selector), ("", described))
    if operation and level == "object" and query.get("versionId", [""])[0]:
        action = VERSION_ACTIONS.get(action, action)
    if operation in ("PutObject", "UploadPart") and "x-amz-copy-source" in headers:
        operation = "CopyObject" if operation == "PutObject" else "UploadPartCopy"
    return operation, action
