"""The base class of the sections of a feed's file."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A strict model: an unknown field is an error, and values are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


def refuse_options(
    section: Section, options: Iterable[str], *, name: str, setting: str, value: str
) -> None:
    """Refuse options that only apply if another setting of the section has a certain value.

    Args:
        name: the section's field in the feed, e.g. ``export``.
        setting: the other setting, e.g. ``format``.
        value: its value that the options apply to, e.g. ``csv``.

    Raises:
        ValueError: an option is set; names it and both fixes.
    """
    for option in options:
        if getattr(section, option) is not None:
            raise ValueError(
                f"{name}.{option} is for {setting}: {value}; remove it, or choose {value}"
            )
