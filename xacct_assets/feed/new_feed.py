"""Makes a feed from sample files: reads them, and writes the proposed ``defs.yaml`` and SQL."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter, ValidationError

from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.loader import FeedFileError, explain, load_feeds
from xacct_assets.feed.proposal import Proposal, Sample, SampleProblem
from xacct_assets.feed.proposal.defs_yaml import FeedFrame, render
from xacct_assets.feed.proposal.patterns import Place, place_of
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.spec.names import FeedName, Prefix
from xacct_assets.feed.sql_files.writing import write_files

if TYPE_CHECKING:
    from xacct_assets.settings import Settings

#: Bytes of a sample that are looked at.
SAMPLE_BYTES = 4 * 1024 * 1024
#: Questions that are answered by a flag of this name.
QUESTIONS = ("delimiter", "quote", "encoding", "header", "unnamed", "date-order", "decimal", "key")


@dataclass(frozen=True)
class FeedFolders:
    """Where a new feed is written.

    Attributes:
        defs: the folder of its ``defs.yaml``.
        sql: the folder of its SQL.
    """

    defs: Path
    sql: Path


def answers(given: Mapping[str, str | None], types: Sequence[str]) -> dict[str, str]:
    """The answers that flags give, by the name of the question.

    Args:
        given: by the name of the flag; None where none was given.
        types: such as ``zip=varchar(16)`` or ``day=date:DD/MM/YYYY``.

    Raises:
        SampleProblem: a type is not written like that.
    """
    found = {name: value for name, value in given.items() if value is not None}
    for one in types:
        column, is_there, wanted = one.partition("=")
        if not is_there:
            raise SampleProblem(
                f"--type {one}: write COLUMN=TYPE, e.g. zip=varchar(16) or day=date:DD/MM/YYYY"
            )
        found[f"type:{column}"] = wanted
    return found


def check_name(name: str) -> None:
    """Check the name of a new feed.

    Raises:
        SampleProblem: it cannot be a feed's.
    """
    _check(FeedName, name)


def _check(kind: Any, value: str) -> None:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SampleProblem(message) from None


def read_samples(names: Sequence[str], settings: Callable[[], Settings]) -> list[Sample]:
    """Read the samples: local files, and objects in the installation's buckets.

    Args:
        names: paths, or addresses such as ``s3://bucket/key``.
        settings: of the installation; called for an object only.

    Raises:
        SampleProblem: a file cannot be read.
        AwsFailure: an object cannot be read.
    """
    return [
        _read_object(name, settings()) if name.startswith("s3://") else _read_file(name)
        for name in names
    ]


def _read_file(name: str) -> Sample:
    try:
        with Path(name).open("rb") as file:
            data = file.read(SAMPLE_BYTES)
            return Sample(name, data, is_whole=not file.read(1))
    except OSError as problem:
        raise SampleProblem(f"{name} cannot be read: {problem.strerror}") from None


def _read_object(name: str, settings: Settings) -> Sample:
    from xacct_assets.aws.s3.bucket import Bucket
    from xacct_assets.aws_clients import AwsClients

    bucket, _, key = name.removeprefix("s3://").partition("/")
    owners = {
        settings.input_bucket: settings.account_a,
        settings.export_bucket: settings.account_a,
        settings.processing_bucket: settings.account_b,
    }
    if bucket not in owners:
        raise SampleProblem(
            f"{name} is in none of the installation's buckets ({', '.join(owners)}): copy it here "
            "(aws s3 cp) and name the copy"
        )
    s3 = AwsClients(settings).client("s3")
    data, is_whole = Bucket(s3, bucket, owners[bucket]).read_start(key, SAMPLE_BYTES)
    return Sample(name, data, is_whole)


def frame_for(
    name: str,
    samples: Sequence[str],
    *,
    start: date | None = None,
    description: str | None = None,
    today: date | None = None,
) -> FeedFrame:
    """What the feed has besides that which its files tell.

    Args:
        name: of the feed.
        samples: names of the samples. The folders of an object in S3 tell prefix and day.
        start: first day; by default that of the samples, else so that the last one is yesterday's.
        description: what the feed holds.
        today: by default the current day in UTC.

    Raises:
        SampleProblem: objects in S3 tell no prefix, or one that a feed cannot have.
    """
    places = _places(samples)
    prefix, layout = (places[0].prefix, places[0].layout) if places else (name, DayLayout.PLAIN)
    if start is None:
        today = today or datetime.now(UTC).date()
        start = min((place.day for place in places), default=today - timedelta(days=len(samples)))
    files = ", ".join(Path(sample).name for sample in samples)
    return FeedFrame(name, description or f"Rows of {files}.", start, prefix, layout, samples)


def _places(samples: Sequence[str]) -> list[Place]:
    """Where the samples in S3 are: all in folders of days below one prefix."""
    places = []
    for sample in samples:
        if not sample.startswith("s3://"):
            continue
        place = place_of(sample)
        if place is None:
            raise SampleProblem(
                f"{sample} is not in the folder of a day below a prefix (prefix/YYYY/MM/DD/ or "
                "prefix/year=YYYY/month=MM/day=DD/), as a feed's files are: copy it here "
                "(aws s3 cp) and name the copy"
            )
        places.append(place)
    if len(found := {(place.prefix, place.layout.value) for place in places}) > 1:
        raise SampleProblem(
            "the samples are not of one feed: they are in "
            f"{' and '.join(sorted('/'.join(one) for one in found))}. Make a feed of each"
        )
    if places:
        _check(Prefix, places[0].prefix)
    return places


def write_feed(
    proposal: Proposal,
    frame: FeedFrame,
    folders: FeedFolders,
    load_all: Callable[[], object] = load_feeds,
) -> list[Path]:
    """Write the feed's files; nothing is left if it is no valid feed.

    Args:
        proposal: without open questions.
        frame: name, first day, prefix.
        folders: where to write.
        load_all: loads all feeds with the new one; it refuses what they claim twice.

    Returns:
        The files.

    Raises:
        SampleProblem: there are files of this name already.
        FeedFileError: it is no valid feed, or claims what another feed has.
    """
    path = folders.defs / "defs.yaml"
    for taken in (path, *sorted(folders.sql.glob("*.sql"))):
        if taken.exists():
            raise SampleProblem(
                f"{taken} is there already, and nothing was changed: choose another name, or "
                "remove it"
            )
    text = render(proposal, frame)
    try:
        feed = FeedSpec.model_validate(yaml.safe_load(text)["attributes"])
    except ValidationError as error:
        raise FeedFileError(explain(error, path)) from None
    is_new = not folders.defs.exists()
    folders.defs.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        load_all()
    except FeedFileError:
        path.unlink()
        if is_new:
            folders.defs.rmdir()
        raise
    write_files(feed, folders.sql)
    return [path, *sorted(folders.sql.glob("*.sql"))]


def closing_text(written: Sequence[Path], frame: FeedFrame) -> str:
    """What is said when the files are written."""
    return "\n".join(
        [
            "\nWritten:",
            *(f"  {path}" for path in written),
            "\nNext, on the laptop:",
            *(f"  {command}" for command in next_commands(frame)),
            "A Dagster UI that is running shows the feed once it has reloaded the code location "
            "(Deployment, Reload).",
        ]
    )


def next_commands(frame: FeedFrame) -> list[str]:
    """The commands that take the samples to a green day on a laptop, each file on its own day."""
    days = [frame.start + timedelta(days=after) for after in range(len(frame.sources))]
    commands = ["xacct deploy"]
    places = [place_of(sample) for sample in frame.sources]
    if all(places):
        days = sorted({place.day for place in places if place})
    else:
        commands += [
            f"xacct-sandbox land --feed {frame.name} --date {day} --file {shlex.quote(sample)}"
            for day, sample in zip(days, frame.sources, strict=True)
        ]
    chosen = (
        f"--partition {days[0]}" if len(days) == 1 else f"--partition-range {days[0]}...{days[-1]}"
    )
    commands.append(f"dg launch --assets 'group:{frame.name}' {chosen}")
    named = re.sub("--partition-range", "--partition", chosen)
    commands.append(f"xacct reconcile --feed {frame.name} {named}")
    return commands
