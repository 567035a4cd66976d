# ruff: noqa: SLF001 -- reaching into the emulator is what this package is for
"""CloudFormation: resource types of our own, and what the emulator's own types leave out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from xacct_sandbox.emulator import bucket_properties
from xacct_sandbox.emulator.loader import Emulator, booted
from xacct_sandbox.service_errors import ServiceError


class CreateResource(Protocol):
    """(logical id, properties, stack) -> (physical id, attributes for Fn::GetAtt)."""

    def __call__(
        self, logical_id: str, props: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]: ...


DeleteResource = Callable[[str, dict[str, Any]], None]


class UpdateResource(Protocol):
    """(physical id, old properties, new properties, stack) -> (physical id, attributes)."""

    def __call__(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]: ...


def add_cloudformation_type(
    type_name: str,
    *,
    create: CreateResource,
    delete: DeleteResource,
    update: UpdateResource | None = None,
) -> None:
    """Teach CloudFormation a resource type. The callables run in a worker thread and may block.

    Without ``update``, a changed property fails the stack update by name.
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
    emulator.worker_thread_types.add(type_name)


def patch_cloudformation(emulator: Emulator) -> None:
    on_worker = emulator.stacks._runs_on_worker_thread

    def runs_on_worker_thread(resource_type: str) -> bool:
        return resource_type in emulator.worker_thread_types or on_worker(resource_type)

    emulator.stacks._runs_on_worker_thread = runs_on_worker_thread
    _mend_bucket_type(emulator)
    _mend_secret_type(emulator)


def _mend_bucket_type(emulator: Emulator) -> None:
    """Apply the properties the emulator drops, refuse those nobody knows, keep full buckets."""
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
    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def check(props: dict[str, Any]) -> None:
        unknown = bucket_properties.unsupported(props)
        if unknown:
            raise ServiceError(
                "ValidationError",
                f"The sandbox does not support {', '.join(unknown)} of AWS::S3::Bucket; "
                "leave it out of the template.",
            )

    def create_bucket(logical_id: str, props: dict[str, Any], stack: str) -> Any:
        check(props)
        return create(logical_id, props, stack)

    def update_bucket(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> Any:
        check(new)
        return update(physical_id, old, new, stack)

    def delete_bucket(physical_id: str, props: dict[str, Any]) -> None:
        bucket = s3._buckets.get(physical_id)
        if bucket and bucket["objects"]:
            raise ServiceError(
                "BucketNotEmpty", f"The bucket {physical_id} you tried to delete is not empty."
            )
        delete(physical_id, props)

    handlers.update(create=create_bucket, update=update_bucket, delete=delete_bucket)


def _mend_secret_type(emulator: Emulator) -> None:
    """Ref of a secret is its ARN; the emulator makes it the name, which no policy matches."""
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
    _mend_generated_secrets(emulator)


def _mend_generated_secrets(emulator: Emulator) -> None:
    """Generate as GetRandomPassword does, with every included kind of character by default.

    The emulator draws from all characters at once here: one password in forty has no digit, and
    Redshift refuses it.
    """
    written = emulator.provisioners._sm_secret_string

    def secret_string(props: dict[str, Any]) -> str:
        wanted = dict(props.get("GenerateSecretString") or {})
        if props.get("SecretString") or not wanted:
            return str(written(props))
        template = wanted.pop("SecretStringTemplate", None)
        key = wanted.pop("GenerateStringKey", None)
        if (template is None) != (key is None):
            raise ServiceError(
                "InvalidRequestException",
                "SecretStringTemplate and GenerateStringKey of GenerateSecretString belong "
                "together: give both or neither.",
            )
        status, _, body = emulator.secrets._get_random_password(wanted)
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
