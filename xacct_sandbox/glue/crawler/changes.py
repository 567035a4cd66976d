"""What a crawl did to the catalog, told as ListCrawls tells it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SUMMARY_LIMIT = 255


@dataclass
class Changes:
    """What a crawl did to the catalog, for the Summary of ListCrawls."""

    counts: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def note(self, kind: str, action: str, names: Iterable[str]) -> None:
        self.counts.setdefault((kind, action), []).extend(names)

    def count(self, kind: str, action: str) -> int:
        return len(self.counts.get((kind, action), ()))

    def summary(self) -> str:
        """JSON in JSON text, as Glue gives it; names are left out beyond 255 characters.

        ``{"TABLE": "{\\"ADD\\": \\"{\\\\\\"Details\\\\\\":{...},\\\\\\"Count\\\\\\":1}\\"}"}``
        """
        full = self._text(with_names=True)
        return full if len(full) <= SUMMARY_LIMIT else self._text(with_names=False)

    def _text(self, *, with_names: bool) -> str:
        kinds: dict[str, dict[str, str]] = {}
        for (kind, action), names in sorted(self.counts.items()):
            if not names:
                continue
            entry: dict[str, Any] = {"Details": {"names": names}} if with_names else {}
            entry["Count"] = len(names)
            kinds.setdefault(kind, {})[action] = _compact(entry)
        return _compact({kind: _compact(actions) for kind, actions in kinds.items()})


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
