"""What a run of many seeds showed, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tools.chaos.absorbed import WAYS

# What must be none: words of the claim, and the kinds of problems that break it.
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
    struck = [fault for result in results.values() for fault in result["faults"]]
    failed = [seed for seed, result in results.items() if not result["ok"]]
    kinds = Counter(
        problem["kind"] for result in results.values() for problem in result["problems"]
    )
    least = min((len(result["faults"]) for result in results.values()), default=0)
    parts = [
        "# Chaos",
        "",
        f"{len(results)} seeds, {sum(result['runs'] for result in results.values())} runs, "
        f"{len(struck)} faults injected (at least {least} in a seed), "
        f"{sum(result['seconds'] for result in results.values()) / 60:.0f} minutes of work. "
        f"Code: {', '.join(sorted({result['code'] for result in results.values()}))}.",
        "",
        *(f"- {claim}: {sum(kinds[kind] for kind in broken)}" for claim, broken in CLAIMS.items()),
        "",
        *_table(struck),
        "",
        "A way is told from what the steps under way at that moment did next; where several were, "
        "it is the gravest of theirs.",
    ]
    if others := set(kinds) - {kind for broken in CLAIMS.values() for kind in broken}:
        parts += ["", *(f"- {kind}: {kinds[kind]}" for kind in sorted(others))]
    if failed:
        parts += ["", f"## {len(failed)} seeds failed: {', '.join(map(str, failed))}"]
        for seed in failed:
            parts += ["", *_failure(seed, results[seed])]
    return "\n".join(parts) + "\n"


def _table(struck: list[dict[str, str]]) -> list[str]:
    ways = Counter((fault["kind"], fault["way"]) for fault in struck)
    lines = [
        f"| fault | injected | {' | '.join(WAYS)} |",
        f"| --- | ---: | {' | '.join('---:' for _ in WAYS)} |",
    ]
    for kind in sorted({kind for kind, _ in ways}):
        counts = [ways[kind, way] for way in WAYS]
        cells = " | ".join(str(count or "") for count in counts)
        lines.append(f"| {kind} | {sum(counts)} | {cells} |")
    totals = [sum(count for (_, told), count in ways.items() if told == way) for way in WAYS]
    lines.append(f"| all | {len(struck)} | {' | '.join(map(str, totals))} |")
    return lines


def _failure(seed: int, result: Mapping[str, Any]) -> list[str]:
    """Everything needed to see what happened; the whole is in the seed's JSON."""
    timeline = [f"{at[11:23]} {text}" for at, text in result["timeline"]][-TIMELINE_SHOWN:]
    problems = [f"- {p['kind']}, {p['where']}: {p['text']}" for p in result["problems"]]
    return [
        f"### Seed {seed} (again: `make chaos SEED={seed}`)",
        "",
        *problems,
        "",
        "```",
        *timeline,
        "```",
    ]
