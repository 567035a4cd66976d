# ruff: noqa: SLF001 -- reaching into the emulator is what this module is for
"""The one door to ministack, the AWS emulator that stands under the sandbox.

Nothing else here imports it. Its version is pinned, every place we reach into is looked up at
start (`_HOOKS`), and a missing one stops the sandbox with its name. What is mended:

- a foreign bucket's policy is evaluated for the real principal, Deny included (it was evaluated
  for the caller's account root), and a batch delete for each of its keys;
- ``aws:PrincipalArn`` is the role's ARN, not the session's; ``aws:ResourceAccount`` of an S3
  resource is the bucket's owner;
- Glue requests are authorized on every resource AWS asks for (catalog, database, table, job ...);
- ``iam:PassRole`` is asked for where a role is handed to a service;
- ``x-amz-expected-bucket-owner`` is honoured;
- nobody but a service is a service: an account's root does not match a Service principal, and
  the emulator's built-in root keys are refused;
- STS sessions and all other state survive a kill; large objects are streamed from disk.

ministack is MIT licensed; it is imported as it is.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import hashlib
import importlib
import importlib.metadata
import json
import logging
import os
import re
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from xacct_sandbox import bucket_properties
from xacct_sandbox.config import SandboxConfig, SandboxError
from xacct_sandbox.credentials import Credentials, ServiceError
from xacct_sandbox.glue_arns import glue_resource_arns
from xacct_sandbox.snapshots import SnapshotWriter
from xacct_sandbox.stored_body import StoredBody

logger = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], bytes]
Operation = Callable[[dict[str, Any]], dict[str, Any]]
Application = Callable[..., Awaitable[None]]

SESSION_SECONDS = 3600
STREAM_FROM_BYTES = 1024 * 1024
"""Objects from this size are sent from disk; smaller ones are read whole."""

OPERATION_THREADS = 64
"""Threads for our own operations; a long poll holds one for up to 30 s."""


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


# -- starting ----------------------------------------------------------------------------------

_HOOKS: dict[str, tuple[str, ...]] = {
    "ministack.app": (
        "AUTH",
        "SERVICE_HANDLERS",
        "SERVICE_REGISTRY",
        "_loaded_modules",
        "_state_map",
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
        "extract_resource_arn",
        "s3_service_context",
    ),
    "ministack.core.iam_evaluator": (
        "AuthError",
        "EvalContext",
        "_principal_matches",
        "_resolve_condition_key",
        "caller_arn",
        "enforce",
        "evaluate_resource_policy",
        "evaluate_trust_policy",
        "is_root_access_key",
        "resolve_principal",
    ),
    "ministack.services.s3": (
        "S3_PERSIST",
        "_apply_bucket_scope",
        "_bucket_owner_account",
        "_bucket_policies",
        "_buckets",
        "_delete_bucket_encryption",
        "_delete_bucket_lifecycle",
        "_delete_bucket_ownership_controls",
        "_error",
        "_foreign_bucket_allows",
        "_get_object",
        "_object_disk_path",
        "_policy_is_public",
        "_public_access_blocked",
        "_put_bucket_encryption",
        "_put_bucket_lifecycle",
        "_put_bucket_ownership_controls",
        "_read_body",
    ),
    "ministack.services.iam": (
        "_gen_secret",
        "_gen_session_access_key",
        "_gen_session_token",
        "_roles",
        "handle_request",
    ),
    "ministack.services.secretsmanager": ("_resolve", "_secrets", "resolve_secret_string"),
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
    ),
    "ministack.services.cloudformation.stacks": ("_add_event", "_runs_on_worker_thread"),
}

_DIFFERS = (
    "ministack {version} has no {hook}, which the sandbox mends or extends. "
    "Install the version that pyproject.toml pins (extra `sandbox`)."
)


class _Emulator:
    """The loaded emulator and what we have added to it."""

    def __init__(self, config: SandboxConfig, modules: dict[str, ModuleType]) -> None:
        self.config = config
        self.app = modules["ministack.app"]
        self.persistence = modules["ministack.core.persistence"]
        self.responses = modules["ministack.core.responses"]
        self.router = modules["ministack.core.router"]
        self.actions = modules["ministack.core.iam_actions"]
        self.evaluator = modules["ministack.core.iam_evaluator"]
        self.s3 = modules["ministack.services.s3"]
        self.iam = modules["ministack.services.iam"]
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
        self.snapshots = SnapshotWriter(self.save)
        self.operations = ThreadPoolExecutor(OPERATION_THREADS, "sandbox-operation")
        self.logs_lock = threading.Lock()

    def save(self, key: str) -> None:
        """Write one service's state to disk, whole or not at all."""
        _write_state(self, key)

    def state_keys(self) -> set[str]:
        """The keys of everything that holds state now."""
        loaded = self.app._loaded_modules
        return {
            key
            for key, module in self.app._state_map.items()
            if module in loaded or key in _ALWAYS_LOADED
        } | {*self.state, _SESSIONS}


