"""Properties of AWS::S3::Bucket as the bodies of the S3 requests that set them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

SUPPORTED = frozenset(
    {
        "BucketEncryption",
        "BucketName",
        "CorsConfiguration",
        "LifecycleConfiguration",
        "NotificationConfiguration",
        "OwnershipControls",
        "PublicAccessBlockConfiguration",
        "Tags",
        "VersioningConfiguration",
        "WebsiteConfiguration",
    }
)
"""The properties a template may give; any other would be lost without a word."""

_RULE_KEYS = {"AbortIncompleteMultipartUpload", "ExpirationInDays", "Id", "Prefix", "Status"}


def unsupported(properties: Iterable[str]) -> list[str]:
    """The properties of a bucket that the sandbox does not know."""
    return sorted(set(properties) - SUPPORTED)


def lifecycle_xml(configuration: dict[str, Any]) -> bytes:
    """PutBucketLifecycleConfiguration's body.

    Raises:
        ValueError: a rule holds more than expiry by days and the end of unfinished uploads.
    """
    root = Element("LifecycleConfiguration")
    for rule in configuration.get("Rules", []):
        more = sorted(set(rule) - _RULE_KEYS)
        if more:
            raise ValueError(
                f"the sandbox does not support {', '.join(more)} in a lifecycle rule of "
                "AWS::S3::Bucket; leave it out"
            )
        element = SubElement(root, "Rule")
        if "Id" in rule:
            SubElement(element, "ID").text = rule["Id"]
        SubElement(SubElement(element, "Filter"), "Prefix").text = rule.get("Prefix", "")
        SubElement(element, "Status").text = rule["Status"]
        if "ExpirationInDays" in rule:
            days = SubElement(SubElement(element, "Expiration"), "Days")
            days.text = str(rule["ExpirationInDays"])
        if "AbortIncompleteMultipartUpload" in rule:
            abort = SubElement(element, "AbortIncompleteMultipartUpload")
            after = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            SubElement(abort, "DaysAfterInitiation").text = str(after)
    return tostring(root)


def ownership_xml(configuration: dict[str, Any]) -> bytes:
    """PutBucketOwnershipControls' body."""
    root = Element("OwnershipControls")
    for rule in configuration.get("Rules", []):
        SubElement(SubElement(root, "Rule"), "ObjectOwnership").text = rule["ObjectOwnership"]
    return tostring(root)


def encryption_xml(configuration: dict[str, Any]) -> bytes:
    """PutBucketEncryption's body."""
    root = Element("ServerSideEncryptionConfiguration")
    for rule in configuration.get("ServerSideEncryptionConfiguration", []):
        element = SubElement(root, "Rule")
        default = SubElement(element, "ApplyServerSideEncryptionByDefault")
        given = rule["ServerSideEncryptionByDefault"]
        SubElement(default, "SSEAlgorithm").text = given["SSEAlgorithm"]
        if "KMSMasterKeyID" in given:
            SubElement(default, "KMSMasterKeyID").text = given["KMSMasterKeyID"]
        if "BucketKeyEnabled" in rule:
            enabled = str(rule["BucketKeyEnabled"]).lower()
            SubElement(element, "BucketKeyEnabled").text = enabled
    return tostring(root)
