"""Bucket properties of a template become requests to S3."""

from __future__ import annotations

import pytest

from xacct_sandbox.emulator import bucket_properties


def test_a_lifecycle_rule_becomes_its_xml() -> None:
    body = bucket_properties.lifecycle_xml(
        {"Rules": [{"Id": "tmp", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 3}]}
    )
    assert body == (
        b"<LifecycleConfiguration><Rule><ID>tmp</ID><Filter><Prefix>tmp/</Prefix></Filter>"
        b"<Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>"
        b"</LifecycleConfiguration>"
    )


def test_an_unsupported_key_of_a_rule_is_refused_by_name() -> None:
    rule = {"Status": "Enabled", "Transitions": []}
    with pytest.raises(ValueError, match="Transitions"):
        bucket_properties.lifecycle_xml({"Rules": [rule]})


def test_unknown_properties_are_named() -> None:
    properties = {"BucketName": "b", "ObjectLockEnabled": True, "AccelerateConfiguration": {}}
    assert bucket_properties.unsupported(properties) == [
        "AccelerateConfiguration",
        "ObjectLockEnabled",
    ]
