"""The loaded emulator: how it is set up, and every place of it that we reach into.

Each place is looked up at start; a missing one stops the sandbox with its name.
"""

from __future__ import annotations

import contextvars
import functools
import importlib
import importlib.metadata
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.snapshots import SnapshotWriter

Response = tuple[int, dict[str, str], bytes]

Operation = Callable[[dict[str, Any]], dict[str, Any]]

Application = Callable[..., Awaitable[None]]

_HOOKS: dict[str, tuple[str, ...]] = {
    "ministack.app": (
        "AUTH",
        "SERVICE_HANDLERS",
        "SERVICE_REGISTRY",
        "_build_persistence_save_dict",
        "app",
    ),
    "ministack.core.persistence": (
        "PERSIST_STATE",
        "STATE_DIR",
        "_json_default",
        "_state_format_version",
        "load_state",
    ),
    "ministack.core.responses": (
        "AccountRegionScopedDict",
        "StreamingResponse",
        "error_response_json",
        "get_account_id",
        "get_region",
        "json_response",
        "request_scope",
    ),
    "ministack.core.router": (
        "SERVICE_PATTERNS",
        "detect_service",
        "extract_access_key_id",
    ),
    "ministack.core.iam_actions": (
        "SERVICE_TO_IAM_NAMESPACE",
        "_s3_action",
        "_s3_batch_delete_targets",
        "access_denied_response",
        "extract_iam_action",
        "extract_resource_arn",
        "s3_service_context",
    ),
    "ministack.core.iam_evaluator": (
        "AuthError",
        "EvalContext",
        "_fnmatch_compile",
        "_principal_matches",
        "_resolve_condition_key",
        "caller_arn",
        "enforce",
        "evaluate_resource_policy",
        "evaluate_trust_policy",
        "find_iam_access_key_account",
        "is_root_access_key",
        "resolve_credential",
        "resolve_principal",
    ),
    "ministack.services.s3": (
        "S3_NS",
        "S3_PERSIST",
        "_MALFORMED_XML",
        "_abort_multipart_upload",
        "_apply_bucket_scope",
        "_bucket_owner_account",
        "_bucket_policies",
        "_bucket_replication",
        "_buckets",
        "_check_put_preconditions",
        "_check_sse_c_part",
        "_complete_multipart_upload",
        "_completed_multipart_uploads",
        "_composite_checksum",
        "_delete_bucket_encryption",
        "_delete_bucket_lifecycle",
        "_delete_bucket_ownership_controls",
        "_error",
        "_fire_s3_event_async",
        "_foreign_bucket_allows",
        "_get_object",
        "_multipart_uploads",
        "_object_disk_path",
        "_persist_object",
        "_put_object",
        "_policy_is_public",
        "_public_access_blocked",
        "_put_bucket_encryption",
        "_put_bucket_lifecycle",
        "_put_bucket_ownership_controls",
        "_qp",
        "_read_body",
        "_record_object_version",
        "_stored_sse_headers",
        "_upload_part",
        "_upload_part_copy",
        "_xml_body",
        "fromstring",
        "now_iso",
    ),
    "ministack.services.iam": (
        "_gen_secret",
        "_gen_session_access_key",
        "_gen_session_token",
        "_roles",
        "handle_request",
    ),
    "ministack.services.secretsmanager": (
        "_get_random_password",
        "_resolve",
        "_secrets",
        "resolve_secret_string",
    ),
    "ministack.services.sqs": ("_collect_msgs",),
    "ministack.services.sts": ("_sessions", "_role_id", "handle_request", "register_session"),
    "ministack.services.glue": (
        "_create_crawler",
        "_create_job",
        "_handle_request_sync",
        "_update_crawler",
        "_update_job",
    ),
    "ministack.services.cloudwatch_logs": (
        "_create_log_group",
        "_create_log_stream",
        "_log_groups",
        "_put_log_events",
    ),
    "ministack.services.cloudformation": ("handle_request",),
    "ministack.services.cloudformation.provisioners": (
        "_RESOURCE_HANDLERS",
        "_S3_BUCKET_CONFIGURATIONS",
        "_sm_secret_string",
    ),
    "ministack.services.cloudformation.stacks": ("_add_event", "_runs_on_worker_thread"),
}

