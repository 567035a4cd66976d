"""Every part of ministack that the sandbox reads, calls or replaces.

All of them are private or undocumented, so the version is pinned, and each one is looked up when
the sandbox starts: a missing one stops the start with its name.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType

from xacct_sandbox.daemon.config import SandboxError

HOOKS: dict[str, tuple[str, ...]] = {
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
        "_ARCHIVE_STORAGE_CLASSES",
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
        "_dispatch",
        "_ensure_bucket",
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
        "_restore_expiry_iso",
        "_stored_sse_headers",
        "_sync_restore",
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

_MISSING = (
    "ministack {version} has no {hook}, which the sandbox patches or extends. "
    "Install the version that pyproject.toml pins (extra `sandbox`)."
)


def load_hooks() -> dict[str, ModuleType]:
    """Imports the modules of ``HOOKS`` and checks that each hook exists.

    The environment must be set before: ministack reads its settings when it is imported.

    Raises:
        SandboxError: a hook is missing, or IAM is switched off.
    """
    version = importlib.metadata.version("ministack")
    modules: dict[str, ModuleType] = {}
    for name, attributes in HOOKS.items():
        try:
            module = importlib.import_module(name)
        except ImportError as problem:
            raise SandboxError(_MISSING.format(version=version, hook=name)) from problem
        for attribute in attributes:
            if not hasattr(module, attribute):
                raise SandboxError(_MISSING.format(version=version, hook=f"{name}.{attribute}"))
        modules[name] = module
    if not modules["ministack.app"].AUTH:
        raise SandboxError("ministack was imported before the sandbox could switch IAM on")
    return modules
