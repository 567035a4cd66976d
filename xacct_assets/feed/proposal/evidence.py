"""Choices that one column leaves open and another column of the file settles, or a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xacct_assets.feed.proposal import moments, numbers
from xacct_assets.feed.proposal.decisions import Decisions, quoted


@dataclass
class Evidence:
    """What some columns of a file prove and others leave open.

    Attributes:
        decimals: the decimal separators that columns prove, each with a column that does.
        orders: the orders of dates that columns prove, each with a column that does.
    """

    decimals: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)

    def choose_decimal(
        self,
        name: str,
        texts: Sequence[str],
        found: Sequence[numbers.Reading],
        decisions: Decisions,
    ) -> numbers.Reading:
        """The reading of numbers such as 1,234."""
        by_decimal = {reading.decimal: reading for reading in reversed(found)}
        if len(self.decimals) == 1 and "decimal" not in decisions.answers:
            decimal, column = next(iter(self.decimals.items()))
            if decimal in by_decimal:
                decisions.doubt(f"decimals follow {quoted(decimal)}, as in column {column}", name)
                return by_decimal[decimal]
        at = _first_difference([reading.values for reading in found])
        text = texts[at]
        answer = decisions.ask(
            "decimal",
            f"Which number is {quoted(text)} in column {name}?",
            {
                decimal: f"decimals follow {quoted(decimal)}: {reading.values[at]}"
                for decimal, reading in sorted(by_decimal.items())
            },
            likely=None,
            column=name,
        )
        return by_decimal.get(answer, found[0])

    def choose_order(
        self,
        name: str,
        texts: Sequence[str],
        found: Sequence[moments.MomentReading],
        decisions: Decisions,
    ) -> moments.MomentReading:
        """The reading of dates such as 03/04/2026."""
        by_order = {reading.order or "": reading for reading in reversed(found)}
        if len(self.orders) == 1 and "date-order" not in decisions.answers:
            order, column = next(iter(self.orders.items()))
            if order in by_order:
                decisions.doubt(f"{_ORDER_WORDS[order]}, as in column {column}", name)
                return by_order[order]
        if (
            found[0].separator == "."
            and "dmy" in by_order
            and "date-order" not in decisions.answers
        ):
            decisions.doubt("dots separate the parts of its dates: the day is first", name)
            return by_order["dmy"]
        at = _first_difference([reading.values for reading in found])
        answer = decisions.ask(
            "date-order",
            f"Is the day or the month first in {quoted(texts[at])} (column {name})?",
            {
                order: f"{_ORDER_WORDS[order]}: {reading.values[at]:%d %B %Y}"
                for order, reading in sorted(by_order.items())
            },
            likely=None,
            column=name,
        )
        return by_order.get(answer, found[0])


_ORDER_WORDS = {
    "dmy": "the day is first",
    "mdy": "the month is first",
    "ymd": "the year is first",
}


def _first_difference(values: Sequence[Sequence[object]]) -> int:
    return next((at for at, same in enumerate(zip(*values, strict=True)) if len(set(same)) > 1), 0)
