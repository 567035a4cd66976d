"""Patches CloudFormation: adds resource types, and completes those of buckets and secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import yaml

from xacct_sandbox.emulator import bucket_properties
from xacct_sandbox.emulator.loader import Emulator, booted
from xacct_sandbox.emulator.property_checks import check_properties, refuse_properties
from xacct_sandbox.emulator.stack_rights import guard_resource_type
from xacct_sandbox.emulator.stacks.drift import ALARM_PROPERTIES, Read, set_reader
from xacct_sandbox.emulator.stacks.existing import KINDS, check_existence
from xacct_sandbox.emulator.stacks.generated_names import draw_names
from xacct_sandbox.service_errors import ServiceError


class CreateResource(Protocol):
    """Creates a resource. Returns its physical id and its attributes for Fn::GetAtt."""

    def __call__(
        self, logical_id: str, props: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]: ...


DeleteResource = Callable[[str, dict[str, Any]], None]
"""(physical id, properties)"""


class UpdateResource(Protocol):
    """Updates a resource. Returns its physical id and its attributes for Fn::GetAtt."""

    def __call__(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]: ...


def add_cloudformation_type(
    type_name: str,
    *,
    create: CreateResource,
    delete: DeleteResource,
    update: UpdateResource | None = None,
    read: Read | None = None,
    compared: frozenset[str] = frozenset(),
) -> None:
    """Adds a resource type to CloudFormation.

    The callables run in a worker thread and may block.

    Args:
        type_name: e.g. ``AWS::RedshiftServerless::Workgroup``.
        create: creates a resource.
        delete: deletes a resource.
        update: updates a resource; without it, a stack update that changes a property fails and
            names the property.
        read: reads a resource for drift detection; without it, the type is not checked.
        compared: the properties that drift detection compares.
    """
    emulator = booted()

    def refuse(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]:
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        raise ServiceError(
            "ValidationError",
            f"The sandbox cannot update {type_name} {physical_id} of stack {stack} "
            f"({', '.join(changed)} changed); delete the stack and create it again.",
        )

    emulator.provisioners._RESOURCE_HANDLERS[type_name] = {
        "create": create,
        "delete": delete,
        "update": update or refuse,
    }
    if type_name in KINDS:
        check_existence(emulator, type_name, KINDS[type_name])
    guard_resource_type(emulator, type_name)
    draw_names(emulator, type_name)
    if read is not None:
        set_reader(emulator, type_name, read, compared)
    emulator.worker_thread_types.add(type_name)


def patch_cloudformation(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    on_worker = emulator.stacks._runs_on_worker_thread

    def runs_on_worker_thread(resource_type: str) -> bool:
        return resource_type in emulator.worker_thread_types or on_worker(resource_type)

    emulator.stacks._runs_on_worker_thread = runs_on_worker_thread
    engine = emulator.cloudformation_engine
    engine.CfnLoader = _in_c(engine.CfnLoader)
    _patch_bucket_type(emulator)
    _patch_secret_type(emulator)
    for type_name, supported in _SUPPORTED.items():
        _refuse_other_properties(emulator, type_name, supported)


def _in_c(loader: type[yaml.SafeLoader]) -> type[yaml.CSafeLoader]:
    """The same YAML loader with libyaml's parser: a deployment parses its templates many times."""

    class Loader(yaml.CSafeLoader):
        yaml_constructors = loader.yaml_constructors
        yaml_implicit_resolvers = loader.yaml_implicit_resolvers

    return Loader


_SUPPORTED = {
    "AWS::CloudWatch::Alarm": ALARM_PROPERTIES,
    "AWS::Logs::LogGroup": frozenset(
        {"KmsKeyId", "LogGroupClass", "LogGroupName", "RetentionInDays", "Tags"}
    ),
}
"""The properties that have an effect. ministack ignores others."""


def _refuse_other_properties(emulator: Emulator, type_name: str, supported: frozenset[str]) -> None:
    def check(props: dict[str, Any]) -> None:
        refuse_properties(type_name, props.keys() - supported)
        days = props.get("RetentionInDays")
        if days is not None and int(days) not in emulator.logs._VALID_RETENTION_DAYS:
            raise ServiceError("ValidationError", f"#/RetentionInDays: {days} is not a valid value")

    check_properties(emulator.provisioners._RESOURCE_HANDLERS[type_name], check)


