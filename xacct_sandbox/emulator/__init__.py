"""The one door to ministack, the AWS emulator that stands under the sandbox.

Nothing outside this package reaches it. Its version is pinned, and every place we reach into is
looked up at start (``emulator.py``). What is mended:

- a foreign bucket's policy is evaluated for the real principal, Deny included (it was evaluated
  for the caller's account root), and a batch delete for each of its keys;
- ``aws:PrincipalArn`` is the role's ARN, not the session's; ``aws:ResourceAccount`` of an S3
  resource is the bucket's owner;
- Glue requests are authorized on every resource AWS asks for (catalog, database, table, job ...);
- ``iam:PassRole`` is asked for where a role is handed to a service;
- ``x-amz-expected-bucket-owner`` is honoured;
- nobody but a service is a service: an account's root does not match a Service principal, and
  the emulator's built-in root keys are refused;
- CloudFormation applies what a bucket's template says, and Ref of a secret is its ARN;
- STS sessions and all other state survive a kill; large objects are streamed to and from disk.

ministack is MIT licensed; it is imported as it is.
"""

from __future__ import annotations

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.emulator import loader as _emulator
from xacct_sandbox.emulator.buckets import patch_buckets
from xacct_sandbox.emulator.cloudformation import add_cloudformation_type, patch_cloudformation
from xacct_sandbox.emulator.fault_hooks import disturb_queues, object_exists, replace_object
from xacct_sandbox.emulator.glue_service import add_glue_operations, emulated_glue, glue, patch_glue
from xacct_sandbox.emulator.json_services import add_service, error_response, json_response
from xacct_sandbox.emulator.loader import Application, Operation, Response, booted
from xacct_sandbox.emulator.logs import write_log
from xacct_sandbox.emulator.policies import (
    patch_denials,
    patch_principals,
    patch_wildcards,
    refuse_root_key,
    require_pass_role,
    require_permission,
    secret_of_caller,
)
from xacct_sandbox.emulator.principals import principal_of
from xacct_sandbox.emulator.requests import account_id, acting_in, caller_arn, region, start_thread
from xacct_sandbox.emulator.roles import assume_service_role, iam, role_arn
from xacct_sandbox.emulator.state import (
    restore_sessions,
    scoped_state,
    state_keys,
    watch_changes,
    write_state,
)
from xacct_sandbox.emulator.uploads import patch_uploads
from xacct_sandbox.service_errors import ServiceError

__all__ = [
    "Application",
    "Credentials",
    "Operation",
    "Response",
    "ServiceError",
    "account_id",
    "acting_in",
    "add_cloudformation_type",
    "add_glue_operations",
    "add_service",
    "assume_service_role",
    "boot",
    "caller_arn",
    "disturb_queues",
    "emulated_glue",
    "error_response",
    "glue",
    "iam",
    "json_response",
    "object_exists",
    "principal_of",
    "refuse_root_key",
    "region",
    "replace_object",
    "require_pass_role",
    "require_permission",
    "role_arn",
    "saving_problem",
    "scoped_state",
    "secret_of_caller",
    "shut_down",
    "start_thread",
    "write_log",
]


def boot(config: SandboxConfig) -> Application:
    """Load and mend the emulator for this sandbox; the ASGI application it serves with.

    Once per process: the emulator reads its settings when it is imported.

    Raises:
        SandboxError: already booted, or the installed version lacks something we rely on.
    """
    _emulator.set_environment(config)
    emulator = _emulator.Emulator(config, _emulator.load_hooks(), write_state)
    _emulator.begin(emulator)
    patch_principals(emulator)
    patch_wildcards(emulator)
    patch_denials(emulator)
    patch_buckets(emulator)
    patch_uploads(emulator)
    patch_glue(emulator)
    patch_cloudformation(emulator)
    restore_sessions(emulator)
    watch_changes(emulator)
    emulator.snapshots.start()
    application: Application = emulator.app.app
    return application


def shut_down() -> None:
    """Save everything and stop saving. After this, changes are lost."""
    emulator = booted()
    emulator.snapshots.mark(state_keys(emulator))
    emulator.snapshots.close()
    emulator.operations.shutdown(wait=False, cancel_futures=True)


def saving_problem() -> str | None:
    """Why state cannot be saved just now, if it cannot."""
    return booted().snapshots.problem
