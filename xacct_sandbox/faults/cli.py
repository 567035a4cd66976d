"""`xacct-sandbox fault`: plans faults and shows what they did."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from xacct_sandbox import faults
from xacct_sandbox.daemon.control_client import running_sandbox
from xacct_sandbox.faults.kinds import KINDS

NO_LIMIT = 0
"""Value of --count for a fault without a limit."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the ``fault`` command with its own sub-commands."""
    command = commands.add_parser("fault", help="inject faults on purpose")
    actions = command.add_subparsers(dest="action", required=True)

    add = actions.add_parser(
        "add",
        help="plan a fault",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Plan a fault. The kinds are:\n" + _kinds(),
    )
    add.add_argument("kind", metavar="KIND", help="what happens; see above")
    add.add_argument("--service", default="*", help="AWS service as boto3 names it, or redshift")
    add.add_argument("--operation", default="*", help="operation of that service")
    add.add_argument("--count", type=int, default=1, help="how often (default 1; 0: no limit)")
    add.add_argument("--probability", type=float, default=1.0, help="for each matching call")
    add.add_argument("--after", type=int, default=0, help="matching calls to let pass first")
    add.add_argument("--seconds", type=float, default=0.0, help="duration; see the kind above")
    add.add_argument("--match", default="", help="text in the key, job, crawler, SQL or queue")
    add.add_argument("--body", default="", help="new content of the object, for object_replaced")
    add.add_argument("--seed", type=int, default=0, help="seed of the probability's random numbers")
    add.add_argument("--principal", default="", help="text in the caller's ARN")
    add.set_defaults(run=_add)

    listing = actions.add_parser("list", help="show the planned faults and their counts")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_list)
    log = actions.add_parser("log", help="show every injected fault")
    log.add_argument("--json", action="store_true", help="print JSON")
    log.set_defaults(run=_log)
    clear = actions.add_parser("clear", help="remove all planned faults; the log is kept")
    clear.set_defaults(run=_clear)
    forget = actions.add_parser("forget", help="empty the log")
    forget.set_defaults(run=_forget)


def summary(counts: dict[str, int]) -> str:
    """The line of `xacct-sandbox status` about faults."""
    return f"{counts['planned']} planned, {counts['injected']} injected so far"


def fault_of(options: argparse.Namespace) -> faults.Fault:
    """The fault that the options of ``fault add`` describe."""
    return faults.Fault(
        kind=options.kind,
        service=options.service,
        operation=options.operation,
        count=None if options.count == NO_LIMIT else options.count,
        probability=options.probability,
        after=options.after,
        seconds=options.seconds,
        match=options.match,
        body=options.body,
        seed=options.seed,
        principal=options.principal,
    )


# -- commands ----------------------------------------------------------------------------------


def _add(options: argparse.Namespace) -> int:
    fault = fault_of(options)
    [identifier] = faults.add(running_sandbox(), fault)
    print(f"{identifier} is planned: {_description(vars(fault))}")
    print(
        "\nNext:\n"
        "  xacct-sandbox fault list         show the planned faults and their counts\n"
        "  xacct-sandbox fault log          show every injected fault\n"
        "  xacct-sandbox fault clear        remove all planned faults"
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    def line(fault: dict[str, Any]) -> str:
        counts = f"{fault['matched']} calls matched, {fault['injected']} injected"
        return f"{fault['id']:<5}{_description(fault)}; {counts}"

    return _print_all(faults.plan(running_sandbox()), options.json, line, "no faults are planned")


def _log(options: argparse.Namespace) -> int:
    def line(entry: dict[str, Any]) -> str:
        return (
            f"{entry['at']}  {entry['id']:<5}{entry['kind']:<23}"
            f"{entry['service']} {entry['operation']}  {entry['resource']}"
        )

    return _print_all(faults.log(running_sandbox()), options.json, line, "no fault was injected")


def _clear(_options: argparse.Namespace) -> int:
    faults.clear(running_sandbox())
    print("all planned faults are removed; `xacct-sandbox fault log` still shows the injected ones")
    return 0


def _forget(_options: argparse.Namespace) -> int:
    faults.forget(running_sandbox())
    print("the log of injected faults is empty")
    return 0


# -- output ------------------------------------------------------------------------------------


def _print_all(
    documents: list[dict[str, Any]],
    as_json: bool,
    line: Callable[[dict[str, Any]], str],
    if_empty: str,
) -> int:
    if as_json:
        print(json.dumps(documents, indent=2))
        return 0
    print("\n".join(line(document) for document in documents) or if_empty)
    return 0


def _kinds() -> str:
    """The kinds of faults, with the operations that can get them, for the help text."""
    lines = []
    for name, kind in KINDS.items():
        lines.append(f"  {name:<23}{kind.what}")
        usual = [f"{service}: {', '.join(names)}" for service, names in kind.usual.items()]
        if_named = [f"if named, {', '.join(names)}" for names in kind.if_named.values() if names]
        operations = "; ".join([*usual, *if_named]) or "any HTTP API"
        seconds = f"; --seconds: {kind.seconds}" if kind.seconds else ""
        lines.append(f"  {'':<23}({operations}{seconds})")
    return "\n".join(lines)


def _description(fault: dict[str, Any]) -> str:
    """A fault in one line, without what is at its default."""
    service, operation = fault["service"], fault["operation"]
    target = "" if (service, operation) == ("*", "*") else f" in {service} {operation}"
    count = fault["count"]
    parts = [f"{fault['kind']}{target}", "without limit" if count is None else f"{count}x"]
    if fault["match"]:
        parts.append(f"for resources with {fault['match']!r}")
    if fault["principal"]:
        parts.append(f"for callers with {fault['principal']!r}")
    if fault["after"]:
        parts.append(f"after {fault['after']} calls")
    if fault["probability"] < 1:
        parts.append(f"with probability {fault['probability']} (seed {fault['seed']})")
    if fault["seconds"]:
        parts.append(f"{fault['seconds']:g} s")
    return ", ".join(parts)
