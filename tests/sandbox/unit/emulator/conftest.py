"""The emulator in this process: signed requests go to its ASGI application, without a port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.credentials import Credentials

from tests.support.signed_requests import Answer, sign
from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.service_errors import ServiceError

A, B = "111111111111", "222222222222"
HOST = "127.0.0.1:4566"


@dataclass
class InProcess:
    """The booted emulator, and a client that signs what it is given."""

    app: Any
    keys: dict[str, Credentials] = field(default_factory=dict)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def send(
        self,
        who: Credentials | None,
        service: str,
        method: str = "POST",
        path: str = "/",
        *,
        query: dict[str, str] | list[tuple[str, str]] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | str = b"",
        presigned: bool = False,
    ) -> Answer:
        """Sign a request, send it, return the answer."""
        signed = sign(
            who,
            service,
            method,
            path,
            host=HOST,
            query=query,
            headers=headers,
            body=body,
            presigned=presigned,
        )
        raw_path, _, raw_query = signed.target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": raw_path.encode(),
            "query_string": raw_query.encode(),
            "scheme": "https",
            "client": ("127.0.0.1", 50000),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in signed.headers],
        }
        return self.loop.run_until_complete(self._run(scope, signed.body))

    def finish(self) -> None:
        """Wait for what requests started in the background, such as a stack."""
        while tasks := asyncio.all_tasks(self.loop):
            self.loop.run_until_complete(asyncio.wait(tasks))

    async def _run(self, scope: dict[str, Any], body: bytes) -> Answer:
        status, parts = 0, []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        return Answer(status, b"".join(parts))

    # -- shorthands ----------------------------------------------------------------------------

    def query_call(self, who: Credentials | None, service: str, **parameters: str) -> Answer:
        return self.send(
            who,
            service,
            headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
            body=urlencode(parameters),
        )

    def json_call(self, who: Credentials, target: str, **parameters: Any) -> Answer:
        services = {
            "AWSGlue": "glue",
            "AmazonSQS": "sqs",
            "Logs_20140328": "logs",
            "TrentService": "kms",
        }
        prefix = target.partition(".")[0]
        return self.send(
            who,
            services.get(prefix, prefix),
            headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target},
            body=json.dumps(parameters),
        )

    def role(
        self, name: str, *statements: dict[str, Any], account: str = B, trust: Any = None
    ) -> str:
        """Create a role, or give it other policies. Returns its ARN."""
        document = policy(
            trust
            or {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{B}:root"},
                "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
            }
        )
        with contextlib.suppress(ServiceError):  # a role of an earlier test with this name
            emulator.iam(account, "DeleteRolePolicy", RoleName=name, PolicyName="p")
        with contextlib.suppress(ServiceError):
            emulator.iam(account, "DeleteRole", RoleName=name)
        emulator.iam(account, "CreateRole", RoleName=name, AssumeRolePolicyDocument=document)
        if statements:
            emulator.iam(
                account,
                "PutRolePolicy",
                RoleName=name,
                PolicyName="p",
                PolicyDocument=policy(*statements),
            )
        return f"arn:aws:iam::{account}:role/{name}"

    def become(self, role_arn: str, by: Credentials | None = None, **extra: str) -> Credentials:
        """A session of a role, assumed by account B's admin unless ``by`` is given."""
        answer = self.query_call(
            by or self.keys[B],
            "sts",
            Action="AssumeRole",
            Version="2011-06-15",
            RoleArn=role_arn,
            RoleSessionName="case",
            **extra,
        )
        assert answer.status == 200, answer.body
        return credentials_in(answer)


def credentials_in(answer: Answer) -> Credentials:
    text = answer.body.decode()
    found = [
        re.search(f"<{name}>([^<]+)", text)
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    ]
    return Credentials(*(match[1] if match else None for match in found))


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The emulator with an admin in each account. It can be booted once per process."""
    home: Path = tmp_path_factory.mktemp("sandbox")
    config = SandboxConfig(home=home, aws_port=4566, redshift_port=5439)
    in_process = InProcess(emulator.boot(config))
    for account in (A, B):
        emulator.iam(account, "CreateUser", UserName="admin")
        emulator.iam(
            account,
            "AttachUserPolicy",
            UserName="admin",
            PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        )
        text = emulator.iam(account, "CreateAccessKey", UserName="admin")
        in_process.keys[account] = credentials_in(Answer(200, text.encode()))
    yield in_process
    emulator.shut_down()
    in_process.loop.close()
