"""The interface to ministack, the AWS emulator that serves most of the sandbox's APIs.

No other package of the sandbox uses ministack. Its version is pinned, and every hook is looked up
at the start (``hooks.py``). What is patched:

- the policy of another account's bucket is evaluated for the real principal, Deny included
  (ministack evaluates it for the root of the caller's account), and a batch delete for each key;
- ``aws:PrincipalArn`` is the ARN of the role, not of its session; ``aws:ResourceAccount`` of an S3
  resource is the owner of the bucket;
- Glue requests are authorized on every resource that AWS checks (catalog, database, table, job);
- ``iam:PassRole`` is checked where a role is passed to a service;
- ``x-amz-expected-bucket-owner`` is checked;
- listings show RestoreStatus, and archived objects are not copied;
- only services match a Service principal (in ministack, the root of an account does too), and
  ministack's built-in root keys are refused;
- CloudFormation applies all bucket properties that it accepts, and Ref of a secret is its ARN;
- STS sessions and all other state survive a kill; large objects are streamed to and from disk.

ministack has the MIT licence; it is imported unchanged.
"""

from __future__ import annotations

from xacct_sandbox.daemon.asgi import Application
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.emulator.archives import patch_archives
from xacct_sandbox.emulator.buckets import patch_buckets
from xacct_sandbox.emulator.cloudformation import add_cloudformation_type, patch_cloudformation
from xacct_sandbox.emulator.fault_hooks import object_exists, patch_queue_delivery, replace_object
from xacct_sandbox.emulator.glue_service import add_glue_operations, emulated_glue, glue, patch_glue
from xacct_sandbox.emulator.hooks import load_hooks
from xacct_sandbox.emulator.iam_patches import patch_denials, patch_principals, patch_wildcards
from xacct_sandbox.emulator.json_services import add_service, error_response, json_response
from xacct_sandbox.emulator.loader import (
    Emulator,
    Operation,
    Response,
    booted,
    register,
    set_environment,
)
from xacct_sandbox.emulator.logs import write_log
from xacct_sandbox.emulator.permissions import (
    require_pass_role,
    require_permission,
    secret_of_caller,
)
from xacct_sandbox.emulator.principals import principal_of, refuse_root_key
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

__all__ = [
    "Operation",
    "Response",
    "account_id",
    "acting_in",
    "add_cloudformation_type",
    "add_glue_operations",
    "add_service",
    "assume_service_role",
    "boot",
    "caller_arn",
    "emulated_glue",
    "error_response",
    "glue",
    "iam",
    "json_response",
    "object_exists",
    "patch_queue_delivery",
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
    """Loads and patches ministack. Returns its ASGI application.

    Can be called once per process, because ministack reads its settings when it is imported.

    Raises:
        SandboxError: ministack is booted already, or the installed version lacks a hook.
    """
    set_environment(config)
    emulator = Emulator(config, load_hooks(), write_state)
    register(emulator)
    patch_principals(emulator)
    patch_wildcards(emulator)
    patch_denials(emulator)
    patch_buckets(emulator)
    patch_archives(emulator)
    patch_uploads(emulator)
    patch_glue(emulator)
    patch_cloudformation(emulator)
    restore_sessions(emulator)
    watch_changes(emulator)
    emulator.snapshots.start()
    application: Application = emulator.app.app
    return application


def shut_down() -> None:
    """Saves everything and stops saving. Later changes are lost."""
    emulator = booted()
    emulator.snapshots.mark(state_keys(emulator))
    emulator.snapshots.close()
    emulator.operations.shutdown(wait=False, cancel_futures=True)


def saving_problem() -> str | None:
    """Why state cannot be saved at the moment, or None."""
    return booted().snapshots.problem
