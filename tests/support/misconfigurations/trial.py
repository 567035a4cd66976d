"""Makes a misconfiguration, asks doctor, follows the printed repair, and asks again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore import xform_name

from tests.support.environment import environment
from tests.support.misconfigurations import policies, resources
from tests.support.misconfigurations.case import Case, Hands
from xacct_assets.feed.loader import load_feeds
from xacct_assets.operations import cli
from xacct_assets.operations.commands.doctor import checks_of
from xacct_assets.operations.deployment.ownership import PROBE
from xacct_assets.operations.doctor.findings import Finding
from xacct_assets.operations.doctor.runner import Runner
from xacct_assets.settings import Settings

LONGEST = 20.0
# A fix begins with what doctor advises first; an alternative follows these words.
_ALTERNATIVE = re.compile(r"; or[ :]|; by hand|; if | or set |; who may |; the next ")


@dataclass(frozen=True)
class Trial:
    """What doctor said of one misconfiguration.

    Attributes:
        failed: the failures while it was there.
        seconds: of that run of doctor.
        repair: the commands of the printed fix; empty if it is a sentence.
        after: the failures once the repair was followed.
    """

    case: Case
    failed: list[Finding]
    seconds: float
    repair: list[str]
    after: list[Finding]

    @property
    def mended_by_hand(self) -> bool:
        """Whether the test did what the fix says in words."""
        return self.case.mend is not None and not _can_follow(self.case, self.repair)

    def problems(self) -> list[str]:
        """What is not as it should be."""
        found = []
        names = [finding.check for finding in self.failed]
        if names != [self.case.check]:
            found.append(f"failed: {names}, not {self.case.check}")
        texts = [f"{one.detail} | {one.fix}" for one in self.failed]
        found += [
            f"{name!r} is not in {texts}"
            for name in self.case.names
            if not any(name in text for text in texts)
        ]
        if any("assumed-role" in (one.fix or "") for one in self.failed):
            found.append(f"the fix names a session: {texts}")
        if self.seconds > LONGEST:
            found.append(f"{self.seconds:.1f} s")
        found += [f"after {self.repair}: {one.check}: {one.detail}" for one in self.after]
        return found


def examine(hands: Hands) -> tuple[list[Finding], float]:
    """The findings of doctor, in this process, and its seconds."""
    started = time.monotonic()
    with _variables(hands):
        settings = Settings.load()
        feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
        findings = Runner(checks_of(settings, feeds), lambda _: None).run()
    return findings, time.monotonic() - started


def failures(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.outcome == "FAIL"]


def try_out(hands: Hands, case: Case) -> Trial:
    """Make the misconfiguration, and follow what doctor advises."""
    case.make(hands)
    try:
        findings, seconds = examine(hands)
        failed = failures(findings)
        repair = [command for finding in failed[:1] for command in commands_of(finding.fix or "")]
        if _can_follow(case, repair):
            for command in repair:
                follow(hands, command)
        elif case.mend is not None:
            case.mend(hands)
        after, _ = examine(hands)
        return Trial(case, failed, seconds, repair, failures(after))
    finally:
        hands.changed.clear()


def _can_follow(case: Case, repair: list[str]) -> bool:
    # A restart of the sandbox also takes away what the test put in its place.
    return bool(repair) and not (case.mend and any("xacct-sandbox" in text for text in repair))


def commands_of(fix: str) -> list[str]:
    """The commands, settings and statements that a fix advises first."""
    return re.findall(r"`([^`]+)`", _ALTERNATIVE.split(fix)[0])


def follow(hands: Hands, command: str) -> None:
    """Do what a fix says: a command of `xacct` or `aws`, a line of ``.env``, or SQL."""
    program, _, rest = command.partition(" ")
    if program == "xacct":
        xacct(hands, *shlex.split(rest))
    elif program == "aws":
        aws(hands, shlex.split(rest))
    elif match := re.fullmatch(r"([A-Z_]+)=(\S+)", command):
        hands.changed[match[1]] = match[2]
    elif program in ("ALTER", "UPDATE", "DROP", "GRANT"):
        hands.sql(*command.split("; "))
    elif program == "mkdir":
        # Not in the file system of this machine: the folder that the sandbox made serves.
        hands.changed.pop("DAGSTER_HOME")
    else:
        raise AssertionError(f"how is this followed: {command}?")


def xacct(hands: Hands, *arguments: str) -> None:
    """Run a command of `xacct` in this process; a deployment is agreed to."""
    agreed = ("--yes",) if arguments[0] == "deploy" else ()
    output = io.StringIO()
    with _variables(hands), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = cli.main(["--no-env-file", *arguments, *agreed])
    hands.sandbox.outputs.append((" ".join(arguments), output.getvalue()))
    assert code == 0, output.getvalue()


def aws(hands: Hands, words: list[str]) -> None:
    """Do what a command of the AWS CLI does, as account B's administrator."""
    service, operation, *rest = words
    client = hands.b(service)
    model = client.meta.service_model
    method = operation.replace("-", "_")
    shape = model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    members = {xform_name(name, "-"): name for name in shape.members}
    request: dict[str, Any] = {}
    for flag, value in zip(rest[::2], rest[1::2], strict=True):
        parsed = json.loads(value) if value[:1] in "{[" else value
        request[members[flag.removeprefix("--")]] = parsed
    getattr(client, method)(**request)


@contextlib.contextmanager
def _variables(hands: Hands) -> Iterator[None]:
    """Exactly the environment of the hands, in this process."""
    wanted = hands.variables
    others = {name: "" for name in os.environ if name.startswith(("AWS_", "XACCT_", "DAGSTER_"))}
    with environment({**others, **wanted}):
        yield


def heal(hands: Hands, case: Case) -> None:
    """Undo a misconfiguration whose repair failed, so that the next one is alone."""
    hands.changed.clear()
    if case.mend is not None:
        case.mend(hands)
    if failures(examine(hands)[0]):
        xacct(hands, "deploy")


def left_behind(hands: Hands) -> list[str]:
    """Everything that a probe wrote and did not delete."""
    found = []
    for s3, bucket in (
        (hands.a("s3"), policies.EXPORT),
        (hands.a("s3"), policies.RAW),
        (hands.b("s3"), resources.WORKING),
    ):
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        found += [f"{bucket}/{item['Key']}" for item in listed if PROBE in item["Key"]]
    return found
