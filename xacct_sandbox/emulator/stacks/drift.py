"""Drift detection: how each type of resource is compared with its template.

CloudFormation user guide, "Detect unmanaged configuration changes to stacks and resources with
drift detection": only properties that the template sets are compared, and none that cannot be read
(``writeOnlyProperties`` of the schema, such as the text of a secret).

Types that are not in the user guide's list "Resource type support" are not checked: connections and
tables of Glue, inline policies (AWS::IAM::Policy), policies of queues.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from xacct_sandbox.emulator.authorization.stack_reads import READS
from xacct_sandbox.emulator.bucket_reading import COMPARED, bucket_properties_of
from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.stack_rights import require_reading

Properties = Mapping[str, Any]

Read = Callable[[str, Properties], dict[str, Any] | None]
"""(physical id, the template's properties) -> the properties of the resource; None: it is gone."""

ALARM_PROPERTIES = frozenset(
    {
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "AlarmName",
        "ComparisonOperator",
        "DatapointsToAlarm",
        "Dimensions",
        "EvaluationPeriods",
        "ExtendedStatistic",
        "InsufficientDataActions",
        "MetricName",
        "Namespace",
        "OKActions",
        "Period",
        "Statistic",
        "Tags",
        "Threshold",
        "TreatMissingData",
        "Unit",
    }
)
"""The properties of an alarm that the sandbox supports."""

_CRAWLER = frozenset(
    {
        "Configuration",
        "DatabaseName",
        "Description",
        "Name",
        "RecrawlPolicy",
        "Role",
        "SchemaChangePolicy",
        "TablePrefix",
        "Targets",
    }
)
"""The properties of a crawler that are compared."""


def patch_drift(emulator: Emulator) -> None:
    """Has drift detection compare the types that the sandbox's stacks can have."""
    readers = emulator.drift._DRIFT_READERS
    kept = {name: reader for name, reader in readers.items() if name in READS}
    readers.clear()
    for type_name, (read, compared) in {**kept, **_readers(emulator)}.items():
        set_reader(emulator, type_name, read, compared)
    _complete(emulator, "AWS::IAM::Role", _role_policies, {"Policies", "ManagedPolicyArns"})
    _complete(emulator, "AWS::SQS::Queue", _queue_encryption, {"SqsManagedSseEnabled"})


def set_reader(
    emulator: Emulator, type_name: str, read: Read, compared: frozenset[str] | set[str]
) -> None:
    """Has drift detection compare these properties of a type."""

    def read_as_caller(physical_id: str, props: Properties) -> dict[str, Any] | None:
        require_reading(emulator, type_name, physical_id, props)
        return read(physical_id, props)

    emulator.drift._DRIFT_READERS[type_name] = (read_as_caller, frozenset(compared))


def _complete(
    emulator: Emulator,
    type_name: str,
    more: Callable[[Emulator, str, Properties], dict[str, Any]],
    names: set[str],
) -> None:
    """Adds properties that ministack does not compare."""
    read, compared = emulator.drift._DRIFT_READERS[type_name]

    def read_completely(physical_id: str, props: Properties) -> dict[str, Any] | None:
        found = read(physical_id, props)
        return None if found is None else {**found, **more(emulator, physical_id, props)}

    set_reader(emulator, type_name, read_completely, compared | names)


def _readers(emulator: Emulator) -> dict[str, tuple[Read, frozenset[str]]]:
    s3, glue = emulator.s3, emulator.glue

    def bucket(name: str, _props: Properties) -> dict[str, Any] | None:
        return bucket_properties_of(emulator, name) if name in s3._buckets else None

    def bucket_policy(_id: str, props: Properties) -> dict[str, Any] | None:
        document = s3._bucket_policies.get(props.get("Bucket", ""))
        return None if document is None else {"PolicyDocument": json.loads(document)}

    def secret(secret_id: str, _props: Properties) -> dict[str, Any] | None:
        found = emulator.secrets._resolve(secret_id)[1]
        if found is None or found.get("DeletedDate"):
            return None
        return {key: found.get(key) for key in ("Name", "Description", "KmsKeyId")}

    def database(name: str, props: Properties) -> dict[str, Any] | None:
        found = glue._databases.get(name) or glue._databases.get(name.lower())
        if found is None:
            return None
        wanted = props.get("DatabaseInput") or {}
        actual = _present(found, ("Name", "Description", "LocationUri", "Parameters"))
        if str(wanted.get("Name", "")).lower() == actual["Name"].lower():
            actual["Name"] = wanted["Name"]
        return {"DatabaseInput": actual}

    def crawler(name: str, props: Properties) -> dict[str, Any] | None:
        found = glue._crawlers.get(name)
        if found is None:
            return None
        actual = {key: _present(value) for key, value in found.items()}
        actual["Role"] = same_role(str(props.get("Role", "")), str(found.get("Role", "")))
        return actual

    def alarm(name: str, _props: Properties) -> dict[str, Any] | None:
        found = emulator.cloudwatch._alarms.get(name)
        if found is None:
            return None
        # A double of the API, which templates write as a whole number.
        threshold = found["Threshold"]
        return {**found, "Threshold": int(threshold) if threshold % 1 == 0 else threshold}

    return {
        "AWS::CloudWatch::Alarm": (alarm, ALARM_PROPERTIES - {"Tags"}),
        "AWS::Glue::Crawler": (crawler, _CRAWLER),
        "AWS::Glue::Database": (database, frozenset({"DatabaseInput"})),
        "AWS::IAM::ManagedPolicy": (
            _managed_policy(emulator),
            frozenset({"Description", "PolicyDocument", "Roles"}),
        ),
        **_key_readers(emulator),
        "AWS::S3::Bucket": (bucket, COMPARED),
        "AWS::S3::BucketPolicy": (bucket_policy, frozenset({"PolicyDocument"})),
        "AWS::SecretsManager::Secret": (secret, frozenset({"Name", "Description", "KmsKeyId"})),
    }


def _managed_policy(emulator: Emulator) -> Read:
    iam = emulator.iam

    def read(arn: str, props: Properties) -> dict[str, Any] | None:
        found = iam._policies.get(arn)
        if found is None:
            return None
        attached = [name for name, role in iam._roles.items() if arn in role["AttachedPolicies"]]
        wanted = [name for name in props.get("Roles") or () if name in attached]
        return {
            "Description": found.get("Description", ""),
            "PolicyDocument": json.loads(found["Versions"][found["DefaultVersionId"]]["Document"]),
            # In the template's order, so that each is compared with its namesake.
            "Roles": [*wanted, *sorted(set(attached) - set(wanted))],
        }

    return read


def _key_readers(emulator: Emulator) -> dict[str, tuple[Read, frozenset[str]]]:
    kms = emulator.kms

    def key(key_id: str, _props: Properties) -> dict[str, Any] | None:
        # The read handler takes a key that is pending deletion for none: "pending deletion is
        # treated as not found" (aws-cloudformation-resource-providers-kms, BaseHandlerStd).
        found = kms._resolve_key(key_id)
        if found is None or found["KeyState"].startswith("Pending"):
            return None
        return {
            "Description": found["Description"],
            "EnableKeyRotation": found.get("KeyRotationEnabled", False),
            "Enabled": found["Enabled"],
            "KeyPolicy": json.loads(found["Policy"]),
        }

    def alias(name: str, props: Properties) -> dict[str, Any] | None:
        target = kms._aliases.get(kms._alias_arn(name))
        if target is None:
            return None
        wanted = str(props.get("TargetKeyId", ""))
        same = wanted.rpartition("/")[2] == target
        return {"AliasName": name, "TargetKeyId": wanted if same else target}

    return {
        "AWS::KMS::Alias": (alias, frozenset({"AliasName", "TargetKeyId"})),
        "AWS::KMS::Key": (
            key,
            frozenset({"Description", "EnableKeyRotation", "Enabled", "KeyPolicy"}),
        ),
    }


def same_role(wanted: str, actual: str) -> str:
    """The role as the template writes it, if it is the same: by name or by ARN."""
    return wanted if wanted.rpartition("/")[2] == actual.rpartition("/")[2] else actual


def _present(value: Any, names: tuple[str, ...] | None = None) -> Any:
    """The value without members that are empty."""
    if isinstance(value, Mapping):
        return {
            key: _present(content)
            for key, content in value.items()
            if content not in (None, "", [], {}) and (names is None or key in names)
        }
    if isinstance(value, list):
        return [_present(content) for content in value]
    return value


def _role_policies(emulator: Emulator, name: str, props: Properties) -> dict[str, Any]:
    role = emulator.iam._roles[name]
    wanted = [policy.get("PolicyName") for policy in props.get("Policies") or ()]
    documents = role["InlinePolicies"]
    # In the template's order, so that each is compared with its namesake.
    order = [policy for policy in wanted if policy in documents]
    order += sorted(set(documents) - set(order))
    return {
        "Policies": [
            {"PolicyName": policy, "PolicyDocument": json.loads(documents[policy])}
            for policy in order
        ],
        "ManagedPolicyArns": list(role["AttachedPolicies"]),
    }


def _queue_encryption(emulator: Emulator, url: str, _props: Properties) -> dict[str, Any]:
    attributes = emulator.sqs._queues[url]["attributes"]
    return {"SqsManagedSseEnabled": attributes.get("SqsManagedSseEnabled", "false")}
