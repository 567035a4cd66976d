"""When a feed's days are run: by the arrival of their files, and by the daily schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from xacct_assets.feed.spec.names import FileName, QueueName, TimeZone
from xacct_assets.feed.spec.section import Section, refuse_options


class Arrival(Section):
    """How the sensor finds new days, and when it considers a day complete."""

    mode: Literal["poll", "events"] = Field(
        default="poll",
        description="poll: the sensor lists the day folders of its window at every tick. events: "
        "it reads S3's notifications, which `xacct deploy` sets up, and lists the window only "
        "every window_every_seconds.",
    )
    queue: QueueName | None = Field(
        default=None,
        description="events only: SQS queue in account B that S3 notifies; by default "
        "xacct-arrivals-<suffix>.",
    )
    days_back: int = Field(
        default=7,
        ge=0,
        le=366,
        description="Start of the window that the sensor lists: days before today (UTC).",
    )
    days_ahead: int = Field(
        default=1,
        ge=0,
        le=7,
        description="End of the window: days after today (UTC), for files of time zones ahead of "
        "UTC.",
    )
    interval_seconds: int | None = Field(
        default=None,
        ge=5,
        le=3600,
        description="Seconds between two ticks of the sensor; by default 30, with mode events 5.",
    )
    window_every_seconds: int | None = Field(
        default=None,
        ge=30,
        le=86400,
        description="events only: seconds between two listings of the whole window, in case a "
        "notification was lost; by default 300.",
    )
    sweep_days_back: int = Field(
        default=90,
        ge=0,
        le=3660,
        description="How many days back the sensor looks for late files outside of its window, a "
        "few days per minute; 0 turns this off. It ends where source.retention_days does; without "
        "that setting, keep it below the age at which raw files are deleted.",
    )
    range_from_days: int = Field(
        default=4,
        ge=2,
        le=367,
        description="At least this many consecutive days that are complete at the same time are "
        "requested as one run (of up to max_days_per_run days); fewer get one run each.",
    )
    settle_seconds: int = Field(
        default=60,
        ge=0,
        le=86400,
        description="Seconds since the last write to a day's files before the day is requested.",
    )
    min_files: int = Field(
        default=1, ge=1, le=100000, description="Files a day must have before it is requested."
    )
    marker: FileName | None = Field(
        default=None,
        description="Name of a file that marks the day as complete, e.g. _SUCCESS; settle_seconds "
        "is then not waited for.",
    )
    start_running: bool = Field(
        default=False,
        description="Whether sensor and schedule are switched on when the feed is first loaded.",
    )

    @property
    def tick_seconds(self) -> int:
        """Seconds between two ticks of the sensor."""
        return self.interval_seconds or (5 if self.mode == "events" else 30)

    def overridden(self, values: Mapping[str, int | bool]) -> Arrival:
        """These settings with other values for some fields."""
        return Arrival.model_validate({**self.model_dump(exclude_unset=True), **values})

    @model_validator(mode="after")
    def _options_fit_the_mode(self) -> Arrival:
        if self.mode == "poll":
            refuse_options(
                self,
                ("queue", "window_every_seconds"),
                name="arrival",
                setting="mode",
                value="events",
            )
        if "sweep_days_back" in self.model_fields_set and 0 < self.sweep_days_back < self.days_back:
            raise ValueError(
                f"sweep_days_back {self.sweep_days_back} lies within the window (days_back "
                f"{self.days_back}): give more, or 0 for no sweep"
            )
        return self


class Schedule(Section):
    """When the schedule runs yesterday's day, unless the sensor has already run it."""

    hour: int = Field(default=6, ge=0, le=23, description="Hour of the daily run, 0 to 23.")
    minute: int = Field(default=0, ge=0, le=59, description="Minute of the daily run, 0 to 59.")
    timezone: TimeZone = Field(
        default="UTC", description="Time zone of hour and minute; partitions are UTC days."
    )
