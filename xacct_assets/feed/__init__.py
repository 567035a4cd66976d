"""One feed, from its YAML to assets, checks, sensor, schedule and job.

A ``defs.yaml`` names ``CrossAccountFeed``. It is imported on first access, so that the command line
can use ``spec``, ``loader`` and ``reconciliation`` without importing Dagster.
"""

from typing import Any

__all__ = ["CrossAccountFeed"]


def __getattr__(name: str) -> Any:
    if name == "CrossAccountFeed":
        try:
            from xacct_assets.feed.component import CrossAccountFeed
        except AttributeError as error:
            # hasattr() would take it for "there is no such component" and hide the reason.
            raise ImportError(f"xacct_assets.feed.component cannot be imported: {error}") from error
        return CrossAccountFeed
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
