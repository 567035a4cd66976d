"""Compares 20,000 random scenarios: ``python -m tests.iam --seed 7 --count 20000``.

The simulator is npm's ``@cloud-copilot/iam-simulate`` (AGPL). It is installed here and now, into a
git-ignored folder, and runs as a process of its own; nothing of it is part of this repository.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.iam.comparison import BATCH, Simulator, sandbox_allows, shrunk
from tests.iam.differences import judged
from tests.iam.scenarios import Scenario, scenarios

PACKAGE = "@cloud-copilot/iam-simulate@0.1.173"
FOLDER = Path("build/iam-simulate")
_SHOWN = 5


def main() -> int:
    """Compare, print, and return 1 if there is a disagreement that nobody has judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20000)
    options = parser.parse_args()
    if not shutil.which("node") or not shutil.which("npm"):
        _say("The comparison needs Node: apt-get install nodejs npm")
        return 2
    _install()
    simulator = Simulator(FOLDER)
    reasons: Counter[str] = Counter()
    unjudged: list[Scenario] = []

    def disagree(scenario: Scenario) -> bool:
        return simulator.allows([scenario])[0] != sandbox_allows(scenario)

    all_scenarios = scenarios(options.seed, options.count)
    for start in range(0, options.count, BATCH):
        batch = all_scenarios[start : start + BATCH]
        for scenario, verdict in zip(batch, simulator.allows(batch), strict=True):
            if verdict == sandbox_allows(scenario):
                continue
            smallest = shrunk(scenario, disagree)
            reason = judged(smallest, disagree)
            reasons[reason or "not judged"] += 1
            if not reason:
                unjudged.append(smallest)
    simulator.close()
    differing = sum(reasons.values())
    agreement = 100 * (1 - differing / options.count)
    _say(f"seed {options.seed}: {options.count} scenarios, {agreement:.2f} % agree")
    for reason, count in reasons.most_common():
        _say(f"  {count:6}  {reason}")
    for smallest in unjudged[:_SHOWN]:
        _say(f"the sandbox {'allows' if sandbox_allows(smallest) else 'denies'} alone:")
        _say(json.dumps(smallest, indent=1))
    return 1 if unjudged else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _install() -> None:
    name, _, version = PACKAGE.rpartition("@")
    manifest = FOLDER / "node_modules" / name / "package.json"
    if manifest.exists() and json.loads(manifest.read_text())["version"] == version:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(FOLDER), PACKAGE],
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main())