def _patch_bucket_type(emulator: Emulator) -> None:
    """Applies properties that ministack ignores, refuses unknown ones, keeps non-empty buckets."""
    s3, provisioners = emulator.s3, emulator.provisioners
    provisioners._S3_BUCKET_CONFIGURATIONS = (
        *provisioners._S3_BUCKET_CONFIGURATIONS,
        (
            "LifecycleConfiguration",
            bucket_properties.lifecycle_xml,
            s3._put_bucket_lifecycle,
            s3._delete_bucket_lifecycle,
        ),
        (
            "OwnershipControls",
            bucket_properties.ownership_xml,
            s3._put_bucket_ownership_controls,
            s3._delete_bucket_ownership_controls,
        ),
        (
            "BucketEncryption",
            bucket_properties.encryption_xml,
            s3._put_bucket_encryption,
            s3._delete_bucket_encryption,
        ),
    )
    _patch_bucket_handlers(emulator)


def _patch_bucket_handlers(emulator: Emulator) -> None:
    handlers = emulator.provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    delete = handlers["delete"]

    def check(props: dict[str, Any]) -> None:
        refuse_properties("AWS::S3::Bucket", bucket_properties.unsupported(props))

    def delete_bucket(physical_id: str, props: dict[str, Any]) -> None:
        bucket = emulator.s3._buckets.get(physical_id)
        if bucket and bucket["objects"]:
            raise ServiceError(
                "BucketNotEmpty", f"The bucket {physical_id} you tried to delete is not empty."
            )
        delete(physical_id, props)

    check_properties(handlers, check)
    handlers["delete"] = delete_bucket


def _patch_secret_type(emulator: Emulator) -> None:
    """Makes Ref of a secret its ARN. ministack makes it the name, which no policy matches."""
    secrets = emulator.secrets
    handlers = emulator.provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def name_of(physical_id: str) -> str:
        key, _ = secrets._resolve(physical_id)
        return key or physical_id

    def create_secret(
        logical_id: str, props: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]:
        name, attributes = create(logical_id, props, stack)
        return secrets._secrets[name]["ARN"], attributes

    def update_secret(
        physical_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack: str,
        logical_id: str | None = None,
    ) -> tuple[str, dict[str, Any]]:
        name, attributes = update(name_of(physical_id), old, new, stack, logical_id)
        return secrets._secrets[name]["ARN"], attributes

    def delete_secret(physical_id: str, props: dict[str, Any]) -> None:
        delete(name_of(physical_id), props)

    handlers.update(create=create_secret, update=update_secret, delete=delete_secret)
    _patch_generated_secrets(emulator)


def _patch_generated_secrets(emulator: Emulator) -> None:
    """Generates secrets with GetRandomPassword, which requires every kind of character.

    ministack draws from all characters at once: one password in forty has no digit, and Redshift
    refuses it.
    """
    secret_string_of_template = emulator.provisioners._sm_secret_string

    def secret_string(props: dict[str, Any]) -> str:
        options = dict(props.get("GenerateSecretString") or {})
        if props.get("SecretString") or not options:
            return str(secret_string_of_template(props))
        template = options.pop("SecretStringTemplate", None)
        key = options.pop("GenerateStringKey", None)
        if (template is None) != (key is None):
            raise ServiceError(
                "InvalidRequestException",
                "SecretStringTemplate and GenerateStringKey of GenerateSecretString belong "
                "together; give both or neither.",
            )
        status, _, body = emulator.secrets._get_random_password(options)
        answer = json.loads(body)
        if status >= 300:
            raise ServiceError("InvalidRequestException", str(answer.get("message", answer)))
        password = str(answer["RandomPassword"])
        if template is None:
            return password
        try:
            return json.dumps({**json.loads(template), key: password})
        except (ValueError, TypeError) as problem:
            raise ServiceError(
                "InvalidRequestException", f"SecretStringTemplate is not a JSON object: {problem}"
            ) from problem

    emulator.provisioners._sm_secret_string = secret_string
