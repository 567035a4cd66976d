"""`xacct feed evolve`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xacct_assets.operations.commands.sample_arguments import add_sample_arguments
from xacct_assets.operations.terminal import FAILED, OK, USAGE, confirmed, show, show_error

if TYPE_CHECKING:
    from xacct_assets.feed.evolution import Comparison
    from xacct_assets.settings import Settings


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = actions.add_parser(
        "evolve",
        help="show how files differ from a feed, and change defs.yaml, SQL and tables for them",
        description="Columns that are gone become optional, and keep the values of old days. New "
        "columns are optional too. `xacct deploy` applies the migration after a question.",
    )
    parser.add_argument("name", metavar="NAME", help="name of the feed")
    add_sample_arguments(parser, files="files with the new columns", of="a new column")
    parser.add_argument(
        "--rename",
        metavar="COLUMN=HEADER",
        action="append",
        default=[],
        help="a column of the feed that has another header in the files now",
    )
    for flag, what in (
        ("--drop", "remove a column that is gone from the tables, with the values of old days"),
        ("--nullable", "admit rows without a value of a column"),
    ):
        parser.add_argument(flag, metavar="COLUMN", action="append", default=[], help=what)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Compare, ask and write; the exit code."""
    from xacct_assets.feed.evolution import evolve_text
    from xacct_assets.feed.evolution.writing import EvolvedFeed
    from xacct_assets.feed.loader import load_feed_file
    from xacct_assets.feed.proposal import SampleProblem
    from xacct_assets.feed.sql_files.folder import sql_folder
    from xacct_assets.sources import sources_root

    extra = settings.extra_feeds_dir
    path, feed = load_feed_file(options.name, extra_feeds_dir=extra)
    folder = sql_folder(feed.name, sources_root(), extra)
    try:
        found = _compare(options, settings)
        for line in _describe(found, options):
            show(line)
        if found.is_empty:
            show(f"The files are what feed {feed.name} says: nothing to change.")
            return OK
        if found.questions:
            questions = "\n  ".join(question.describe() for question in found.questions)
            show_error(f"nothing was written; only you can answer:\n  {questions}")
            return USAGE
        text, after, renames = evolve_text(
            path.read_text(encoding="utf-8"),
            feed,
            found,
            dropped=options.drop,
            nullable=options.nullable,
        )
        evolved = EvolvedFeed(feed, after, text, renames)
        evolved.check(folder)
    except SampleProblem as problem:
        show_error(str(problem))
        return FAILED
    if after == feed:
        show("nothing was written")
        return OK
    for change in evolved.changes:
        show(f"in the tables: {change.describe()}")
    if not options.yes and not confirmed("Write these changes?"):
        show_error("nothing was written; answer y, or add --yes")
        return USAGE
    for line in evolved.write(path, folder):
        show(line)
    show("Next: `xacct deploy`, which shows the migration and asks; then load the new days.")
    return OK


def _compare(options: argparse.Namespace, settings: Settings) -> Comparison:
    from xacct_assets.feed.evolution import compare
    from xacct_assets.feed.loader import load_feed
    from xacct_assets.feed.new_feed import answers, read_samples
    from xacct_assets.feed.proposal import SampleProblem

    feed = load_feed(options.name, extra_feeds_dir=settings.extra_feeds_dir)
    renamed = {}
    for text in options.rename:
        column, is_there, header = text.partition("=")
        if not is_there or not header:
            raise SampleProblem(f"--rename {text}: write COLUMN=HEADER, e.g. brand=Maker")
        renamed[header] = column
    given = {"date-order": options.date_order, "decimal": options.decimal}
    found = compare(
        feed,
        read_samples(options.samples, lambda: settings),
        renamed,
        answers(given, options.types),
        take_likely=options.yes,
    )
    gone = [column.name for column in found.gone]
    for name in options.drop:
        if name not in gone:
            raise SampleProblem(
                f"--drop {name}: it is no column that is gone ({', '.join(gone) or 'none is'})"
            )
    for name in options.nullable:
        if name not in feed.column_names() or name in feed.key:
            raise SampleProblem(f"--nullable {name}: it is no column of the feed, or of its key")
    return found


def _describe(found: Comparison, options: argparse.Namespace) -> Iterator[str]:
    """A line for each difference, with what is done about it."""
    from xacct_assets.feed.proposal.decisions import quoted

    for header, column in found.renamed.items():
        yield f"renamed: {column.name} has the header {quoted(header)}"
    for proposal in found.new:
        samples = " | ".join(quoted(value, 24) for value in proposal.samples)
        yield f"new: {proposal.name} {proposal.type} ({quoted(proposal.header or '')}) {samples}"
        for doubt in found.doubts:
            if doubt.column == proposal.name:
                yield f"    ? {doubt.text}"
    for column in found.gone:
        if column.name in options.drop:
            yield f"gone: {column.name}, removed with the values of old days (--drop)"
        else:
            yield f"gone: {column.name}, optional from now on (or --drop {column.name})"
            yield from _rename_hints(column.name, column.type, found)
    for widened in found.widened:
        yield (
            f"type: {widened.column.name} {widened.column.type} -> {widened.type}, "
            f"for {quoted(widened.example)}"
        )
    for column in found.empty:
        if column.name not in options.nullable:
            yield (
                f"empty: {column.name} has rows without a value, which are rejected "
                f"(--nullable {column.name} admits them)"
            )


def _rename_hints(name: str, type_: str, found: Comparison) -> Sequence[str]:
    """New columns that may be a gone one under another header."""
    kind = type_.partition("(")[0]
    return [
        f"    ? if it is {quoted_header} now: --rename {name}={quoted_header}"
        for proposal in found.new
        if proposal.type.partition("(")[0] == kind
        and (quoted_header := f"'{proposal.header}'" if proposal.header else "")
    ]
