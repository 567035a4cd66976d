"""The arguments ``--feed`` and ``--partition``: how people name feeds and days to `xacct`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from xacct_assets.feed.partitions import (
    DayRange,
    describe_outside,
    in_words,
    inside_days,
    outside_days,
    parse_range,
    today_utc,
)
from xacct_assets.operations.terminal import show_error

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings


class NoSuchDays(Exception):
    """Days that were named are not days of the feeds; the message says which days are."""


def add_day_arguments(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Declare the arguments.

    Args:
        default: which days are meant if none is named.
    """
    parser.add_argument(
        "--feed", action="append", metavar="NAME", help="only this feed (can be repeated)"
    )
    parser.add_argument(
        "--partition",
        action="append",
        type=_parse_days,
        metavar="DAY",
        help="2026-01-31, or a range 2026-01-01...2026-01-31 (can be repeated); "
        f"default: {default}",
    )


def chosen_feeds(options: argparse.Namespace, settings: Settings) -> list[FeedSpec]:
    """The feeds that were named; all feeds if none was.

    Raises:
        FeedFileError: there is no such feed, or a feed's file is not valid.
    """
    from xacct_assets.feed.loader import load_feed, load_feeds

    if not options.feed:
        return load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    return [
        load_feed(name, extra_feeds_dir=settings.extra_feeds_dir)
        for name in dict.fromkeys(options.feed)
    ]


def chosen_days(
    options: argparse.Namespace, feeds: Sequence[FeedSpec]
) -> Mapping[str, list[date]] | None:
    """The named days that each feed has, by its name; None if no day was named.

    If no feed was named, the days that only some feeds have are meant for those.

    Raises:
        NoSuchDays: a named feed does not have all of the days, or no feed has any.
    """
    ranges: Sequence[DayRange] | None = options.partition
    if ranges is None:
        return None
    today = today_utc()
    days = {feed.name: inside_days(feed, ranges, today) for feed in feeds}
    problems = []
    for feed in feeds:
        if outside := outside_days(feed, ranges, today):
            others = days[feed.name]
            hint = f"; of the named days, {in_words(others)} are" if others else ""
            problems.append(f"{describe_outside(feed, outside, today)}{hint}")
    if problems and (options.feed or len(feeds) == 1 or not any(days.values())):
        raise NoSuchDays("\n".join(problems))
    for problem in problems:
        show_error(problem)
    return days


def _parse_days(text: str) -> DayRange:
    try:
        return parse_range(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
