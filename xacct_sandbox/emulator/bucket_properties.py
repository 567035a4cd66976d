"""Converts properties of AWS::S3::Bucket to the bodies of the S3 requests that set them."""

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
"""The properties that a template may set; ministack would ignore any other silently."""

_RULE_KEYS = {
    "AbortIncompleteMultipartUpload",
    "ExpirationInDays",
    "Id",
    "NoncurrentVersionExpiration",
    "Prefix",
    "Status",
}


def unsupported(properties: Iterable[str]) -> list[str]:
    """The names of properties that the sandbox does not support, sorted."""
    return sorted(set(properties) - SUPPORTED)


def lifecycle_xml(configuration: dict[str, Any]) -> bytes:
    """The body of PutBucketLifecycleConfiguration.

    Raises:
        ValueError: a rule has an unsupported key.
    """
    root = Element("LifecycleConfiguration")
    for rule in configuration.get("Rules", []):
        unknown = sorted(set(rule) - _RULE_KEYS)
        if unknown:
            raise ValueError(
                f"the sandbox does not support {', '.join(unknown)} in a lifecycle rule of "
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
        if "NoncurrentVersionExpiration" in rule:
            replaced = SubElement(element, "NoncurrentVersionExpiration")
            for name, value in rule["NoncurrentVersionExpiration"].items():
                SubElement(replaced, name).text = str(value)
        if "AbortIncompleteMultipartUpload" in rule:
            abort = SubElement(element, "AbortIncompleteMultipartUpload")
            after = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            SubElement(abort, "DaysAfterInitiation").text = str(after)
    return tostring(root)


def ownership_xml(configuration: dict[str, Any]) -> bytes:
    """The body of PutBucketOwnershipControls."""
    root = Element("OwnershipControls")
    for rule in configuration.get("Rules", []):
        SubElement(SubElement(root, "Rule"), "ObjectOwnership").text = rule["ObjectOwnership"]
    return tostring(root)


def encryption_xml(configuration: dict[str, Any]) -> bytes:
    """The body of PutBucketEncryption."""
    root = Element("ServerSideEncryptionConfiguration")
    for rule in configuration.get("ServerSideEncryptionConfiguration", []):
        element = SubElement(root, "Rule")
        default = SubElement(element, "ApplyServerSideEncryptionByDefault")
        algorithm = rule["ServerSideEncryptionByDefault"]
        SubElement(default, "SSEAlgorithm").text = algorithm["SSEAlgorithm"]
        if "KMSMasterKeyID" in algorithm:
            SubElement(default, "KMSMasterKeyID").text = algorithm["KMSMasterKeyID"]
        if "BucketKeyEnabled" in rule:
            enabled = str(rule["BucketKeyEnabled"]).lower()
            SubElement(element, "BucketKeyEnabled").text = enabled
    return tostring(root)
