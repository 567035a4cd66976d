"""`xacct-sandbox fault`: plan faults, and see what they did."""

from __future__ import annotations

import argparse
import json
from typing import Any

from xacct_sandbox import faults
from xacct_sandbox.daemon import lifecycle
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.faults.kinds import KINDS

ALWAYS = 0
"""What --count says for a fault without an end."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The sub-command with its own sub-commands."""
    command = commands.add_parser("fault", help="let something go wrong on purpose")
    actions = command.add_subparsers(dest="action", required=True)

    add = actions.add_parser(
        "add",
        help="plan a fault",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Plan a fault. There are:\n" + _kinds(),
    )
    add.add_argument("kind", metavar="KIND", help="what happens; see above")
    add.add_argument("--service", default="*", help="of AWS, as boto3 names it; redshift")
    add.add_argument("--operation", default="*", help="of that service")
    add.add_argument("--count", type=int, default=1, help="how often (default 1; 0: always)")
    add.add_argument("--probability", type=float, default=1.0, help="of each matching call")
    add.add_argument("--after", type=int, default=0, help="matching calls that pass first")
    add.add_argument("--seconds", type=float, default=0.0, help="how long; see above")
    add.add_argument("--match", default="", help="what key, job, crawler, SQL or queue contains")
    add.add_argument("--body", default="", help="the new content, for object_replaced")
    add.add_argument("--seed", type=int, default=0, help="of the probability's random numbers")
    add.add_argument("--principal", default="", help="what the caller's ARN contains")
    add.set_defaults(run=_add)

    for name, run, words in (
        ("list", _list, "what is planned, and how often it struck"),
        ("log", _log, "everything that was injected"),
    ):
        action = actions.add_parser(name, help=words)
        action.add_argument("--json", action="store_true", help="as JSON")
        action.set_defaults(run=run)
    clear = actions.add_parser("clear", help="plan nothing any more; the log stays")
    clear.set_defaults(run=_clear)
    forget = actions.add_parser("forget", help="empty the log")
    forget.set_defaults(run=_forget)


def summary(counts: dict[str, int]) -> str:
    """How `status` says it."""
    return f"{counts['planned']} planned, {counts['injected']} injected so far"


def _kinds() -> str:
    lines = []
    for name, kind in KINDS.items():
        lines.append(f"  {name:<23}{kind.what}")
        places = [
            f"{service}: {', '.join(operations)}" for service, operations in kind.usual.items()
        ]
        more = [
            f"if named, {', '.join(operations)}" for operations in kind.more.values() if operations
        ]
        where = "; ".join([*places, *more]) or "any HTTP API"
        seconds = f"; --seconds: {kind.seconds}" if kind.seconds else ""
        lines.append(f"  {'':<23}({where}{seconds})")
    return "\n".join(lines)


def _running() -> SandboxConfig:
    config = SandboxConfig.load()
    lifecycle.health(config)
    return config


def planned(options: argparse.Namespace) -> faults.Fault:
    """What the options of ``fault add`` say."""
    return faults.Fault(
        kind=options.kind,
        service=options.service,
        operation=options.operation,
        count=None if options.count == ALWAYS else options.count,
        probability=options.probability,
        after=options.after,
        seconds=options.seconds,
        match=options.match,
        body=options.body,
        seed=options.seed,
        principal=options.principal,
    )


def _add(options: argparse.Namespace) -> int:
    fault = planned(options)
    [identifier] = faults.add(_running(), fault)
    print(f"{identifier} is planned: {_words(vars(fault))}")
    print(
        "\nNext:\n"
        "  xacct-sandbox fault list         what is planned, and how often it struck\n"
        "  xacct-sandbox fault log          everything that was injected\n"
        "  xacct-sandbox fault clear        plan nothing any more"
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    plan = faults.plan(_running())
    if options.json:
        print(json.dumps(plan, indent=2))
        return 0
    if not plan:
        print("no faults are planned")
    for fault in plan:
        print(
            f"{fault['id']:<5}{_words(fault)}; "
            f"{fault['matched']} calls matched, {fault['injected']} struck"
        )
    return 0


def _log(options: argparse.Namespace) -> int:
    log = faults.log(_running())
    if options.json:
        print(json.dumps(log, indent=2))
        return 0
    if not log:
        print("no fault was injected")
    for entry in log:
        print(
            f"{entry['at']}  {entry['id']:<5}{entry['kind']:<23}"
            f"{entry['service']} {entry['operation']}  {entry['resource']}"
        )
    return 0


def _clear(_options: argparse.Namespace) -> int:
    faults.clear(_running())
    print("no faults are planned any more; `xacct-sandbox fault log` still has what they did")
    return 0


def _forget(_options: argparse.Namespace) -> int:
    faults.forget(_running())
    print("the log of faults is empty")
    return 0


def _words(fault: dict[str, Any]) -> str:
    """A fault in a line: only what differs from the usual."""
    service, operation = fault["service"], fault["operation"]
    where = "" if (service, operation) == ("*", "*") else f" of {service} {operation}"
    count = fault["count"]
    words = [f"{fault['kind']}{where}", "always" if count is None else f"{count}x"]
    if fault["match"]:
        words.append(f"where {fault['match']!r} occurs")
    if fault["principal"]:
        words.append(f"for callers with {fault['principal']!r}")
    if fault["after"]:
        words.append(f"after {fault['after']} calls")
    if fault["probability"] < 1:
        words.append(f"with probability {fault['probability']} (seed {fault['seed']})")
    if fault["seconds"]:
        words.append(f"{fault['seconds']:g} s")
    return ", ".join(words)