_DIFFERS = (
    "ministack {version} has no {hook}, which the sandbox mends or extends. "
    "Install the version that pyproject.toml pins (extra `sandbox`)."
)


OPERATION_THREADS = 64
"""Threads for our own operations; a long poll holds one for up to 30 s."""


class Emulator:
    """The loaded emulator and what we have added to it."""

    def __init__(
        self,
        config: SandboxConfig,
        modules: dict[str, ModuleType],
        save_state: Callable[[Emulator, str], None],
    ) -> None:
        self.config = config
        self.app = modules["ministack.app"]
        self.persistence = modules["ministack.core.persistence"]
        self.responses = modules["ministack.core.responses"]
        self.router = modules["ministack.core.router"]
        self.actions = modules["ministack.core.iam_actions"]
        self.evaluator = modules["ministack.core.iam_evaluator"]
        self.s3 = modules["ministack.services.s3"]
        self.iam = modules["ministack.services.iam"]
        self.sqs = modules["ministack.services.sqs"]
        self.sts = modules["ministack.services.sts"]
        self.glue = modules["ministack.services.glue"]
        self.secrets = modules["ministack.services.secretsmanager"]
        self.logs = modules["ministack.services.cloudwatch_logs"]
        self.provisioners = modules["ministack.services.cloudformation.provisioners"]
        self.stacks = modules["ministack.services.cloudformation.stacks"]
        self.state: dict[str, Any] = {}
        self.resource_arns: dict[str, Callable[[str, dict[str, Any]], str]] = {}
        self.glue_operations: dict[str, Operation] = {}
        self.glue_originals: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self.worker_thread_types: set[str] = set()
        self.snapshots = SnapshotWriter(functools.partial(save_state, self))
        self.operations = ThreadPoolExecutor(OPERATION_THREADS, "sandbox-operation")
        self.logs_lock = threading.Lock()


_emulator: Emulator | None = None

caller_key: contextvars.ContextVar[str] = contextvars.ContextVar("sandbox_caller_key", default="")

as_service: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "sandbox_as_service", default=False
)


def begin(emulator: Emulator) -> None:
    """Make it the one of this process.

    Raises:
        SandboxError: there is one already; it reads its settings only once.
    """
    global _emulator
    if _emulator is not None:
        raise SandboxError("the emulator is booted already: one sandbox in a process")
    _emulator = emulator


def booted() -> Emulator:
    """The emulator of this process.

    Raises:
        SandboxError: there is none.
    """
    if _emulator is None:
        raise SandboxError("the sandbox is not booted in this process: call boot(config) first")
    return _emulator


def set_environment(config: SandboxConfig) -> None:
    """ministack reads these once, at import."""
    config.ministack_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        # A key found here would be taken for root's, and a profile for the service's own.
        del os.environ[variable]
    os.environ.update(
        AUTH="true",
        BIND_HOST=config.host,
        MINISTACK_HOST=config.host,
        GATEWAY_PORT=str(config.aws_port),
        MINISTACK_REGION=config.region,
        PERSIST_STATE="1",
        STATE_DIR=str(config.ministack_dir / "state"),
        S3_PERSIST="1",
        S3_DATA_DIR=str(config.ministack_dir / "s3"),
        USE_SSL="1",  # queue URLs and the like then say https
        LOG_LEVEL="WARNING",
        # Parts we do not use, which would open ports or look for a container engine.
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        DOCKER_HOST=f"unix://{config.ministack_dir}/no-container-engine",
    )
    for folder in ("state", "s3", "parts"):
        (config.ministack_dir / folder).mkdir(mode=0o700, exist_ok=True)


def load_hooks() -> dict[str, ModuleType]:
    version = importlib.metadata.version("ministack")
    modules: dict[str, ModuleType] = {}
    for name, attributes in _HOOKS.items():
        try:
            module = importlib.import_module(name)
        except ImportError as problem:
            raise SandboxError(_DIFFERS.format(version=version, hook=name)) from problem
        for attribute in attributes:
            if not hasattr(module, attribute):
                raise SandboxError(_DIFFERS.format(version=version, hook=f"{name}.{attribute}"))
        modules[name] = module
    if not modules["ministack.app"].AUTH:
        raise SandboxError("ministack was imported before the sandbox could switch IAM on")
    return modules
