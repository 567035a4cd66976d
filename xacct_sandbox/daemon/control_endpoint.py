"""The control endpoint: the daemon's own API, under ``/_sandbox/``.

Every request needs the token in ``home/token``. ``control_client`` is its client.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

from xacct_sandbox import emulator
from xacct_sandbox.daemon.asgi import (
    Receive,
    Scope,
    Send,
    decoded_headers,
    read_body,
    send_response,
)
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.control_client import (
    CALLS_PATH,
    FAULTS_PATH,
    HEALTH_PATH,
    NETWORK_PATH,
    PUBLICATIONS_PATH,
    SERVICE_ROLE_PATH,
    TOKEN_HEADER,
)
from xacct_sandbox.daemon.request_log import RequestLog
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.faults.planned import FaultPlan
from xacct_sandbox.network import access
from xacct_sandbox.service_errors import ServiceError

JSON_HEADERS = {"content-type": "application/json"}


class ControlEndpoint:
    """Serves the control requests.

    Attributes:
        parts: the running services beside the emulator, by name.
        ready: whether the sandbox has started completely.
    """

    def __init__(
        self, config: SandboxConfig, token: str, request_log: RequestLog, faults: FaultPlan
    ) -> None:
        self._config = config
        self._token = token.encode()
        self._request_log = request_log
        self._faults = faults
        self.parts: dict[str, ModuleType] = {}
        self.ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        token = decoded_headers(scope).get(TOKEN_HEADER, "")
        try:
            if not hmac.compare_digest(token.encode("latin-1"), self._token):
                raise ServiceError("AccessDenied", f"{path} needs the token of the sandbox", 403)
            answer = await self._serve(scope["method"], path, scope["query_string"], receive)
        except ServiceError as error:
            document = {"__type": error.code, "message": error.message}
            await send_response(send, error.status, JSON_HEADERS, json.dumps(document).encode())
            return
        await send_response(send, 200, JSON_HEADERS, json.dumps(answer).encode())

    async def _serve(
        self, method: str, path: str, query_string: bytes, receive: Receive
    ) -> dict[str, Any]:
        if (method, path) == ("GET", HEALTH_PATH):
            return await asyncio.to_thread(self.health)
        if (method, path) == ("POST", SERVICE_ROLE_PATH):
            return assume_service_role(json.loads(await read_body(receive)))
        if (method, path) == ("GET", CALLS_PATH):
            return await asyncio.to_thread(self.calls, parse_qs(query_string.decode("latin-1")))
        if (method, path) == ("GET", PUBLICATIONS_PATH):
            topic = parse_qs(query_string.decode("latin-1")).get("topic", [""])[0]
            return {"publications": await asyncio.to_thread(emulator.publications, topic)}
        if (method, path) == ("POST", FAULTS_PATH):
            request = json.loads(await read_body(receive))
            return await asyncio.to_thread(planned_faults.serve, request)
        if (method, path) == ("POST", NETWORK_PATH):
            request = json.loads(await read_body(receive))
            return await asyncio.to_thread(access.serve, self._config, request)
        raise ServiceError("NotFound", f"the sandbox has no {method} {path}", 404)

    def health(self) -> dict[str, Any]:
        """Whether the sandbox is ready, each part by name, and why a part is not.

        ``failed`` is the reason of a part that waiting does not mend. ``problem`` is that reason,
        or what state cannot be saved at the moment.
        """
        saving = emulator.saving_problem()
        parts = {"aws": self.ready and saving is None}
        failed = None
        for name, part in self.parts.items():
            parts[name] = self.ready and bool(part.healthy())
            failed = failed or part.problem()
        return {
            "ready": all(parts.values()),
            "parts": parts,
            "problem": failed or saving,
            "failed": failed,
            "faults": self._faults.summary(),
            "pid": os.getpid(),
        }

    def calls(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """The request log since ``since`` (seconds since the epoch), after number ``after``."""
        try:
            since = float(query.get("since", ["0"])[0])
            after = int(query.get("after", ["0"])[0])
        except ValueError as problem:
            raise ServiceError(
                "InvalidInput", f"since and after must be numbers: {problem}"
            ) from None
        return {"calls": [call.document() for call in self._request_log.since(since, after)]}


def assume_service_role(request: dict[str, Any]) -> dict[str, str]:
    """Credentials of a role that trusts an AWS service, for a process that acts as the service."""
    return emulator.assume_service_role(
        request["service"],
        request["role_arn"],
        source_arn=request["source_arn"],
        session_name=request["session_name"],
        source_account=request.get("source_account"),
        external_id=request.get("external_id"),
    ).document()
