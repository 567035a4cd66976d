"""What a complete listing means for its day: nothing, wait, report, or request a run.

Pure logic, without Dagster and boto3. A day that the request history does not know, but whose raw
partition was materialized with exactly this fingerprint (a backfill before the sensor was switched
on), counts as requested.

**Changed and changed back.** If a different fingerprint was seen since the request, and the day
then is as it was requested, nothing is requested, unless a run of the day was under way meanwhile:
what that run read cannot be known, so the day is requested once more. A change that is undone
between two listings leaves no trace in a listing; the run itself must detect that.

**Deleted files.** If some of a day's files are deleted, its fingerprint changes and it is
requested. If all are deleted, nothing is requested: a lifecycle rule that expires raw files must
never empty the warehouse. The day is reported once (`EmptiedDay`), because its rows now come from
files that no longer exist.

**Archived files.** A day that is to be requested waits until all of its files can be read: until
then its run could only fail. A day that was requested before its files were archived is unchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime

from xacct_assets.contract.fingerprint import NO_FILES
from xacct_assets.feed.arrival.cursor import DayState
from xacct_assets.feed.arrival.listing import DayListing, to_milliseconds
from xacct_assets.feed.arrival.planned_runs import DayRequest
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.arrival.request_history import RequestHistory

# The clocks of S3, of this machine and of the run storage may differ by this much.
CLOCK_SLACK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class EmptiedDay:
    """A day that was requested and whose files were all deleted since."""

    day: date
    requested_fingerprint: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A day that changed and is not complete yet.

    Attributes:
        reason: what the day has and what it waits for.
        settles_in_seconds: until it is settled; None if time is not all that it waits for.
    """

    reason: str
    settles_in_seconds: float | None = None


def decide_day(
    policy: Policy,
    day: date,
    state: DayState,
    listing: DayListing,
    history: RequestHistory,
    *,
    now: float,
) -> DayRequest | EmptiedDay | Wait | None:
    """Decide what a listing means for its day.

    Args:
        policy: the settings of the tick.
        day: the day.
        state: what is known of it; updated with what was listed.
        listing: what is there.
        history: asked only if the day is settled and its state does not decide.
        now: seconds since 1970.

    Returns:
        What to request, to report or to wait for; None if there is nothing to do.
    """
    if not _update_pending(state, listing, now):
        return None
    if wait := _reason_to_wait(policy, state, listing, now):
        return wait
    if listing.fingerprint == NO_FILES:
        state.emptied_reported, state.pending_fingerprint = True, None
        return EmptiedDay(day, state.requested_fingerprint or "")
    if _is_processed(day, state, listing, history):
        state.requested_fingerprint = listing.fingerprint
        state.emptied_reported, state.pending_fingerprint = False, None
        state.last_unchanged_at = math.floor(listing.started_at)
        return None
    if listing.archived:
        return Wait(
            f"{listing.archived.count} of {listing.file_count} files are archived "
            f"({listing.archived}) and cannot be read; the day is requested once they are "
            "restored (aws s3api restore-object)"
        )
    return DayRequest(day, listing.fingerprint, state.request_number + 1, listing.file_count)


def mark_requested(state: DayState, request: DayRequest) -> None:
    """Record in a day's state that the day is requested; the run is not confirmed yet."""
    state.requested_fingerprint = request.fingerprint
    state.request_number = request.request_number
    state.confirmed = False
    state.last_unchanged_at = math.floor(state.listed_at)
    state.pending_fingerprint = None
    state.emptied_reported = False


def _update_pending(state: DayState, listing: DayListing, now: float) -> bool:
    """Update a day's state with a listing; whether the day then has a pending fingerprint."""
    previously_listed_at, state.listed_at = state.listed_at, listing.started_at
    has_no_files = listing.fingerprint == NO_FILES
    was_requested = state.requested_fingerprint is not None
    is_unchanged = listing.fingerprint == state.requested_fingerprint or (
        has_no_files and not was_requested
    )
    if is_unchanged and state.pending_fingerprint is None and not state.emptied_reported:
        state.last_unchanged_at = math.floor(listing.started_at)
        return False
    if has_no_files and (state.emptied_reported or not was_requested):
        state.pending_fingerprint = None
        return False
    if state.pending_fingerprint != listing.fingerprint:
        state.pending_fingerprint = listing.fingerprint
        state.pending_since = _appeared_at(listing, previously_listed_at, now)
    elif state.pending_since < listing.newest_modified <= now:
        # A file was uploaded again with the same content: the upload is still going on.
        state.pending_since = listing.newest_modified
    return True


def _appeared_at(listing: DayListing, previously_listed_at: float, now: float) -> float:
    """When the day got this fingerprint, in seconds since 1970.

    It is the newest object's LastModified if uploads explain the change: always at the first
    listing, and later if that object is newer than the listing before. A deletion leaves no time
    behind, so it counts as now. A LastModified in the future (S3's clock is ahead) counts as now.
    """
    now = to_milliseconds(now)
    # S3 shows whole seconds, rounded down: the object may be up to one second newer.
    is_upload = previously_listed_at == 0 or listing.newest_modified + 1 > previously_listed_at
    if listing.fingerprint != NO_FILES and is_upload:
        return min(listing.newest_modified, now)
    return now


def _reason_to_wait(
    policy: Policy, state: DayState, listing: DayListing, now: float
) -> Wait | None:
    """Why the day must wait; None if it is complete."""
    unchanged_seconds = now - state.pending_since
    remaining_seconds = policy.settle_seconds - unchanged_seconds
    settled_at = datetime.fromtimestamp(math.ceil(state.pending_since) + policy.settle_seconds, UTC)
    unchanged = (
        f"unchanged for {max(0, unchanged_seconds):.0f} of {policy.settle_seconds} s "
        f"(until {settled_at:%H:%M:%S} UTC)"
    )
    files = f"{listing.file_count} file{'' if listing.file_count == 1 else 's'}"
    if listing.fingerprint == NO_FILES:
        reason = f"all files were deleted, {unchanged}"
    elif listing.file_count < policy.min_files:
        return Wait(f"{listing.file_count} of at least {policy.min_files} files")
    elif policy.marker is None:
        reason = f"{files}, {unchanged}"
    elif listing.marker_modified is None:
        return Wait(f"{files}, {policy.marker} is missing")
    elif listing.marker_modified >= listing.newest_modified:
        return None
    else:
        reason = f"{files}, changed after {policy.marker} was written, {unchanged}"
    return Wait(reason, remaining_seconds) if remaining_seconds > 0 else None


def _is_processed(day: date, state: DayState, listing: DayListing, history: RequestHistory) -> bool:
    """Whether the day needs no run although something changed."""
    if state.requested_fingerprint is None:
        return history.materialized_fingerprint(day) == listing.fingerprint
    if listing.fingerprint != state.requested_fingerprint:
        return False
    # It changed and changed back: only a run that was under way meanwhile can have read something
    # different.
    return not any(
        run.started_at is not None
        and (run.ended_at is None or run.ended_at >= state.last_unchanged_at - CLOCK_SLACK_SECONDS)
        for run in history.of_days([day]).get(day, ())
    )
