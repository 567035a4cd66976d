"""What `xacct-sandbox status` shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.daemon import profiles
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.control_client import health
from xacct_sandbox.daemon.instance_lock import daemon_pid


@dataclass(frozen=True)
class Status:
    """The state of a sandbox.

    Attributes:
        running: whether the daemon runs.
        home: the folder of the sandbox.
        pid: of the daemon.
        endpoint_url: of the AWS APIs.
        aws_port: of the AWS APIs.
        redshift_port: of Redshift.
        ready: whether everything responds.
        parts: whether each part responds.
        problem: why it is not ready, if that is known.
        stacks: ``account``, ``name`` and ``status`` of each CloudFormation stack.
        bytes_on_disk: by folder in the home.
        faults: how many faults are ``planned`` and ``injected``; empty if the daemon is down.
    """

    running: bool
    home: str
    pid: int | None
    endpoint_url: str
    aws_port: int
    redshift_port: int
    ready: bool
    parts: dict[str, bool]
    problem: str | None
    stacks: list[dict[str, str]]
    bytes_on_disk: dict[str, int]
    faults: dict[str, int]


def status(config: SandboxConfig) -> Status:
    """The current state of the sandbox, whether it runs or not."""
    pid = daemon_pid(config)
    unknown: dict[str, Any] = {"ready": False, "parts": {}, "problem": None, "faults": {}}
    answer = unknown
    stacks: list[dict[str, str]] = []
    if pid is not None:
        try:
            answer = health(config)
            stacks = _stacks(config)
        except (SandboxError, ClientError, BotoCoreError) as problem:
            answer = {**unknown, "problem": str(problem)}
    return Status(
        running=pid is not None,
        home=str(config.home),
        pid=pid,
        endpoint_url=config.endpoint_url,
        aws_port=config.aws_port,
        redshift_port=config.redshift_port,
        ready=answer["ready"],
        parts=answer["parts"],
        problem=answer["problem"],
        stacks=stacks,
        bytes_on_disk={
            name: _size(config.home / name)
            for name in ("ministack", "postgres", "spark", "log")
            if (config.home / name).exists()
        },
        faults=answer["faults"],
    )


def _stacks(config: SandboxConfig) -> list[dict[str, str]]:
    stacks = []
    for account, profile in (("A", "account-a-admin"), ("B", "account-b-admin")):
        cloudformation = profiles.client(config, profile, "cloudformation")
        for page in cloudformation.get_paginator("describe_stacks").paginate():
            stacks += [
                {"account": account, "name": stack["StackName"], "status": stack["StackStatus"]}
                for stack in page["Stacks"]
            ]
    return sorted(stacks, key=lambda stack: (stack["account"], stack["name"]))


def _size(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue  # removed meanwhile
    return total
