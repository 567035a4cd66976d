"""Disagreements with the simulator that were judged in the sandbox's favour, with their sources.

Each is shown by a change that takes its ground away: a disagreement is of that kind if both judges
agree about the changed scenario.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.iam.scenarios import Scenario


def judged(scenario: Scenario, disagree: Callable[[Scenario], bool]) -> str:
    """The reason of a known difference that a scenario shows; "" for an unknown one."""
    without_all = copy.deepcopy(scenario)
    for reason, change in DIFFERENCES.items():
        changed = change(copy.deepcopy(scenario))
        if changed != scenario and not disagree(changed):
            return reason
        without_all = change(without_all)
    return "" if without_all == scenario or disagree(without_all) else SEVERAL


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
    if scenario["request"]["principal"] in _allowed_names(scenario):
        scenario.pop("sessionPolicy", None)
    return scenario


def _without_session_policy_for_everyone(scenario: Scenario) -> Scenario:
    if "*" in _allowed_names(scenario):
        scenario.pop("sessionPolicy", None)
    return scenario


def _allowed_names(scenario: Scenario) -> list[str]:
    """Whom the resource's policy allows something."""
    found = []
    for statement in scenario.get("resourcePolicy", {}).get("Statement", ()):
        principal = statement.get("Principal", {})
        if statement["Effect"] == "Allow":
            found += ["*"] if principal == "*" else _listed(principal.get("AWS", []))
    return found


def _with_text_for_missing_values(scenario: Scenario) -> Scenario:
    context = {name.lower() for name in scenario["request"]["contextVariables"]}
    for document in _documents(scenario):
        for statement in document["Statement"]:
            for operator, tests in statement.get("Condition", {}).items():
                for key, values in tests.items():
                    if "Not" in operator:
                        tests[key] = [_text_if_missing(value, context) for value in values]
    return scenario


def _text_if_missing(value: str, context: set[str]) -> str:
    variable = re.fullmatch(r"\$\{([^,}]+)\}", value)
    return "no value" if variable and variable[1].lower() not in context else value


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


SEVERAL = "several of these at once"
DIFFERENCES: dict[str, Callable[[Scenario], Scenario]] = {
    "variables are text in Version 2008-10-17 (IAM user guide, IAM JSON policy elements: Version: "
    "\"variables such as ${aws:username} aren't recognized as variables and are instead treated as "
    'literal strings in the policy")': _with_new_version,
    "NotPrincipal with an account and one of its principals denies the account's others (IAM user "
    "guide, AWS JSON policy elements: NotPrincipal, of a policy that lists Bob and his account: "
    '"all principals except the user named Bob in AWS account 444455556666 are explicitly '
    'denied")': (_without_root_in_not_principal),
    "a session policy does not limit what a resource policy gives to the session (IAM user guide, "
    'Policies and permissions, Session policies: "A resource-based policy can specify the ARN of '
    "the session as a principal … The resource-based policy permissions are not limited by the "
    'session policy")': _without_session_policy,
    "nor what it gives to everyone (IAM user guide, AWS JSON policy elements: Principal: "
    '"permissions boundaries or session policies, do not limit permissions granted using the '
    "aws:PrincipalArn condition key with a wildcard(*) in the Principal element, unless the "
    'identity-based policies contain an explicit deny"; "For IAM users and role principals within '
    'your account, no other permissions are required")': _without_session_policy_for_everyone,
    "an inverted operator matches a variable without a value (IAM user guide, IAM policy elements: "
    'Variables and tags: "Inverted condition operators like StringNotEquals or StringNotLike do '
    "match against a null value, as the value of the condition key they are testing against is not "
    'equal to or like the effectively null value")': _with_text_for_missing_values,
}
