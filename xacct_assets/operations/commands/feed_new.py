"""`xacct feed new`."""

from __future__ import annotations

import argparse
from datetime import date
from typing import TYPE_CHECKING

from xacct_assets.operations.commands.sample_arguments import add_sample_arguments
from xacct_assets.operations.terminal import FAILED, OK, USAGE, chosen, show, show_error

if TYPE_CHECKING:
    from xacct_assets.feed.new_feed import FeedFolders
    from xacct_assets.feed.proposal import Proposal, Sample
    from xacct_assets.settings import Settings


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = actions.add_parser(
        "new",
        help="propose a feed from sample files, ask what only you can know, write defs.yaml and "
        "SQL",
        description="What the files do not tell is asked, or given by a flag.",
    )
    parser.add_argument("name", metavar="NAME", help="name of the feed, e.g. orders")
    add_sample_arguments(parser, files="sample files", of="a column")
    parser.add_argument(
        "--key", metavar="COLUMNS", help="columns that identify a row within a day: a,b; or none"
    )
    parser.add_argument("--delimiter", help="character between fields; tab for a tab")
    parser.add_argument("--quote", choices=('"', "'"), help="character around fields")
    parser.add_argument("--encoding", help="utf-8, utf-16, windows-1252 or iso-8859-1")
    parser.add_argument("--header", choices=("yes", "no"), help="whether the first row has names")
    parser.add_argument(
        "--unnamed",
        choices=("ignore", "position"),
        help="a column with values and no name is left out, or all columns go by position",
    )
    parser.add_argument("--start-date", type=_day, metavar="DAY", help="first day of the feed")
    parser.add_argument("--description", help="what the feed holds")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Propose and write a feed; the exit code."""
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.feed.new_feed import (
        check_name,
        closing_text,
        frame_for,
        read_samples,
        write_feed,
    )
    from xacct_assets.feed.proposal import SampleProblem
    from xacct_assets.feed.proposal.report import open_questions, table

    try:
        check_name(options.name)
        folders = _folders(options.name, settings)
        samples = read_samples(options.samples, lambda: settings)
        proposal = _answered(options, samples)
        if proposal.columns:
            show(table(proposal))
        if proposal.questions:
            show_error(open_questions(proposal))
            show_error("nothing was written")
            return USAGE
        frame = frame_for(
            options.name,
            options.samples,
            start=options.start_date,
            description=options.description,
        )
        written = write_feed(
            proposal, frame, folders, lambda: load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
        )
    except SampleProblem as problem:
        show_error(str(problem))
        return FAILED
    show(closing_text(written, frame))
    show(
        f"On AWS the supplier writes to s3://{settings.input_bucket}/{frame.prefix}/"
        f"{frame.layout.value}/."
    )
    return OK


def _answered(options: argparse.Namespace, samples: list[Sample]) -> Proposal:
    """The proposal, after questions were asked as long as somebody can answer."""
    from xacct_assets.feed.new_feed import QUESTIONS, answers
    from xacct_assets.feed.proposal import propose

    given = {name: getattr(options, name.replace("-", "_")) for name in QUESTIONS}
    known = answers(given, options.types)
    while True:
        proposal = propose(samples, known, take_likely=options.yes)
        if not proposal.questions:
            return proposal
        question = proposal.questions[0]
        answer = chosen(question.text, question.choices, question.likely, is_open=question.is_open)
        if answer is None:
            return proposal
        known[question.about] = answer


def _folders(name: str, settings: Settings) -> FeedFolders:
    """The folders of a new feed: under XACCT_EXTRA_FEEDS_DIR if it is set, else in the checkout.

    Raises:
        FeedFileError: this is an installed package, and no folder is set.
    """
    from xacct_assets.feed.loader import DEFS_FOLDER, FeedFileError
    from xacct_assets.feed.new_feed import FeedFolders
    from xacct_assets.sources import sources_root

    if settings.extra_feeds_dir is not None:
        return FeedFolders(settings.extra_feeds_dir / name, settings.extra_feeds_dir / name)
    root = sources_root()
    if root not in DEFS_FOLDER.parents:
        raise FeedFileError(
            "the package is installed, not a checkout: set XACCT_EXTRA_FEEDS_DIR to the folder of "
            "your own feeds"
        )
    return FeedFolders(DEFS_FOLDER / name, root / "sql" / name)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-01-31") from None
