"""Both judges, and what they disagree about."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.iam.scenarios import ASSUME, ROLE, SERVICE, SESSION, Scenario
from xacct_sandbox.emulator.authorization.documents import Kind, parse
from xacct_sandbox.emulator.authorization.evaluation import Caller, Request, Resource, decide

BATCH = 200
"""So many answers fit into the pipe."""

RUNNER = Path(__file__).with_name("simulator.mjs")


class Simulator:
    """The simulator, in a process of its own.

    Args:
        folder: where npm has installed it.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(RUNNER)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def allows(self, batch: list[Scenario]) -> list[bool]:
        """Its verdicts on at most ``BATCH`` scenarios.

        Raises:
            ValueError: it refuses one of them.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.writelines(json.dumps(scenario) + "\n" for scenario in batch)
        self._process.stdin.flush()
        verdicts = []
        for scenario in batch:
            answer = json.loads(self._process.stdout.readline())
            if answer.get("errors"):
                raise ValueError(f"the simulator refuses {scenario}: {answer['errors']}")
            verdicts.append(bool(answer["verdict"] == "Allowed"))
        return verdicts

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def sandbox_allows(scenario: Scenario) -> bool:
    """The verdict of the sandbox's evaluator."""

    def policy(document: Any, kind: Kind) -> Any:
        return parse(json.dumps(document), kind) if document else ()

    request = scenario["request"]
    identity: Any = ()
    for entry in scenario["identityPolicies"]:
        identity += policy(entry["policy"], "identity")
    limits = []
    if "permissionBoundaryPolicies" in scenario:
        limits.append(policy(scenario["permissionBoundaryPolicies"][0]["policy"], "identity"))
    if "sessionPolicy" in scenario:
        limits.append(policy(scenario["sessionPolicy"], "identity"))
    arn = request["principal"]
    is_trust = request["action"] == ASSUME
    caller = (
        Caller(service=SERVICE)
        if arn == SERVICE
        else Caller(
            arn=arn,
            account=arn.split(":")[4],
            role_arn=ROLE if arn == SESSION else "",
            unique_id="AROAREADER" if arn == SESSION else "AIDAANN",
            identity=identity,
            limits=tuple(limits),
            has_boundary="permissionBoundaryPolicies" in scenario,
        )
    )
    resource = Resource(
        request["resource"]["resource"],
        request["resource"]["accountId"],
        policy(scenario.get("resourcePolicy"), "trust" if is_trust else "resource"),
    )
    context = {name.lower(): value for name, value in request["contextVariables"].items()}
    decided = Request(caller, request["action"], resource, context.get)
    return decide(decided, resource_must_allow=is_trust).allowed


def shrunk(scenario: Scenario, disagree: Callable[[Scenario], bool]) -> Scenario:
    """The smallest scenario found by leaving parts out that still shows the disagreement."""
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(scenario):
            if disagree(smaller):
                scenario, changed = smaller, True
                break
    return scenario


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    for name in ("sessionPolicy", "permissionBoundaryPolicies", "resourcePolicy"):
        if name in scenario:
            yield {key: value for key, value in scenario.items() if key != name}
    for position in range(len(scenario["identityPolicies"])):
        smaller = copy.deepcopy(scenario)
        del smaller["identityPolicies"][position]
        yield smaller
    for path in _policies(scenario):
        statements = _at(scenario, path)["Statement"]
        for position, statement in enumerate(statements):
            if len(statements) > 1:
                smaller = copy.deepcopy(scenario)
                del _at(smaller, path)["Statement"][position]
                yield smaller
            if "Condition" in statement:
                smaller = copy.deepcopy(scenario)
                del _at(smaller, path)["Statement"][position]["Condition"]
                yield smaller
            for operator in statement.get("Condition", ()):
                if len(statement["Condition"]) > 1:
                    smaller = copy.deepcopy(scenario)
                    del _at(smaller, path)["Statement"][position]["Condition"][operator]
                    yield smaller
            for element in ("Action", "Resource"):
                if statement.get(element, "*") != "*":
                    smaller = copy.deepcopy(scenario)
                    _at(smaller, path)["Statement"][position][element] = "*"
                    yield smaller
    for name in scenario["request"]["contextVariables"]:
        smaller = copy.deepcopy(scenario)
        del smaller["request"]["contextVariables"][name]
        yield smaller


def _policies(scenario: Scenario) -> Iterator[tuple[Any, ...]]:
    for name in ("identityPolicies", "permissionBoundaryPolicies"):
        for position in range(len(scenario.get(name, ()))):
            yield (name, position, "policy")
    for name in ("resourcePolicy", "sessionPolicy"):
        if name in scenario:
            yield (name,)


def _at(scenario: Scenario, path: tuple[Any, ...]) -> Any:
    found: Any = scenario
    for step in path:
        found = found[step]
    return found