_emulator: _Emulator | None = None
_ALWAYS_LOADED = frozenset({"s3", "iam", "glue", "cloudwatch_logs", "cloudformation"})

_caller_key: contextvars.ContextVar[str] = contextvars.ContextVar("sandbox_caller_key", default="")
_as_service: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "sandbox_as_service", default=False
)
_replacing: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar(
    "sandbox_replacing", default=frozenset()
)
_refused_arn: contextvars.ContextVar[str] = contextvars.ContextVar(
    "sandbox_refused_arn", default=""
)
_batch_body: contextvars.ContextVar[bytes] = contextvars.ContextVar(
    "sandbox_batch_body", default=b""
)
_streaming: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "sandbox_streaming", default=False
)


def boot(config: SandboxConfig) -> Application:
    """Load and mend the emulator for this sandbox; the ASGI application it serves with.

    Once per process: the emulator reads its settings when it is imported.

    Raises:
        SandboxError: already booted, or the installed version lacks something we rely on.
    """
    global _emulator
    if _emulator is not None:
        raise SandboxError("the emulator is booted already: one sandbox in a process")
    _set_environment(config)
    _emulator = _Emulator(config, _load_hooks())
    _mend_principals(_emulator)
    _mend_denials(_emulator)
    _mend_buckets(_emulator)
    _mend_glue(_emulator)
    _mend_cloudformation(_emulator)
    _restore_sessions(_emulator)
    _watch_changes(_emulator)
    _emulator.snapshots.start()
    return _emulator.app.app


def shut_down() -> None:
    """Save everything and stop saving. After this, changes are lost."""
    emulator = _booted()
    emulator.snapshots.mark(emulator.state_keys())
    emulator.snapshots.close()
    emulator.operations.shutdown(wait=False, cancel_futures=True)


def saving_problem() -> str | None:
    """Why state cannot be saved just now, if it cannot."""
    return _booted().snapshots.problem


def _booted() -> _Emulator:
    if _emulator is None:
        raise SandboxError("the sandbox is not booted in this process: call boot(config) first")
    return _emulator


def _set_environment(config: SandboxConfig) -> None:
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


def _load_hooks() -> dict[str, ModuleType]:
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


# -- the request being served ------------------------------------------------------------------


def account_id() -> str:
    """The account of the request being served."""
    return str(_booted().responses.get_account_id())


def region() -> str:
    """The region of the request being served."""
    return str(_booted().responses.get_region())


def caller_arn() -> str:
    """The principal of the request being served; an account's root inside the service itself."""
    return str(_booted().evaluator.caller_arn())


@contextmanager
def acting_in(account: str, region_name: str | None = None) -> Iterator[None]:
    """Inside, the service works in this account and region, without a caller."""
    emulator = _booted()
    caller = _caller_key.set("")
    service = _as_service.set(True)
    try:
        with emulator.responses.request_scope(account, region_name or emulator.config.region):
            yield
    finally:
        _as_service.reset(service)
        _caller_key.reset(caller)


def start_thread(fn: Callable[..., object], *args: object, name: str) -> threading.Thread:
    """A started daemon thread that keeps the account and region of the caller."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(fn, *args), name=name, daemon=True)
    thread.start()
    return thread


# -- state -------------------------------------------------------------------------------------

_SESSIONS = "xacct-sts-sessions"


def scoped_state(name: str) -> MutableMapping[str, Any]:
    """A mapping per account and region, saved with the rest; asked for twice, the same one.

    Values are what JSON holds. Assign to save: ``state[key] = value`` has it written within a
    fraction of a second; a change inside a value is not seen.
    """
    emulator = _booted()
    key = f"xacct-{name}"
    if key not in emulator.state:
        state = _scoped_state_class(emulator)()
        restored = emulator.persistence.load_state(key)
        if restored is not None:
            state._data.update(restored._data)
        state.saved_as = key
        emulator.state[key] = state
    return emulator.state[key]


@functools.cache
def _scoped_state_class(emulator: _Emulator) -> type[Any]:
    class ScopedState(emulator.responses.AccountRegionScopedDict):  # type: ignore[misc, name-defined]
        """ministack's scoped dictionary, saved on change."""

        saved_as = ""

        def __setitem__(self, key: str, value: object) -> None:
            super().__setitem__(key, value)
            emulator.snapshots.mark([self.saved_as])

        def __delitem__(self, key: str) -> None:
            super().__delitem__(key)
            emulator.snapshots.mark([self.saved_as])

        def pop(self, key: str, *default: object) -> object:
            value = super().pop(key, *default)
            emulator.snapshots.mark([self.saved_as])
            return value

        def setdefault(self, key: str, default: object = None) -> object:
            value = super().setdefault(key, default)
            emulator.snapshots.mark([self.saved_as])
            return value

        def update(self, other: Any = (), /, **more: object) -> None:
            for key, value in {**dict(other), **more}.items():
                self[key] = value

    return ScopedState


