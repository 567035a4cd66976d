"""The loaded emulator: its environment, its modules, and what the sandbox keeps beside them."""

from __future__ import annotations

import contextvars
import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.snapshots import SnapshotWriter

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""

Operation = Callable[[dict[str, Any]], dict[str, Any]]
"""An operation of a JSON service: from the request's body to the response's."""

OPERATION_THREADS = 64
"""Threads for the sandbox's own operations; a long poll occupies one for up to 30 s."""


class Emulator:
    """The modules of ministack, and the state of the sandbox's extensions.

    The modules are typed ``Any``: attributes are replaced in them, and ministack has no types.

    Args:
        config: of the sandbox.
        modules: from ``hooks.load_hooks``.
        save_state: writes the state with a given key to disk.
    """

    def __init__(
        self,
        config: SandboxConfig,
        modules: dict[str, ModuleType],
        save_state: Callable[[Emulator, str], None],
    ) -> None:
        self.config = config
        self.app: Any = modules["ministack.app"]
        self.persistence: Any = modules["ministack.core.persistence"]
        self.responses: Any = modules["ministack.core.responses"]
        self.router: Any = modules["ministack.core.router"]
        self.actions: Any = modules["ministack.core.iam_actions"]
        self.evaluator: Any = modules["ministack.core.iam_evaluator"]
        self.s3: Any = modules["ministack.services.s3"]
        self.iam: Any = modules["ministack.services.iam"]
        self.ec2: Any = modules["ministack.services.ec2"]
        self.sns: Any = modules["ministack.services.sns"]
        self.sqs: Any = modules["ministack.services.sqs"]
        self.sts: Any = modules["ministack.services.sts"]
        self.glue: Any = modules["ministack.services.glue"]
        self.kms: Any = modules["ministack.services.kms"]
        self.secrets: Any = modules["ministack.services.secretsmanager"]
        self.cloudwatch: Any = modules["ministack.services.cloudwatch"]
        self.logs: Any = modules["ministack.services.cloudwatch_logs"]
        self.tagging: Any = modules["ministack.services.tagging"]
        self.cloudformation: Any = modules["ministack.services.cloudformation"]
        self.cloudformation_handlers: Any = modules["ministack.services.cloudformation.handlers"]
        self.cloudformation_engine: Any = modules["ministack.services.cloudformation.engine"]
        self.change_sets: Any = modules["ministack.services.cloudformation.changesets"]
        self.drift: Any = modules["ministack.services.cloudformation.drift"]
        self.provisioners: Any = modules["ministack.services.cloudformation.provisioners"]
        self.stacks: Any = modules["ministack.services.cloudformation.stacks"]
        self.acl_allows: Callable[..., bool] = self.s3._foreign_bucket_allows
        self.state: dict[str, Any] = {}
        self.service_checks: dict[str, Callable[[str, dict[str, Any]], list[Any]]] = {}
        self.glue_operations: dict[str, Operation] = {}
        self.glue_originals: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self.worker_thread_types: set[str] = set()
        self.snapshots = SnapshotWriter(functools.partial(save_state, self))
        self.operations = ThreadPoolExecutor(OPERATION_THREADS, "sandbox-operation")
        self.logs_lock = threading.Lock()


_emulator: Emulator | None = None

caller_key: contextvars.ContextVar[str] = contextvars.ContextVar("sandbox_caller_key", default="")
"""Access key of the request being served; "" without one."""

as_service: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "sandbox_as_service", default=False
)
"""Whether the service itself calls, so that nothing is authorized."""


def register(emulator: Emulator) -> None:
    """Makes this the emulator of the process.

    Raises:
        SandboxError: the process has one already. ministack reads its settings only once.
    """
    global _emulator
    if _emulator is not None:
        raise SandboxError("the emulator is booted already: one sandbox per process")
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
    """Sets the environment variables that ministack reads when it is imported."""
    config.ministack_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        # ministack would take an access key found here for the root key of an account.
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
        USE_SSL="1",  # queue URLs then start with https
        LOG_LEVEL="WARNING",
        # Services that the sandbox does not use; they would open ports or look for Docker.
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        DOCKER_HOST=f"unix://{config.ministack_dir}/no-container-engine",
    )
    for folder in ("state", "s3", "parts"):
        (config.ministack_dir / folder).mkdir(mode=0o700, exist_ok=True)
