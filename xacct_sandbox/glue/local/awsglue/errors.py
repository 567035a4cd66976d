"""The error for features of Glue that this local `awsglue` does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class UnsupportedByLocalGlueError(Exception):
    """The script uses a feature of AWS Glue that the sandbox does not have; the text names it."""


def refuse(feature: str, instead: str) -> UnsupportedByLocalGlueError:
    """The error for an unsupported feature.

    Args:
        feature: what the script uses.
        instead: what it can use.
    """
    return UnsupportedByLocalGlueError(f"the sandbox's Glue does not support {feature}; {instead}")


def check_options(operation: str, options: Mapping[str, Any], supported: Iterable[str]) -> None:
    """Refuse unsupported options.

    Args:
        operation: what the options are for, for the error message.
        options: of the script.
        supported: names of the options that have an effect.

    Raises:
        UnsupportedByLocalGlueError: naming the first unsupported one.
    """
    names = sorted(supported)
    for name in options:
        if name not in names:
            raise refuse(f"option {name!r} of {operation}", f"supported are {', '.join(names)}")