def _state_of(emulator: _Emulator, key: str) -> object:
    if key == _SESSIONS:
        return dict(emulator.sts._sessions)
    if key in emulator.state:
        return emulator.state[key]
    module = importlib.import_module(f"ministack.services.{emulator.app._state_map[key]}")
    return module.get_state()


def _write_state(emulator: _Emulator, key: str) -> None:
    """Save one state in ministack's own format.

    Its ``save_state`` writes the same, but through a stream, many times slower, and logs what
    fails instead of raising it.
    """
    for attempt in range(20):
        try:
            state = _state_of(emulator, key)
            if state is None:
                return
            text = json.dumps(
                {
                    "__ministack_format__": emulator.persistence._state_format_version(key),
                    "payload": state,
                },
                default=emulator.persistence._json_default,
            )
            break
        except RuntimeError:
            # "dictionary changed size during iteration": a request got in between.
            if attempt == 19:
                raise
            time.sleep(0.002)
    path = Path(emulator.persistence.STATE_DIR) / f"{key}.json"
    digest = hashlib.sha256(text.encode()).digest()
    if _last_written.get(key) == digest and path.exists():
        return
    partial = path.with_name(f"{key}.json.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)
    _last_written[key] = digest


_last_written: dict[str, bytes] = {}


def _restore_sessions(emulator: _Emulator) -> None:
    """ministack forgets sessions at a restart; a client keeps its keys for an hour."""
    restored = emulator.persistence.load_state(_SESSIONS) or {}
    now = time.time()
    emulator.sts._sessions.update(
        {key: session for key, session in restored.items() if session.get("Expiration", 0) > now}
    )


_READ_ONLY = re.compile(r"^(Get|List|Describe|Head|BatchGet|Search|Filter|Query|Validate|Lookup)")
_QUERY_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")


def _watch_changes(emulator: _Emulator) -> None:
    """After each request that may have changed something, have that service's state saved."""
    registry = emulator.app.SERVICE_REGISTRY
    for name, handler in list(emulator.app.SERVICE_HANDLERS.items()):
        entry = registry[name]
        keys = {entry.get("state_key", entry["module"]), *entry.get("sub_modules", ())}
        if name == "sts":
            keys = {_SESSIONS}
        emulator.app.SERVICE_HANDLERS[name] = _observed(emulator, handler, frozenset(keys))

    add_event = emulator.stacks._add_event

    def noted_event(*args: Any, **kwargs: Any) -> Any:
        # A stack changes resources of many services, in the background.
        emulator.snapshots.mark(emulator.state_keys())
        return add_event(*args, **kwargs)

    emulator.stacks._add_event = noted_event


def _observed(
    emulator: _Emulator, handler: Callable[..., Awaitable[Any]], keys: frozenset[str]
) -> Callable[..., Awaitable[Any]]:
    async def observed(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        _caller_key.set(emulator.router.extract_access_key_id(headers, query) or "")
        try:
            return await handler(method, path, headers, body, query)
        finally:
            if _may_change(method, headers, body):
                emulator.snapshots.mark(keys)

    return observed


def _may_change(method: str, headers: dict[str, str], body: bytes) -> bool:
    target = headers.get("x-amz-target", "")
    if target:
        return not _READ_ONLY.match(target.rpartition(".")[2])
    action = _QUERY_ACTION.search(body)
    if action:
        return not _READ_ONLY.match(action[1].decode())
    return method not in ("GET", "HEAD", "OPTIONS")


# -- answers -----------------------------------------------------------------------------------

JSON_1_1 = "application/x-amz-json-1.1"


def json_response(data: dict[str, Any], status: int = 200) -> Response:
    """An answer in AWS's JSON 1.1 shape."""
    return _booted().responses.json_response(data, status, content_type=JSON_1_1)


def error_response(error: ServiceError) -> Response:
    """An error in AWS's JSON 1.1 shape."""
    return _booted().responses.error_response_json(
        error.code, error.message, error.status, content_type=JSON_1_1
    )


# -- services of our own -----------------------------------------------------------------------


def add_service(
    name: str,
    target_prefix: str,
    iam_namespace: str,
    operations: dict[str, Operation],
    resource_arn: Callable[[str, dict[str, Any]], str],
) -> None:
    """Register a JSON 1.1 service; IAM authorizes it like any other.

    ``name`` is botocore's name of the service (``redshift-data``), ``resource_arn`` gives the ARN
    that an operation's request is authorized on.
    """
    emulator = _booted()

    async def handle(
        _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
    ) -> Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        run = operations.get(operation)
        if run is None:
            return error_response(
                ServiceError(
                    "UnknownOperationException",
                    f"The sandbox has no {name} operation {operation!r}.",
                )
            )
        return await _run_operation(emulator, f"{name} {operation}", run, body)

    emulator.app.SERVICE_HANDLERS[name] = _observed(emulator, handle, frozenset())
    emulator.router.SERVICE_PATTERNS[name] = {"target_prefixes": [f"{target_prefix}."]}
    emulator.actions.SERVICE_TO_IAM_NAMESPACE[name] = iam_namespace
    emulator.resource_arns[name] = resource_arn


async def _run_operation(emulator: _Emulator, label: str, run: Operation, body: bytes) -> Response:
    try:
        request = json.loads(body) if body else {}
    except ValueError:
        return error_response(ServiceError("SerializationException", "The body is not JSON."))
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    try:
        answer = await loop.run_in_executor(emulator.operations, context.run, run, request)
    except ServiceError as error:
        return error_response(error)
    except Exception:
        logger.exception("%s failed", label)
        return error_response(
            ServiceError(
                "InternalFailure",
                f"The sandbox failed in {label}; its log {emulator.config.daemon_log} says why.",
                500,
            )
        )
    return json_response(answer)


# -- IAM ---------------------------------------------------------------------------------------


def _mend_principals(emulator: _Emulator) -> None:
    evaluator = emulator.evaluator
    resolve = evaluator._resolve_condition_key
    matches = evaluator._principal_matches

    def resolve_condition_key(key: str, ctx: Any) -> Any:
        name = key.lower()
        if name == "aws:principalarn":
            return _role_arn_of_session(emulator, ctx.principal_arn) or None
        if name in ("aws:resourceaccount", "s3:resourceaccount"):
            owner = _bucket_owner(emulator, ctx.resource_arn)
            if owner:
                return owner
        if name in ("aws:principalisawsservice", "aws:viaawsservice"):
            return ctx.service_context.get(name, "false")
        return resolve(key, ctx)

    def principal_matches(principal: Any, caller: str) -> bool:
        if isinstance(principal, dict):
            # The emulator lets an account's root pass for any service.
            principal = {kind: names for kind, names in principal.items() if kind != "Service"}
        return matches(principal, caller)

    evaluator._resolve_condition_key = resolve_condition_key
    evaluator._principal_matches = principal_matches


def _role_arn_of_session(emulator: _Emulator, arn: str) -> str:
    """The role's ARN, path included, for the ARN of one of its sessions; others unchanged."""
    session = re.fullmatch(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+", arn)
    if session is None:
        return arn
    role = emulator.iam._roles.get_scoped(session[1], None, session[2])
    return role["Arn"] if role else f"arn:aws:iam::{session[1]}:role/{session[2]}"


def _bucket_owner(emulator: _Emulator, arn: str) -> str | None:
    if not arn.startswith("arn:aws:s3:::"):
        return None
    bucket = arn.removeprefix("arn:aws:s3:::").partition("/")[0]
    return emulator.s3._bucket_owner_account(bucket)


def _mend_denials(emulator: _Emulator) -> None:
    """Authorize on the right resources, and name the one that was refused as AWS does."""
    actions, evaluator = emulator.actions, emulator.evaluator
    extract, enforce = actions.extract_resource_arn, evaluator.enforce
    deny = actions.access_denied_response

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        region_name: str,
        account: str,
    ) -> str:
        _refused_arn.set("")
        if service in emulator.resource_arns:
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            return emulator.resource_arns[service](operation, _json_object(body))
        if service == "glue":
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            arns = glue_resource_arns(operation, _json_object(body), region_name, account)
            return _ARN_SEPARATOR.join(arns)
        bucket, _, key = path.lstrip("/").partition("/")
        if service == "s3" and key:
            # The emulator drops empty parts of a key: "a/" would be judged as "a".
            return f"arn:aws:s3:::{bucket}/{key}"
        return extract(service, method, path, headers, body, query, region_name, account)

    def enforce_each(
        access_key: str,
        action: str,
        service: str,
        region_name: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        for arn in resource_arn.split(_ARN_SEPARATOR):
            denied = enforce(
                access_key, action, service, region_name, arn, service_context=service_context
            )
            if denied:
                _refused_arn.set(arn)
                return denied
        return None

    def access_denied_response(
        service: str,
        action: str,
        principal_arn: str,
        request_id: str,
        *,
        message: str = "",
        error_code: str = "",
        resource_arn: str = "*",
        explicit_deny: bool = False,
        resource_policy_arn: str = "",
        **more: Any,
    ) -> Response:
        arn = _refused_arn.get() or resource_arn
        if not message and not error_code:
            message = _denial_message(
                emulator, service, action, principal_arn, arn, explicit_deny, resource_policy_arn
            )
        return deny(
            service,
            action,
            principal_arn,
            request_id,
            message=message,
            error_code=error_code,
            resource_arn=arn,
            explicit_deny=explicit_deny,
            resource_policy_arn=resource_policy_arn,
            **more,
        )

    actions.extract_resource_arn = extract_resource_arn
    actions.access_denied_response = access_denied_response
    evaluator.enforce = enforce_each


_ARN_SEPARATOR = "\n"


def _denial_message(
    emulator: _Emulator,
    service: str,
    action: str,
    principal_arn: str,
    arn: str,
    explicit_deny: bool,
    resource_policy_arn: str,
) -> str:
    """The words AWS uses. S3 says no more than "Access Denied" about another account's bucket."""
    owner = _bucket_owner(emulator, arn)
    if service == "s3" and owner not in (None, emulator.responses.get_account_id()):
        return "Access Denied"
    if explicit_deny:
        kind = "a resource-based policy" if resource_policy_arn else "an identity-based policy"
        reason = f"with an explicit deny in {kind}"
    else:
        reason = f"because no identity-based policy allows the {action} action"
    shown = f'"{arn}"' if service == "s3" else arn
    who = f"User: {principal_arn} is not authorized to perform: {action}"
    return f"{who} on resource: {shown} {reason}"


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def assume_service_role(
    service: str,
    role_arn: str,
    *,
    source_arn: str,
    session_name: str,
    source_account: str | None = None,
) -> Credentials:
    """A session of the role for an AWS service, if its trust policy allows that service.

    ``service`` is the principal, e.g. ``glue.amazonaws.com``. ``source_account`` defaults to the
    account in ``source_arn``.

    Raises:
        ServiceError: AccessDenied naming principal, action and resource.
    """
    emulator = _booted()
    owner = source_account or source_arn.split(":")[4]
    role = _find_role(emulator, role_arn)
    if role is None or not _trusts_service(emulator, role, service, source_arn, owner):
        raise ServiceError(
            "AccessDenied",
            f"Service: {service} is not authorized to perform: sts:AssumeRole on resource: "
            f"{role_arn} because the role does not exist or its trust policy does not allow it "
            f"(aws:SourceAccount {owner}, aws:SourceArn {source_arn})",
            403,
        )
    account, name = role["Arn"].split(":")[4], role["RoleName"]
    expiration = time.time() + SESSION_SECONDS
    key = emulator.iam._gen_session_access_key()
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}",
        "UserId": f"{emulator.sts._role_id(role['Arn'])}:{session_name}",
        "SecretAccessKey": emulator.iam._gen_secret(),
        "SessionToken": emulator.iam._gen_session_token(),
        "Expiration": expiration,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
        "SourcePrincipalArn": service,
        "SessionTags": [],
        "SessionPolicies": None,
    }
    emulator.sts.register_session(key, session)
    emulator.snapshots.mark([_SESSIONS])
    return Credentials(
        access_key_id=key,
        secret_access_key=session["SecretAccessKey"],
        session_token=session["SessionToken"],
        expiration=datetime.fromtimestamp(expiration, UTC),
    )


def _find_role(emulator: _Emulator, role_arn: str) -> dict[str, Any] | None:
    arn = re.fullmatch(r"arn:aws:iam::(\d{12}):role/(?:.*/)?([^/]+)", role_arn)
    if arn is None:
        return None
    role = emulator.iam._roles.get_scoped(arn[1], None, arn[2])
    return role if role and role["Arn"] == role_arn else None


def _trusts_service(
    emulator: _Emulator, role: dict[str, Any], service: str, source_arn: str, source_account: str
) -> bool:
    policy = role.get("AssumeRolePolicyDocument") or {}
    if isinstance(policy, str):
        policy = json.loads(policy)
    statements = policy.get("Statement", [])
    context = emulator.evaluator.EvalContext(
        principal_arn="",
        principal_type="AWSService",
        principal_account="",
        action="sts:AssumeRole",
        resource_arn=role["Arn"],
        region=emulator.responses.get_region(),
        service_context={
            "aws:sourcearn": source_arn,
            "aws:sourceaccount": source_account,
            "aws:principalservicename": service,
            "aws:principalisawsservice": "true",
        },
    )
    # Only statements that name this service count, and for it they name everyone they need to.
    addressed = [
        {**statement, "Principal": "*"}
        for statement in ([statements] if isinstance(statements, dict) else statements)
        if _names_service(statement.get("Principal"), service)
    ]
    return emulator.evaluator.evaluate_trust_policy({"Statement": addressed}, service, context)


def _names_service(principal: object, service: str) -> bool:
    if principal == "*":
        return True
    names = principal.get("Service", []) if isinstance(principal, dict) else []
    return service in ([names] if isinstance(names, str) else names)


def require_pass_role(role_arn: str, service: str) -> None:
    """Check iam:PassRole of the caller for the role, with iam:PassedToService.

    Inside the service itself (no caller) nothing is asked.

    Raises:
        ServiceError: AccessDeniedException naming principal, action and resource.
    """
    require_permission("iam:PassRole", role_arn, {"iam:PassedToService": service})


def require_permission(
    action: str, resource_arn: str, context: dict[str, str] | None = None
) -> None:
    """Check that the caller may also do this, for an operation that needs more than its own action.

    Inside the service itself (no caller) nothing is asked.

    Raises:
        ServiceError: AccessDeniedException naming principal, action and resource.
    """
    emulator = _booted()
    key = _caller_key.get()
    if _as_service.get() or not key:
        return
    denied = emulator.evaluator.enforce(
        key,
        action,
        action.partition(":")[0],
        region(),
        resource_arn=resource_arn,
        service_context=context,
    )
    if denied:
        explicit = getattr(denied, "decision", "") == "Deny"
        reason = (
            "with an explicit deny in an identity-based policy"
            if explicit
            else f"because no identity-based policy allows the {action} action"
        )
        raise ServiceError(
            "AccessDeniedException",
            f"User: {caller_arn()} is not authorized to perform: {action} on resource: "
            f"{resource_arn} {reason}",
        )


def secret_of_caller(secret_id: str) -> tuple[str, str]:
    """(ARN, current SecretString) of a secret, if the caller may read it.

    Raises:
        ServiceError: AccessDeniedException, or ResourceNotFoundException for a secret that is not
            there (ministack's account and region of the request are where it is looked for).
    """
    emulator = _booted()
    _, secret = emulator.secrets._resolve(secret_id)
    arn = secret["ARN"] if secret else _secret_arn(secret_id)
    require_permission("secretsmanager:GetSecretValue", arn)
    text = emulator.secrets.resolve_secret_string(secret_id) if secret else None
    if text is None:
        raise ServiceError(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )
    return arn, text


def _secret_arn(secret_id: str) -> str:
    if secret_id.startswith("arn:"):
        return secret_id
    return f"arn:aws:secretsmanager:{region()}:{account_id()}:secret:{secret_id}"


def iam(account: str, action: str, **parameters: str) -> str:
    """Call IAM as the service itself in an account; its XML answer.

    This is how the two accounts get their first users, before anyone has a key to ask with.

    Raises:
        ServiceError: IAM's own refusal.
    """
    emulator = _booted()
    query = {name: [value] for name, value in {"Action": action, **parameters}.items()}
    with acting_in(account):
        status, _, body = _finish(emulator.iam.handle_request("POST", "/", {}, b"", query))
    emulator.snapshots.mark(["iam"])
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status >= 400:
        code = re.search(r"<Code>([^<]+)", text)
        message = re.search(r"<Message>([^<]*)", text)
        raise ServiceError(code[1] if code else "IAMError", message[1] if message else text, status)
    return text


def _finish(coroutine: Any) -> Any:
    """The result of a handler that never really waits (IAM's does not)."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise SandboxError("a ministack handler that answered at once now waits; see ministack.py")


def refuse_root_key(
    method: str, path: str, headers: dict[str, str], query: dict[str, list[str]]
) -> Response | None:
    """The refusal of a request with a key the emulator would take for an account's root.

    Such keys (an account's number, "test") are never checked for a signature, so that any
    leftover setting would pass every policy. None for all other requests.
    """
    emulator = _booted()
    key = emulator.router.extract_access_key_id(headers, query)
    if not key or not emulator.evaluator.is_root_access_key(key):
        return None
    service = emulator.router.detect_service(method, path, headers, query)
    return emulator.actions.access_denied_response(
        service,
        "",
        "",
        str(uuid.uuid4()),
        error_code="UnrecognizedClientException",
        headers=headers,
        message="The security token included in the request is invalid.",
    )


# -- S3 ----------------------------------------------------------------------------------------


def _mend_buckets(emulator: _Emulator) -> None:
    s3 = emulator.s3
    apply_scope, get_object, read_body = s3._apply_bucket_scope, s3._get_object, s3._read_body
    grants_of_acls = s3._foreign_bucket_allows

    def apply_bucket_scope(
        method: str,
        bucket: str,
        key: str,
        headers: dict[str, str],
        query: dict[str, Any],
        body: bytes = b"",
        internal: bool = False,
    ) -> Response | None:
        if not _owner_is_expected(emulator, bucket, headers):
            return s3._error("AccessDenied", "Access Denied", 403, f"/{bucket}/{key}")
        token = _batch_body.set(body)
        try:
            return apply_scope(method, bucket, key, headers, query, body, internal)
        finally:
            _batch_body.reset(token)

    def foreign_bucket_allows(
        owner: str,
        bucket: str,
        key: str,
        method: str,
        query: dict[str, Any],
        caller: str,
        headers: dict[str, str] | None = None,
    ) -> bool:
        policy = s3._bucket_policies.get_scoped(owner, None, bucket)
        if not policy:
            return grants_of_acls(owner, bucket, key, method, query, caller, headers)
        return _policy_allows_stranger(
            emulator, policy, owner, bucket, key, method, query, caller, headers or {}
        )

    def read_stored_body(bucket: str, key: str, record: dict[str, Any]) -> Any:
        if _streaming.get() and record.get("body") is None:
            size = record.get("size") or 0
            path = s3._object_disk_path(bucket, key) if size >= STREAM_FROM_BYTES else None
            if path is not None:
                return StoredBody.open(path)
        return read_body(bucket, key, record)

    def stream_object(
        bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None
    ) -> Any:
        token = _streaming.set(True)
        try:
            status, answer, body = get_object(bucket, key, headers, query)
        finally:
            _streaming.reset(token)
        if isinstance(body, StoredBody):
            body = emulator.responses.StreamingResponse(body.send)
        return status, answer, body

    s3._apply_bucket_scope = apply_bucket_scope
    s3._foreign_bucket_allows = foreign_bucket_allows
    s3._read_body = read_stored_body
    s3._get_object = stream_object


def _owner_is_expected(emulator: _Emulator, bucket: str, headers: dict[str, str]) -> bool:
    """ExpectedBucketOwner: S3 answers 403 if another account owns the bucket."""
    named = [(bucket, headers.get("x-amz-expected-bucket-owner"))]
    source = headers.get("x-amz-copy-source", "").lstrip("/").partition("/")[0]
    named.append((source, headers.get("x-amz-source-expected-bucket-owner")))
    for name, expected in named:
        owner = emulator.s3._bucket_owner_account(name) if name and expected else None
        if owner is not None and owner != expected:
            return False
    return True


def _policy_allows_stranger(
    emulator: _Emulator,
    policy: str,
    owner: str,
    bucket: str,
    key: str,
    method: str,
    query: dict[str, Any],
    caller: str,
    headers: dict[str, str],
) -> bool:
    """Whether a bucket's policy lets in a principal of another account (or nobody in particular).

    The identity policy was judged before this. ``caller`` is "" for an anonymous request.
    """
    s3, evaluator, actions = emulator.s3, emulator.evaluator, emulator.actions
    if s3._public_access_blocked(owner, bucket, "RestrictPublicBuckets") and s3._policy_is_public(
        policy
    ):
        return False
    path = f"/{bucket}/{key}" if key else f"/{bucket}"
    name = actions._s3_action(method, path, query)
    if name is None:
        return False
    action = f"s3:{name}"
    with emulator.responses.request_scope(owner, emulator.responses.get_region()):
        context = actions.s3_service_context(action, query, path, headers)
    bucket_arn = f"arn:aws:s3:::{bucket}"
    targets = [f"{bucket_arn}/{key}" if key else bucket_arn]
    if method == "POST" and not key and "delete" in query:
        targets = [arn for arn, _ in actions._s3_batch_delete_targets(bucket, _batch_body.get())]
    principal = _stranger(emulator, caller, headers, query)
    return bool(targets) and all(
        evaluator.evaluate_resource_policy(
            policy,
            evaluator.EvalContext(
                **principal,
                action=action,
                resource_arn=target,
                region=emulator.responses.get_region(),
                service_context={name.lower(): value for name, value in context.items()},
            ),
        ).decision
        == "Allow"
        for target in targets
    )


def _stranger(
    emulator: _Emulator, caller: str, headers: dict[str, str], query: dict[str, Any]
) -> dict[str, Any]:
    """The principal of a request to another account's bucket, as the policy sees it."""
    nobody = {
        "principal_arn": "*",
        "principal_type": "Anonymous",
        "principal_account": "",
        "principal_keys": {},
    }
    key = emulator.router.extract_access_key_id(headers, query)
    if not caller or not key:
        return nobody
    found = emulator.evaluator.resolve_principal(key, caller)
    if isinstance(found, emulator.evaluator.AuthError):
        return nobody
    return {
        "principal_arn": found.arn,
        "principal_type": found.type,
        "principal_account": found.account,
        "principal_keys": found.keys,
    }


# -- Glue --------------------------------------------------------------------------------------

_GLUE_PRINCIPAL = "glue.amazonaws.com"
_ROLE_TAKING = ("CreateJob", "UpdateJob", "CreateCrawler", "UpdateCrawler")


def add_glue_operations(operations: dict[str, Operation]) -> None:
    """Add or replace Glue operations, also for CloudFormation.

    Inside a replacement, ``glue(operation, ...)`` of the same name is the emulator's own.
    """
    emulator = _booted()
    for operation, run in operations.items():
        emulator.glue_operations[operation] = run
        _route_glue(emulator, operation)


def glue(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call a Glue operation as the service itself, in the current account and region.

    Raises:
        ServiceError: Glue's own refusal.
    """
    emulator = _booted()
    token = _as_service.set(True)
    try:
        if operation in emulator.glue_operations and operation not in _replacing.get():
            return _run_replacement(emulator, operation, request)
        return _emulated_glue(emulator, operation, request)
    finally:
        _as_service.reset(token)


def emulated_glue(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call the emulator's own form of a Glue operation, replaced or not, as the service itself.

    Raises:
        ServiceError: the emulator's refusal.
    """
    token = _as_service.set(True)
    try:
        return _emulated_glue(_booted(), operation, request)
    finally:
        _as_service.reset(token)


def _run_replacement(
    emulator: _Emulator, operation: str, request: dict[str, Any]
) -> dict[str, Any]:
    token = _replacing.set(_replacing.get() | {operation})
    try:
        return emulator.glue_operations[operation](request)
    finally:
        _replacing.reset(token)


def _emulated_glue(emulator: _Emulator, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    original = emulator.glue_originals.get(operation)
    if original is not None:
        answer = original(request)
    else:
        headers = {"x-amz-target": f"AWSGlue.{operation}"}
        answer = emulator.glue._handle_request_sync(
            "POST", "/", headers, json.dumps(request).encode(), {}
        )
    status, _, body = answer
    emulator.snapshots.mark(["glue"])
    document = json.loads(body) if body else {}
    if status >= 400:
        raise ServiceError(
            str(document.get("__type", "InternalServiceException")),
            str(document.get("message") or document.get("Message") or ""),
            status,
        )
    return document


def _mend_glue(emulator: _Emulator) -> None:
    for operation in _ROLE_TAKING:
        _route_glue(emulator, operation)

    emulated = emulator.app.SERVICE_HANDLERS["glue"]

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in emulator.glue_operations:
            run = functools.partial(_serve_glue, emulator, operation)
            return await _run_operation(emulator, f"glue {operation}", run, body)
        return await emulated(method, path, headers, body, query)

    emulator.app.SERVICE_HANDLERS["glue"] = handle


def _serve_glue(emulator: _Emulator, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    _check_passed_role(operation, request)
    if operation in emulator.glue_operations:
        return _run_replacement(emulator, operation, request)
    return _emulated_glue(emulator, operation, request)


def _route_glue(emulator: _Emulator, operation: str) -> None:
    """Send the emulator's own calls of an operation (HTTP and CloudFormation) through ours."""
    function = "_" + re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    original = getattr(emulator.glue, function, None)
    if original is None or operation in emulator.glue_originals:
        return
    emulator.glue_originals[operation] = original

    def routed(request: dict[str, Any]) -> Response:
        try:
            return json_response(_serve_glue(emulator, operation, request))
        except ServiceError as error:
            return error_response(error)

    setattr(emulator.glue, function, routed)


def _check_passed_role(operation: str, request: dict[str, Any]) -> None:
    if operation not in _ROLE_TAKING:
        return
    role = request.get("Role") or (request.get("JobUpdate") or {}).get("Role")
    if role:
        require_pass_role(role_arn(str(role)), _GLUE_PRINCIPAL)


def role_arn(name_or_arn: str) -> str:
    """Glue takes a role by name or by ARN: its ARN, in the current account."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn
    role = _booted().iam._roles.get(name_or_arn.rpartition("/")[2])
    return role["Arn"] if role else f"arn:aws:iam::{account_id()}:role/{name_or_arn.lstrip('/')}"


# -- CloudFormation ----------------------------------------------------------------------------


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
    emulator = _booted()

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


def _mend_cloudformation(emulator: _Emulator) -> None:
    on_worker = emulator.stacks._runs_on_worker_thread

    def runs_on_worker_thread(resource_type: str) -> bool:
        return resource_type in emulator.worker_thread_types or on_worker(resource_type)

    emulator.stacks._runs_on_worker_thread = runs_on_worker_thread
    _mend_bucket_type(emulator)
    _mend_secret_type(emulator)


def _mend_bucket_type(emulator: _Emulator) -> None:
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


def _mend_secret_type(emulator: _Emulator) -> None:
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


# -- CloudWatch Logs ---------------------------------------------------------------------------


def write_log(group: str, stream: str, messages: list[str]) -> None:
    """Append events to CloudWatch Logs of the current account, making group and stream.

    Raises:
        ServiceError: the service refused (a malformed name).
    """
    if not messages:
        return
    emulator = _booted()
    logs, now = emulator.logs, int(time.time() * 1000)
    with emulator.logs_lock:
        if group not in logs._log_groups:
            _ask_logs(logs._create_log_group, {"logGroupName": group})
        if stream not in logs._log_groups[group]["streams"]:
            _ask_logs(logs._create_log_stream, {"logGroupName": group, "logStreamName": stream})
        events = [{"timestamp": now, "message": message} for message in messages]
        _ask_logs(
            logs._put_log_events,
            {"logGroupName": group, "logStreamName": stream, "logEvents": events},
        )
    emulator.snapshots.mark(["cloudwatch_logs"])


def _ask_logs(operation: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> None:
    status, _, body = operation(request)
    if status >= 400:
        document = json.loads(body)
        raise ServiceError(document["__type"], document.get("message", ""), status)
