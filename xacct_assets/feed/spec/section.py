"""The base class of the sections of a feed's file."""

from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Section(BaseModel):
    """A strict model: an unknown field is an error, and values are not converted.

    Attributes:
        left_out: fields that are not serialized while they have their defaults. A field that is
            added to a section must not change what is made from the settings of older feeds, as the
            code versions of their assets.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    left_out: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        defaults = _defaults(type(self))
        for name in self.left_out & values.keys():
            if getattr(self, name) == defaults[name]:
                del values[name]
        return values


@cache
def _defaults(section: type[Section]) -> dict[str, Any]:
    """The defaults of the fields that are left out; making them is slow."""
    fields = section.model_fields
    return {name: fields[name].get_default(call_default_factory=True) for name in section.left_out}


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
