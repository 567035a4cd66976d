"""The committed SQL of a feed: its columns are the feed's, and its procedure keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.sources import sources_root

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.doctor.installation import Installation


def sql_files(here: Installation, feed: FeedSpec) -> str:
    """The committed SQL has the feed's columns, and its procedure keeps the contract."""
    from xacct_assets.feed.sql_files.differences import sql_differences
    from xacct_assets.feed.sql_files.folder import sql_folder

    folder = sql_folder(feed.name, sources_root(), here.aws.settings.extra_feeds_dir)
    if not any(folder.glob("*.sql")):
        raise NotFound(
            f"feed {feed.name} has no SQL in {folder}", fix=f"`xacct feed sql {feed.name}`"
        )
    found = sql_differences(feed, folder)
    if found:
        raise InvalidRequest(
            f"the SQL of feed {feed.name} is not what its defs.yaml says: "
            + "; ".join(problem for problem, _ in found),
            fix="; ".join(f"`{fix}`" for fix in dict.fromkeys(fix for _, fix in found)),
        )
    return f"{folder} has the columns of defs.yaml"
