"""When a feed's owners are told that data is missing."""

from __future__ import annotations

from pydantic import Field, model_validator

from xacct_assets.feed.spec.section import Section


class Alerts(Section):
    """Deadlines of the feed. Failed runs, checks and ticks are told without any."""

    late_after_hours: int | None = Field(
        default=None,
        ge=1,
        le=720,
        description="Hours after the end of a UTC day at which its first file must have landed; "
        "the owners are told of a day without one. By default nobody is.",
    )
    stale_after_hours: int | None = Field(
        default=None,
        ge=1,
        le=720,
        description="Hours after the end of a UTC day at which it must be exported, or a later "
        "one; the owners are told of an export that is behind. By default nobody is.",
    )

    @model_validator(mode="after")
    def _export_follows_files(self) -> Alerts:
        late, stale = self.late_after_hours, self.stale_after_hours
        if late is not None and stale is not None and stale < late:
            raise ValueError(
                f"stale_after_hours {stale} is before late_after_hours {late}, but a day is "
                "exported after its files have landed; give the larger number to stale_after_hours"
            )
        return self
