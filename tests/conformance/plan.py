"""What a run of the claims makes on two AWS accounts, and what that costs at most.

Prices: us-east-1, list prices of the pages named in docs/aws-claims.md ("What a run costs").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A kind of thing that a run makes or uses.

    Attributes:
        what: for people.
        account: A, B or both.
        most: the most that a run uses of it.
        unit: price of one, in US dollars.
        basis: what the price follows from.
        spent: name in `Target.spent` that counts it; empty if it costs nothing by use.
    """

    what: str
    account: str
    most: int
    unit: float
    basis: str
    spent: str = ""

    @property
    def dollars(self) -> float:
        return self.most * self.unit


#: 8 RPUs at $0.375 an RPU-hour, billed by the second while statements run.
RPU_SECOND = 8 * 0.375 / 3600
#: Glue: $0.44 a DPU-hour. A crawl bills 10 minutes at least, a job run one minute at least.
CRAWL = 2 * 0.44 * 10 / 60
JOB_RUN = 2 * 0.44 * 3 / 60

ITEMS = (
    Item("Redshift Serverless, seconds of use", "B", 1800, RPU_SECOND, "8 RPUs × $0.375/h"),
    Item("crawls", "B", 4, CRAWL, "2 DPUs × $0.44/h × 10 min", "crawls"),
    Item("Glue job runs", "B", 4, JOB_RUN, "2 DPUs × $0.44/h × 3 min", "job runs"),
    Item("secrets, for an hour", "B", 6, 0.40 / 730, "$0.40 a month each"),
    Item("requests of S3, SQS, SNS, Secrets Manager", "both", 4000, 0.000005, "$0.005 per 1,000"),
    Item("objects in GLACIER, 90 days at least", "A", 2, 0.0001, "some kB each"),
    Item("roles, stacks, queues, topics, buckets", "both", 40, 0.0, "free"),
)


def lines() -> list[str]:
    """The plan as text."""
    shown = [f"{'':2}{'what':44}{'account':9}{'at most':>8}{'US$':>8}  price"]
    for item in ITEMS:
        shown.append(
            f"{'':2}{item.what:44}{item.account:9}{item.most:>8}{item.dollars:>8.2f}  {item.basis}"
        )
    shown.append(f"{'':2}{'all together, at most':44}{'':9}{'':>8}{total():>8.2f}")
    return shown


def total() -> float:
    """The most that a run costs, in US dollars."""
    return sum(item.dollars for item in ITEMS)


def exceeded(spent: Mapping[str, int]) -> list[str]:
    """What a run used more of than is planned."""
    return [
        f"{item.what}: {spent[item.spent]}, planned are {item.most}"
        for item in ITEMS
        if item.spent and spent.get(item.spent, 0) > item.most
    ]
