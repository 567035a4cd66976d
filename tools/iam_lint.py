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

#: (policy, finding) -> why it is accepted.
ACCEPTED: dict[tuple[str, str], str] = {
    ("GlueRole/network-interfaces", "RESOURCE_STAR"): (
        "Glue makes the interfaces in subnets and groups that a job's connection names; AWS's own "
        "policy AWSGlueServiceRole grants the same"
    ),
}


def policies() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Name, document and kind of each policy of a role, queue or bucket."""
    for path in sorted(INFRA.glob("*.yaml")):
        template = load_template(path.read_text(encoding="utf-8"))
        values = {
            name: _VALUES.get(name, str(declared.get("Default", name.lower())))
            for name, declared in template["Parameters"].items()
        }
        account = _ACCOUNT_A if path.stem == "account_a" else _ACCOUNT_B
        evaluated = Evaluation(template, values, account)
        for logical_id, resource in evaluated.resources.items():
            properties = resource["properties"]
            for policy in properties.get("Policies", []):
                yield f"{logical_id}/{policy['PolicyName']}", policy["PolicyDocument"], "identity"
            for key in ("AssumeRolePolicyDocument", "PolicyDocument"):
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
