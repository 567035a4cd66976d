"""The changes of a crawl, and their summary as ListCrawls returns it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SUMMARY_LIMIT = 255
"""Characters of a Summary (Glue API reference, CrawlerHistory)."""


@dataclass
class Changes:
    """Names of the tables and partitions that a crawl added, updated or deleted.

    Attributes:
        names: by kind (``TABLE``, ``PARTITION``) and action (``ADD``, ``UPDATE``, ``DELETE``).
    """

    names: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def note(self, kind: str, action: str, names: Iterable[str]) -> None:
        """Add changes of one kind and action."""
        self.names.setdefault((kind, action), []).extend(names)

    def count(self, kind: str, action: str) -> int:
        """How many changes of a kind and action there are."""
        return len(self.names.get((kind, action), ()))

    def summary(self) -> str:
        """JSON with JSON texts as values, as Glue returns it; without names if it is too long.

        ``{"TABLE": "{\\"ADD\\": \\"{\\\\\\"Details\\\\\\":{...},\\\\\\"Count\\\\\\":1}\\"}"}``
        """
        full = self._text(with_names=True)
        return full if len(full) <= SUMMARY_LIMIT else self._text(with_names=False)

    def _text(self, *, with_names: bool) -> str:
        kinds: dict[str, dict[str, str]] = {}
        for (kind, action), names in sorted(self.names.items()):
            if not names:
                continue
            entry: dict[str, Any] = {"Details": {"names": names}} if with_names else {}
            entry["Count"] = len(names)
            kinds.setdefault(kind, {})[action] = _compact(entry)
        return _compact({kind: _compact(actions) for kind, actions in kinds.items()})


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
