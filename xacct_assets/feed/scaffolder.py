"""``dg scaffold defs xacct_assets.feed.CrossAccountFeed NAME --from-file FILE``.

The same as `xacct feed new`, for those who know Dagster's command. It cannot ask: what the files do
not tell is given by an option.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import click
import dagster as dg
from pydantic import BaseModel, Field


class FeedScaffoldParams(BaseModel):
    """Options of the command; see ``xacct feed new --help``."""

    from_file: list[str] = Field(min_length=1, description="Sample files; can be repeated.")
    key: str | None = None
    yes: bool = False
    date_order: Literal["dmy", "mdy", "ymd"] | None = None
    decimal: Literal[",", "."] | None = None
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    header: Literal["yes", "no"] | None = None
    unnamed: Literal["ignore", "position"] | None = None
    type: list[str] = Field(default_factory=list)
    start_date: str | None = None
    description: str | None = None


class FeedScaffolder(dg.Scaffolder[FeedScaffoldParams]):
    """Writes ``defs.yaml`` and the SQL of a feed that sample files propose."""

    @classmethod
    def get_scaffold_params(cls) -> type[FeedScaffoldParams]:
        """The options of the command."""
        return FeedScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[FeedScaffoldParams]) -> None:
        """Write the feed.

        Raises:
            ClickException: the files are no feed, or a question has no answer; nothing is left.
        """
        # Imported here: every process that loads the feeds loads this module.
        from xacct_assets.aws.errors import AwsFailure
        from xacct_assets.feed.loader import FeedFileError
        from xacct_assets.feed.proposal import SampleProblem
        from xacct_assets.settings import SettingsError

        try:
            self._scaffold(request)
        except (SampleProblem, FeedFileError, SettingsError, AwsFailure, ValueError) as problem:
            if not any(request.target_path.iterdir()):  # Dagster has made it
                request.target_path.rmdir()
            raise click.ClickException(str(problem)) from problem

    def _scaffold(self, request: dg.ScaffoldRequest[FeedScaffoldParams]) -> None:
        from xacct_assets.feed.loader import load_feeds
        from xacct_assets.feed.new_feed import (
            QUESTIONS,
            FeedFolders,
            answers,
            check_name,
            closing_text,
            frame_for,
            read_samples,
            write_feed,
        )
        from xacct_assets.feed.proposal import SampleProblem, propose
        from xacct_assets.feed.proposal.report import open_questions, table
        from xacct_assets.settings import Settings

        options, name = request.params, request.target_path.name
        if request.scaffold_format != "yaml" or request.project_root is None:
            raise SampleProblem("a feed is written as YAML, in a project: leave --format out")
        check_name(name)
        given = {one: getattr(options, one.replace("-", "_")) for one in QUESTIONS}
        samples = read_samples(options.from_file, Settings.load)
        proposal = propose(samples, answers(given, options.type), take_likely=options.yes)
        if proposal.questions:
            raise SampleProblem(open_questions(proposal))
        start = date.fromisoformat(options.start_date) if options.start_date else None
        frame = frame_for(name, options.from_file, start=start, description=options.description)
        folders = FeedFolders(request.target_path, request.project_root / "sql" / name)
        written = write_feed(
            proposal, frame, folders, lambda: load_feeds(request.target_path.parent)
        )
        click.echo(table(proposal))
        click.echo(closing_text(written, frame))
