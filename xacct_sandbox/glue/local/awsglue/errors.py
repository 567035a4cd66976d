"""What this local `awsglue` says when it cannot do what Glue can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class UnsupportedByLocalGlueError(Exception):
    """Something that AWS Glue does and the sandbox does not; the text names it."""


def refuse(what: str, instead: str) -> UnsupportedByLocalGlueError:
    """The error for a thing that the sandbox does not do."""
    return UnsupportedByLocalGlueError(f"the sandbox's Glue does not support {what}; {instead}")


def check_options(where: str, options: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse options that would otherwise have to be ignored.

    Raises:
        UnsupportedByLocalGlueError: naming the first one.
    """
    supported = sorted(known)
    for name in options:
        if name not in supported:
            raise refuse(f"option {name!r} of {where}", f"supported are {', '.join(supported)}")
