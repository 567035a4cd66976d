"""``dg scaffold defs xacct_assets.feed.CrossAccountFeed NAME --from-file FILE``.

The same as `xacct feed new`, for those who know Dagster's command. It cannot ask: what the files do
not tell is given by an option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import dagster as dg
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from xacct_assets.feed.new_feed import FeedFolders
    from xacct_assets.feed.proposal.defs_yaml import FeedFrame


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


@dataclass(frozen=True)
class _Project:
    """The project that gets the feed: a checkout, or one of somebody else's that uses the package.

    Attributes:
        root: of the project.
        target: the feed's folder below the project's ``defs``.
    """

    root: Path
    target: Path

    @property
    def is_checkout(self) -> bool:
        return self.target.parent == self.root / "xacct_assets" / "defs"

    @property
    def folders(self) -> FeedFolders:
        """As `xacct feed new` has them: the SQL of a folder of one's own is beside the YAML."""
        from xacct_assets.feed.new_feed import FeedFolders

        sql = self.root / "sql" / self.target.name if self.is_checkout else self.target
        return FeedFolders(self.target, sql)

    def load_feeds(self) -> object:
        from xacct_assets.feed.loader import load_feeds

        folder = self.target.parent
        return load_feeds(folder) if self.is_checkout else load_feeds(extra_feeds_dir=folder)

    def closing_text(self, written: Sequence[Path], frame: FeedFrame) -> str:
        """What is said when the files are written."""
        from xacct_assets.feed.new_feed import closing_text

        if self.is_checkout:
            return closing_text(written, frame)
        return "\n".join(
            [
                "\nWritten:",
                *(f"  {path}" for path in written),
                "\nOnce, so that `xacct` and `dg` find the feeds of this project:",
                f"  in {self.root / '.env'}: XACCT_EXTRA_FEEDS_DIR={self.target.parent}",
                f"  in {self.target.parents[1] / 'definitions.py'}, instead of what is there: "
                "from xacct_assets.definitions import defs",
                "\nNext:",
                "  dg check defs",
                "  xacct deploy",
                f"The supplier writes to {frame.prefix}/{frame.layout.value}/ in the raw bucket.",
            ]
        )


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
        from xacct_assets.feed.new_feed import (
            QUESTIONS,
            answers,
            check_name,
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
        project = _Project(request.project_root, request.target_path)
        written = write_feed(proposal, frame, project.folders, project.load_feeds)
        click.echo(table(proposal))
        click.echo(project.closing_text(written, frame))
