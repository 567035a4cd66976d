"""The interface to ministack, the AWS emulator that serves most of the sandbox's APIs.

No other package of the sandbox uses ministack. Its version is pinned, and every hook is looked up
at the start (``hooks.py``). What is patched:

- every request is read, authenticated and judged by ``authorization/`` before its handler runs;
  ministack's own evaluator, its checks inside services and its other entry points are switched off;
- ``iam:PassRole`` is checked where a role is passed to a service;
- ``x-amz-expected-bucket-owner`` is checked;
- notifications that overlap are refused;
- listings show RestoreStatus, and archived objects are not copied;
- ministack's built-in root keys are refused;
- topics deliver to queues, and to nothing else; what was published is kept;
- CloudFormation applies all bucket properties that it accepts, Ref of a secret is its ARN, and
  ``stacks/`` makes change sets, replacements, drift and names that exist as they are on AWS;
- STS sessions and all other state survive a kill; large objects are streamed to and from disk.

ministack has the MIT licence; it is imported unchanged.
"""

from __future__ import annotations

from xacct_sandbox.daemon.asgi import Application
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.emulator.archives import patch_archives
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.enforcement import (
    caller_userid,
    judged_call,
    patch_enforcement,
    tls_version,
)
from xacct_sandbox.emulator.authorization.sessions import patch_sessions
from xacct_sandbox.emulator.authorization.stored_documents import patch_documents
from xacct_sandbox.emulator.buckets import patch_buckets
from xacct_sandbox.emulator.cloudformation import add_cloudformation_type, patch_cloudformation
from xacct_sandbox.emulator.fault_hooks import object_exists, patch_queue_delivery, replace_object
from xacct_sandbox.emulator.foreign_copies import patch_foreign_copies
from xacct_sandbox.emulator.glue_service import add_glue_operations, emulated_glue, glue, patch_glue
from xacct_sandbox.emulator.hooks import load_hooks
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
from xacct_sandbox.emulator.network import patch_network
from xacct_sandbox.emulator.network.deployed import (
    connection_place,
    deployed_network,
    stack_outputs,
)
from xacct_sandbox.emulator.notifications import patch_notifications
from xacct_sandbox.emulator.permissions import (
    require_pass_role,
    require_permission,
    secret_of_caller,
)
from xacct_sandbox.emulator.principals import principal_of, refuse_root_key
from xacct_sandbox.emulator.publications import patch_publications, publications
from xacct_sandbox.emulator.queues import patch_queues
from xacct_sandbox.emulator.requests import account_id, acting_in, caller_arn, region, start_thread
from xacct_sandbox.emulator.roles import assume_service_role, iam, role_arn
from xacct_sandbox.emulator.secret_names import patch_secret_names
from xacct_sandbox.emulator.service_secrets import create_service_secret, delete_service_secret
from xacct_sandbox.emulator.stack_rights import patch_stack_rights
from xacct_sandbox.emulator.stacks import patch_stacks
from xacct_sandbox.emulator.stacks.generated_names import patch_generated_names
from xacct_sandbox.emulator.stacks.held import add_held_types
from xacct_sandbox.emulator.stacks.held_calls import add_held_calls
from xacct_sandbox.emulator.stacks.replacement import is_replacing
from xacct_sandbox.emulator.state import (
    restore_sessions,
    scoped_state,
    state_keys,
    watch_changes,
    write_state,
)
from xacct_sandbox.emulator.topics import patch_topics
from xacct_sandbox.emulator.uploads import patch_uploads

__all__ = [
    "Check",
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
    "caller_userid",
    "connection_place",
    "create_service_secret",
    "delete_service_secret",
    "deployed_network",
    "emulated_glue",
    "error_response",
    "glue",
    "iam",
    "is_replacing",
    "json_response",
    "object_exists",
    "patch_queue_delivery",
    "principal_of",
    "publications",
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
    "stack_outputs",
    "start_thread",
    "tls_version",
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
    patch_enforcement(emulator)
    patch_sessions(emulator, judged_call)
    patch_documents(emulator)
    patch_buckets(emulator)
    patch_notifications(emulator)
    patch_archives(emulator)
    patch_foreign_copies(emulator)
    patch_uploads(emulator)
    patch_glue(emulator)
    patch_cloudformation(emulator)
    patch_topics(emulator)
    patch_queues(emulator)
    patch_secret_names(emulator)
    patch_publications(emulator)
    patch_stacks(emulator)
    patch_network(emulator)
    patch_stack_rights(emulator)
    patch_generated_names(emulator)
    add_held_types()
    add_held_calls()
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
