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
        "_authenticate_only",
        "_credential_failure",
        "_dispatch_service_request",
        "_extract_s3_vhost_bucket",
        "_handle_post_body_shortcuts",
        "_handle_pre_body_request",
        "_handle_special_data_plane_request",
        "_routing_params",
        "_s3_cors_target",
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
        "_s3_batch_delete_targets",
        "access_denied_response",
        "extract_iam_action",
        "request_tag_context",
    ),
    "ministack.core.iam_evaluator": (
        "AuthError",
        "EvalResult",
        "_principal_keys",
        "_request_caller_arn",
        "_request_origin",
        "_resolve_managed_policy_document",
        "_s3_scope_failure",
        "_verified_key",
        "authenticate",
        "caller_arn",
        "enforce",
        "evaluate_trust_policy",
        "find_iam_access_key_account",
        "validate_policy_document",
        "is_root_access_key",
        "request_caller_arn",
        "resolve_credential",
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
        "_copy_object",
        "_copy_source_denied",
        "_ensure_bucket",
        "_foreign_bucket_allows",
        "_get_object",
        "_get_object_data",
        "_invalid_notification_config",
        "_multipart_uploads",
        "_object_disk_path",
        "_parse_notification_config",
        "_object_versions",
        "_persist_object",
        "_put_object",
        "_policy_is_public",
        "_resolve_sse_write_headers",
        "_stored_sse_headers",
        "_public_access_blocked",
        "_put_bucket_policy",
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
        "_merge_hoisted_amz_headers",
        "_upload_part_copy",
        "_validate_notification_configs",
        "_xml_body",
        "cors_preflight",
        "fromstring",
        "now_iso",
        "object_tags_for_condition",
        "upload_encryption_header",
        "validate_object_request",
    ),
    "ministack.services.iam": (
        "_gen_secret",
        "_gen_session_access_key",
        "_IAM_HANDLERS",
        "_access_keys",
        "_error",
        "_p",
        "_gen_session_token",
        "_group_inline_policies",
        "_groups",
        "_instance_profiles",
        "_policies",
        "_roles",
        "_user_inline_policies",
        "_users",
        "handle_request",
    ),
    "ministack.services.secretsmanager": (
        "_create_secret",
        "_get_random_password",
        "_resolve",
        "_put_resource_policy",
        "_resource_policies",
        "_secrets",
        "create_secret_in_process",
        "delete_secret_in_process",
        "resolve_secret_string",
    ),
    "ministack.services.ec2": (
        "_ACTION_MAP",
        "_addresses",
        "_error",
        "_internet_gateways",
        "_nat_gateways",
        "_now_ts",
        "_parse_filters",
        "_parse_member_list",
        "_put_vpc_peering_record",
        "_route_tables",
        "_rules_match",
        "_security_groups",
        "_set_vpc_peering_status",
        "_sg_rule_id",
        "_strip_descriptions",
        "_subnets",
        "_tags",
        "_vpc_endpoints",
        "_vpc_peering",
        "_vpce_fields_xml",
        "_vpcs",
        "_xml",
    ),
    "ministack.services.sns": (
        "_create_topic",
        "_deliver_to_sqs",
        "_enforce_topic_policy",
        "_error",
        "_find_subscription",
        "_get_subscription_attributes",
        "_p",
        "_publish",
        "_set_subscription_attributes",
        "_set_topic_attributes",
        "_subscribe",
        "_topic_by_arn_any_scope",
        "_topics",
        "_unsubscribe",
        "topic_policy_allows",
    ),
    "ministack.services.sqs": (
        "_Err",
        "_HANDLERS",
        "_collect_msgs",
        "_enforce_queue_policy",
        "_queue_by_arn",
        "_queue_ref_from_urlish",
        "_queue_url_for_account",
        "_queues",
        "queue_policy_allows",
    ),
    "ministack.services.tagging": ("resource_tags",),
    "ministack.services.sts": (
        "_sessions",
        "_role_id",
        "handle_request",
        "register_session",
        "validate_policy_document",
    ),
    "ministack.services.kms": (
        "_alias_arn",
        "_aliases",
        "_create_key",
        "_keys",
        "_put_key_policy",
        "_resolve_key",
    ),
    "ministack.services.glue": (
        "_connections",
        "_crawlers",
        "_create_connection",
        "_create_crawler",
        "_create_job",
        "_databases",
        "_handle_request_sync",
        "_jobs",
        "_tables",
        "_update_crawler",
        "_update_job",
    ),
    "ministack.services.cloudwatch": ("_alarms",),
    "ministack.services.cloudwatch_logs": (
        "_create_log_group",
        "_create_log_stream",
        "_VALID_RETENTION_DAYS",
        "_log_groups",
        "_put_log_events",
    ),
    "ministack.services.cloudformation": (
        "_change_sets",
        "_stack_events",
        "_stacks",
        "handle_request",
    ),
    "ministack.services.cloudformation.changesets": (
        "_diff_resources",
        "_find_change_set",
        "_resolve_props_for_diff",
        "validate_template_support",
    ),
    "ministack.services.cloudformation.drift": (
        "_DRIFT_READERS",
        "detect_resource_drift",
        "supports_drift",
    ),
    "ministack.services.cloudformation.engine": (
        "CfnLoader",
        "_NO_VALUE",
        "_evaluate_conditions",
        "_resolve_dynamic_reference",
        "_resolve_refs",
        "validate_template_support",
    ),
    "ministack.services.cloudformation.handlers": (
        "_ACTION_HANDLERS",
        "_error",
        "validate_template_support",
    ),
    "ministack.services.cloudformation.provisioners": (
        "_CONDITIONALLY_REPLACING_PROPERTIES",
        "_CUSTOM_NAME_REPLACEMENT",
        "_DEFERRED_PREDECESSOR_DELETES",
        "_NAME_SEED",
        "_REPLACING_PROPERTIES",
        "_RESOURCE_HANDLERS",
        "_S3_BUCKET_CONFIGURATIONS",
        "_ec2_apply_tags",
        "_ec2_sg_permissions",
        "_physical_name",
        "_property_recreation",
        "_replacing_change",
        "_sm_secret_string",
        "_STACK_TAG_PROPERTY",
    ),
    "ministack.services.cloudformation.stacks": (
        "_add_event",
        "_intrinsic_references",
        "_replacing_change",
        "_roll_back_operation",
        "_runs_on_worker_thread",
    ),
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
