"""Faults of the HTTP APIs: which requests get one, and what happens to request and response."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xacct_sandbox.clients import INTERNAL_AGENT
from xacct_sandbox.faults import Fault
from xacct_sandbox.faults.http import FaultyServices
from xacct_sandbox.faults.kinds import HTTP_SERVICES
from xacct_sandbox.faults.planned import FaultPlan
from xacct_sandbox.faults.refusals import REFUSALS, refusal

START = Fault("throttle", service="glue", operation="StartJobRun")


class Wire:
    """A client's request, and the response as it arrived."""

    def __init__(self, body: bytes, *, agent: str = "Boto3/1", target: str = "AWSGlue.StartJobRun"):
        self.parts = [body[:5], body[5:]]
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(b"x-amz-target", target.encode()), (b"user-agent", agent.encode())],
        }
        self.status = 0
        self.answer = b""

    async def receive(self) -> dict[str, Any]:
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.answer += message.get("body", b"")


class Service:
    """Keeps the bodies that arrived, responds "done"."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.arrived.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
def plan(tmp_path: Path) -> FaultPlan:
    return FaultPlan(tmp_path / "faults.jsonl")


def _serve(plan: FaultPlan, wire: Wire) -> Service:
    service = Service()
    faulty = FaultyServices(
        service, plan, lambda *_: "arn:nobody", lambda *_: None, lambda *_: False
    )
    asyncio.run(faulty(wire.scope, wire.receive, wire.send, wire.send))
    return service


BODY = b'{"JobName": "products", "Arguments": {"--load_id": "w1"}, "Secret": "hush"}'


@pytest.mark.parametrize("planned", [True, False])
def test_a_request_without_a_fault_arrives_unchanged(plan: FaultPlan, planned: bool) -> None:
    if planned:
        plan.add([replace(START, match="orders")])
    wire = Wire(BODY)
    assert _serve(plan, wire).arrived == [BODY]
    assert (wire.status, wire.answer) == (200, b"done")


def test_a_refused_request_never_arrives(plan: FaultPlan) -> None:
    plan.add([replace(START, match="w1")])
    wire = Wire(BODY)
    assert _serve(plan, wire).arrived == []
    assert (wire.status, b"ThrottlingException" in wire.answer) == (400, True)
    assert plan.log()[0]["resource"] == "products w1"


def test_requests_of_the_sandboxs_own_services_get_no_fault(plan: FaultPlan) -> None:
    plan.add([START])
    assert _serve(plan, Wire(BODY, agent=f"Boto3/1 {INTERNAL_AGENT}")).arrived == [BODY]
    assert plan.document()[0]["matched"] == 0


@pytest.mark.parametrize("service", HTTP_SERVICES)
@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_every_service_has_a_response_for_every_refusal(kind: str, service: str) -> None:
    status, headers, body = refusal(kind, service, "GET", "a<b")
    assert 400 <= status < 600
    assert headers["content-type"]
    assert b"a<b" not in body
    assert body


def test_the_response_to_head_has_no_body() -> None:
    assert refusal("throttle", "s3", "HEAD", "bucket/key")[2] == b""
