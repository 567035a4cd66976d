"""All misconfigurations, by group, and the table of them in docs/doctor.md."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.support.document_tables import WrittenTable
from tests.support.misconfigurations import (
    first_links,
    keys,
    network,
    policies,
    resources,
    warehouse,
)
from tests.support.misconfigurations.case import Case
from tests.support.misconfigurations.trial import Trial
from tests.support.project import ROOT

GROUPS: dict[str, list[Case]] = {
    "Settings and credentials": first_links.cases(),
    "Policies of the buckets in account A": policies.bucket_policies(),
    "Roles": policies.role_policies(),
    "Keys": keys.cases(),
    "Crawler, job and the job's files": resources.crawler_and_job(),
    "Network": network.cases(),
    "Connection and catalog": resources.connections_and_catalog(),
    "Queues": resources.queues(),
    "Logs and alarm": resources.logs_and_alarm(),
    "Tables, procedure and rights": warehouse.tables_and_rights(),
    "Login and role chain": warehouse.secrets(),
    "A warehouse that does not answer": warehouse.silent(),
}

ALL = [(group, case) for group, cases in GROUPS.items() for case in cases]
#: Some of each group, for every run of the integration tests: each takes several seconds.
#: Those of keys need an installation with keys: tests/pipeline/integration/test_keys.py.
SOME = [(group, case) for group, cases in GROUPS.items() if group != "Keys" for case in cases[::6]]

WRITTEN = WrittenTable(
    ROOT / "docs" / "doctor.md",
    "<!-- begin: tests/long/test_doctor.py writes this table -->\n",
    "<!-- end -->\n",
)


def name_of(entry: tuple[str, Case]) -> str:
    """The id of a case in pytest."""
    return entry[1].name


def table(repairs: Mapping[str, str]) -> str:
    """The table in docs/doctor.md.

    Args:
        repairs: what was followed, by the name of each case that was tried.
    """
    lines = [
        "| what is wrong | check that fails, alone | repair that doctor prints |",
        "|---|---|---|",
    ]
    for group, cases in GROUPS.items():
        lines.append(f"| **{group}** | | |")
        lines += [
            f"| {case.name} | {case.check} | {repairs[case.name]} |"
            for case in cases
            if case.name in repairs
        ]
    return "\n".join(lines) + "\n"


def repair_text(trial: Trial) -> str:
    """The first command of the repair, without what differs from run to run."""
    if not trial.repair or trial.mended_by_hand:
        return "a sentence: what to look at"
    words = trial.repair[0].split()
    shown = " ".join(words[:3]) + " …" if words[0] == "aws" else trial.repair[0]
    # The home of a sandbox is .xacct in the checkout where nothing else is said.
    return f"`{re.sub(r'=/[^ ]*/home/', '=.xacct/', shown)}`"
