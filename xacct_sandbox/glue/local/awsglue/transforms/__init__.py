"""Glue's transforms. The scripts of this project use none, so each is refused by name."""

from __future__ import annotations

from awsglue.errors import refuse


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise refuse(
        f"awsglue.transforms.{name}", "use toDF(), Spark's own functions and DynamicFrame.fromDF()"
    )
