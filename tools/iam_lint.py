"""Lints every policy of the CloudFormation templates with parliament.

`make lint` runs it: ``python -m tools.iam_lint``. The exit code is 1 if there is a finding that is
not in `ACCEPTED`, or an accepted one that is found no more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parliament import analyze_policy_string, enhance_finding

from tests.support.fakes.templates import Evaluation, load_template

INFRA = Path(__file__).resolve().parents[1] / "infra"
_ACCOUNT_A, _ACCOUNT_B = "111111111111", "222222222222"
_VALUES = {
    "AccountAId": "111111111111",
    "AccountBId": "222222222222",
    "GlueSecurityGroupId": "sg-0123456789abcdef0",
    "GlueSubnetId": "subnet-0123456789abcdef0",
    "OrchestratorTrustedArns": "arn:aws:iam::222222222222:role/engineer",
    "RoleAArn": "arn:aws:iam::111111111111:role/RoleA",
    "RoleBArn": "arn:aws:iam::222222222222:role/RoleB",
    "GlueRoleArn": "arn:aws:iam::222222222222:role/glue",
    "OrchestratorRoleArn": "arn:aws:iam::222222222222:role/orchestrator",
}
# Keys adopted by their ARN, and keys made by the templates.
_KEYS = (
    "arn:aws:kms:us-east-1:222222222222:key/01234567-89ab-cdef-0123-456789abcdef",
    "create",
)
_KEY_PARAMETERS = ("ExportKey", "InputKey", "LogKey", "ProcessingKey", "SecretKey")

#: (policy, finding) -> why it is accepted.
ACCEPTED: dict[tuple[str, str], str] = {
    ("GlueRole/network-interfaces", "RESOURCE_STAR"): (
        "Glue makes the interfaces in subnets and groups that a job's connection names; AWS's own "
        "policy AWSGlueServiceRole grants the same"
    ),
    ("LogGroupsKey/KeyPolicy", "MISMATCHED_TYPE"): (
        "the user guide of CloudWatch Logs compares this key with ArnLike"
    ),
}


def policies() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Name, document and kind of each policy of a role, queue or bucket."""
    for path in sorted(INFRA.glob("*.yaml")):
        template = load_template(path.read_text(encoding="utf-8"))
        for key in _KEYS:
            values = {
                name: key
                if name in _KEY_PARAMETERS
                else _VALUES.get(name, _default(name, declared))
                for name, declared in template["Parameters"].items()
            }
            account = _ACCOUNT_A if path.stem == "account_a" else _ACCOUNT_B
            evaluated = Evaluation(template, values, account)
            yield from _of(evaluated)


def _default(name: str, declared: dict[str, Any]) -> str:
    return str(declared.get("Default", name.lower()))


def _of(evaluated: Evaluation) -> Iterator[tuple[str, dict[str, Any], str]]:
    for logical_id, resource in evaluated.resources.items():
        properties = resource["properties"]
        for policy in properties.get("Policies", []):
            yield f"{logical_id}/{policy['PolicyName']}", policy["PolicyDocument"], "identity"
        for key in ("AssumeRolePolicyDocument", "KeyPolicy", "PolicyDocument"):
            if key in properties:
                yield f"{logical_id}/{key}", properties[key], "resource"


def main() -> int:
    """Print the findings; the exit code."""
    found: dict[tuple[str, str], str] = {}
    count = 0
    for name, document, kind in policies():
        count += 1
        analyzed = analyze_policy_string(json.dumps(document))
        for finding in map(enhance_finding, analyzed.findings):
            if kind == "resource" and finding.issue in _IDENTITY_ONLY:
                continue
            if name.endswith("/KeyPolicy") and finding.issue == "RESOURCE_STAR":
                continue  # "*" in the policy of a key is that key ("Key policies in AWS KMS")
            found[name, finding.issue] = f"{finding.severity} {finding.title}: {finding.detail}"
    new = {key: text for key, text in found.items() if key not in ACCEPTED}
    gone = set(ACCEPTED) - set(found)
    for (name, issue), text in new.items():
        sys.stdout.write(f"{name}: {issue}: {text}\n")
    for name, issue in sorted(gone):
        sys.stdout.write(f"{name}: {issue} is accepted and is found no more: remove it\n")
    sys.stdout.write(f"{count} policies, {len(new)} findings, {len(ACCEPTED)} accepted\n")
    return 1 if new or gone else 0


# parliament knows identity policies: principals and implied resources are no mistake here.
_IDENTITY_ONLY = ("MALFORMED", "RESOURCE_MISMATCH")

if __name__ == "__main__":
    sys.exit(main())
