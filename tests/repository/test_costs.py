"""The cost at rest in docs/deploy.md is that of the templates."""

from __future__ import annotations

import re

from tests.support.project import ROOT

HOURS = 730
TEXT = (ROOT / "docs" / "deploy.md").read_text()
TABLE = TEXT.partition("### Cost a month at rest")[2].partition("\nTo pay less")[0]
NETWORK = (ROOT / "infra" / "network.yaml").read_text()
ORCHESTRATOR = ROOT / "infra" / "orchestrator.yaml"


def row(start: str) -> tuple[str, float]:
    """What a row of the table says is billed, and its sum."""
    line = next(line for line in TABLE.splitlines() if line.startswith(f"| {start}"))
    cells = [cell.strip().strip("*") for cell in line.strip("|").split("|")]
    return cells[1], float(cells[2])


def resources(template: str) -> list[str]:
    """The resources of a template as text, each from its name on."""
    return re.split(r"\n  (?=\w+:\n)", template)


def interface_endpoints(*, with_nat: bool) -> int:
    """How many interface endpoints the template makes."""
    found = [text for text in resources(NETWORK) if "VpcEndpointType: Interface" in text]
    return len([text for text in found if not (with_nat and "Condition: HasEndpoints" in text)])


def test_the_endpoints_are_those_of_the_template() -> None:
    count = interface_endpoints(with_nat=False)
    what, dollars = row("interface endpoints")
    assert what.startswith(f"{count},")
    assert dollars == round(count * 0.01 * HOURS, 2)


def test_a_nat_gateway_costs_what_is_said() -> None:
    all_of_them, some = (interface_endpoints(with_nat=nat) for nat in (False, True))
    said = TEXT.partition("To pay less")[2]
    nat, endpoints = round(0.045 * HOURS, 2), round(some * 0.01 * HOURS, 2)
    before = all_of_them * 0.01 * HOURS
    assert f"{nat} a month) and {some} endpoints ({endpoints:.2f})" in said
    assert f"{nat + endpoints:.2f} instead of {before:.2f}" in " ".join(said.split())


def test_the_services_and_the_database_are_those_of_the_template() -> None:
    template = ORCHESTRATOR.read_text()
    tasks = {
        text.partition("Task:")[0]: text
        for text in resources(template)
        if "Type: AWS::ECS::TaskDefinition" in text
    }
    services = re.findall(r"TaskDefinition: !Ref (\w+)Task", template)
    cpu = sum(int(re.findall(r'Cpu: "(\d+)"', tasks[name])[0]) for name in services) / 1024
    memory = sum(int(re.findall(r'Memory: "(\d+)"', tasks[name])[0]) for name in services) / 1024
    what, dollars = row("Fargate")
    assert what.startswith(f"{cpu:g} vCPU")
    assert f"{memory:g} GB" in what
    assert dollars == round((cpu * 0.04048 + memory * 0.004445) * HOURS, 2)
    storage = int(re.findall(r'AllocatedStorage: "(\d+)"', template)[0])
    assert "Default: db.t4g.micro" in template
    what, dollars = row("RDS")
    assert f"{storage} GB" in what
    assert dollars == round(0.016 * HOURS + storage * 0.115, 2)


def test_the_sum_is_the_sum() -> None:
    _, total = row("**in all**")
    parts = ("interface", "Fargate", "RDS", "secrets", "private names", "alarms")
    assert total == round(sum(row(part)[1] for part in parts), 2)
