"""Disagreements with the simulator that were judged in the sandbox's favour, with their sources.

Each is shown by a change that takes its ground away: a disagreement is of that kind if both judges
agree about the changed scenario.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests.iam.scenarios import Scenario


def judged(scenario: Scenario, disagree: Callable[[Scenario], bool]) -> str:
    """The reason of a known difference that a scenario shows; "" for an unknown one."""
    for reason, change in DIFFERENCES.items():
        changed = change(copy.deepcopy(scenario))
        if changed != scenario and not disagree(changed):
            return reason
    return ""


def _documents(scenario: Scenario) -> Iterator[dict[str, Any]]:
    for name in ("identityPolicies", "permissionBoundaryPolicies"):
        for entry in scenario.get(name, ()):
            yield entry["policy"]
    for name in ("resourcePolicy", "sessionPolicy"):
        if name in scenario:
            yield scenario[name]


def _with_new_version(scenario: Scenario) -> Scenario:
    for document in _documents(scenario):
        if "${" in str(document):
            document["Version"] = "2012-10-17"
    return scenario


def _without_root_in_not_principal(scenario: Scenario) -> Scenario:
    for document in _documents(scenario):
        for statement in document["Statement"]:
            names = statement.get("NotPrincipal", {}).get("AWS")
            if isinstance(names, list):
                statement["NotPrincipal"]["AWS"] = [n for n in names if not n.endswith(":root")]
    return scenario


def _without_session_policy(scenario: Scenario) -> Scenario:
    names = [
        name
        for statement in scenario.get("resourcePolicy", {}).get("Statement", ())
        if statement["Effect"] == "Allow" and statement.get("Principal") != "*"
        for name in _listed(statement.get("Principal", {}).get("AWS", []))
    ]
    everyone = any(
        statement["Effect"] == "Allow" and statement.get("Principal") == "*"
        for statement in scenario.get("resourcePolicy", {}).get("Statement", ())
    )
    if everyone or "*" in names or scenario["request"]["principal"] in names:
        scenario.pop("sessionPolicy", None)
    return scenario


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


DIFFERENCES: dict[str, Callable[[Scenario], Scenario]] = {
    "variables are text in Version 2008-10-17 (IAM user guide, IAM JSON policy elements: Version: "
    '"variables such as ${aws:username} aren\'t recognized as variables")': _with_new_version,
    "NotPrincipal with an account and one of its principals denies the account's others (IAM user "
    "guide, AWS JSON policy elements: NotPrincipal, its example)": _without_root_in_not_principal,
    "a session policy does not limit what a resource policy gives to the session or to everyone "
    '(IAM user guide, Policies and permissions, Session policies: "The resource-based policy '
    'permissions are not limited by the session policy")': _without_session_policy,
}
