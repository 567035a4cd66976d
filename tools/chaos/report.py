"""The report on many seeds, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tools.chaos.absorbed import WAYS

# Kinds of problems by the claim that they disprove.
CLAIMS = {
    "lost": ("lost", "changed", "unbalanced"),
    "doubled": ("doubled", "twice at once"),
    "orphaned": ("orphaned", "staging", "stray"),
    "hung": ("hung", "unsettled"),
    "secrets found": ("secret",),
}
TIMELINE_SHOWN = 400


def report_of(results: Mapping[int, dict[str, Any]]) -> str:
    """The report on these results, by seed."""
    injected = [fault for result in results.values() for fault in result["faults"]]
    failed = [seed for seed, result in results.items() if not result["ok"]]
    kinds = Counter(
        problem["kind"] for result in results.values() for problem in result["problems"]
    )
    least = min((len(result["faults"]) for result in results.values()), default=0)
    parts = [
        "# Chaos",
        "",
        f"{len(results)} seeds, {sum(result['runs'] for result in results.values())} runs, "
        f"{len(injected)} faults injected (at least {least} in a seed), "
        f"{sum(result['seconds'] for result in results.values()) / 60:.0f} minutes of work. "
        f"Code: {', '.join(sorted({result['code'] for result in results.values()}))}.",
        "",
        *(f"- {claim}: {sum(kinds[kind] for kind in broken)}" for claim, broken in CLAIMS.items()),
        "",
        *_table(injected),
        "",
        "A way follows from what the steps running at that moment did next; of several steps, "
        "the worst outcome counts.",
    ]
    if others := set(kinds) - {kind for broken in CLAIMS.values() for kind in broken}:
        parts += ["", *(f"- {kind}: {kinds[kind]}" for kind in sorted(others))]
    if failed:
        parts += ["", f"## {len(failed)} seeds failed: {', '.join(map(str, failed))}"]
        for seed in failed:
            parts += ["", *_failure(seed, results[seed])]
    return "\n".join(parts) + "\n"


def _table(injected: list[dict[str, str]]) -> list[str]:
    ways = Counter((fault["kind"], fault["way"]) for fault in injected)
    lines = [
        f"| fault | injected | {' | '.join(WAYS)} |",
        f"| --- | ---: | {' | '.join('---:' for _ in WAYS)} |",
    ]
    for kind in sorted({kind for kind, _ in ways}):
        counts = [ways[kind, way] for way in WAYS]
        cells = " | ".join(str(count or "") for count in counts)
        lines.append(f"| {kind} | {sum(counts)} | {cells} |")
    totals = [sum(count for (_, other), count in ways.items() if other == way) for way in WAYS]
    lines.append(f"| all | {len(injected)} | {' | '.join(map(str, totals))} |")
    return lines


def _failure(seed: int, result: Mapping[str, Any]) -> list[str]:
    """The problems and the end of the timeline; all of it is in the seed's JSON."""
    timeline = [f"{at[11:23]} {text}" for at, text in result["timeline"]][-TIMELINE_SHOWN:]
    problems = [f"- {p['kind']}, {p['where']}: {p['text']}" for p in result["problems"]]
    return [
        f"### Seed {seed} (to repeat: `make chaos SEED={seed}`)",
        "",
        *problems,
        "",
        "```",
        *timeline,
        "```",
    ]
