"""CrossAccountFeed: a feed's YAML becomes its assets, checks, job, schedule and sensor."""

from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel, ModelWrapValidatorHandler, PrivateAttr, model_validator

from xacct_assets.feed.arrival.sensor import build_sensor
from xacct_assets.feed.assets import feed_assets
from xacct_assets.feed.checks import feed_checks
from xacct_assets.feed.loader import has_template
from xacct_assets.feed.scaffolder import FeedScaffolder
from xacct_assets.feed.schedule import build_schedule, job_name
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import arrival_overrides


class FeedAttributes(FeedSpec):
    """The attributes of a ``defs.yaml``: a feed, in which values may be Jinja templates.

    Without templates the attributes are validated as they are read, so that an error has its line.
    """

    _templates: Mapping[str, Any] | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _defer_templates(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, Mapping) and has_template(value):
            return cls.model_construct().with_templates(value)
        return handler(value)

    def with_templates(self, values: Mapping[str, Any]) -> Self:
        """Keeps the raw values until they can be rendered."""
        self._templates = values
        return self

    def resolve(self, context: dg.ResolutionContext) -> FeedSpec:
        """The feed, with its templates rendered.

        Raises:
            ResolutionException: a template cannot be rendered.
            ValidationError: the rendered values are no valid feed.
        """
        if self._templates is None:
            return self
        return FeedSpec.model_validate(_render(self._templates, context))


# `load` is a field of the feed (its Glue job). Dagster calls Component.load on the class only.
@dg.scaffold_with(FeedScaffolder)
class CrossAccountFeed(dg.Component, FeedSpec, dg.Resolvable):  # type: ignore[misc]
    """A feed of daily files that land in a central account and are processed in another.

    Each day is crawled, loaded into Redshift by a Glue job, transformed by a stored procedure and
    unloaded to the central account again. The rows of every step are accounted for.
    """

    @classmethod
    def model(cls) -> type[BaseModel]:
        """The schema of the YAML: the feed's own, which is stricter than a derived one."""
        return FeedAttributes

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:
        """The component of the YAML's attributes."""
        assert isinstance(model, FeedAttributes)
        feed = model.resolve(context)
        return cls(**{name: getattr(feed, name) for name in FeedSpec.model_fields})

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What ``dg list components`` shows."""
        return dg.ComponentTypeSpec(
            description="A daily feed from raw files in one AWS account to an export back to it.",
            tags=["s3", "glue", "redshift", "cross-account"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The feed's assets, checks, job, schedule and sensor.

        Raises:
            SettingsError: the installation sets a field of ``arrival`` to an unusable value.
        """
        arrival = self.arrival.overridden(arrival_overrides())
        return feed_definitions(self.model_copy(update={"arrival": arrival}))


def feed_definitions(feed: FeedSpec) -> dg.Definitions:
    """A feed's assets, checks, job, schedule and sensor."""
    job = dg.define_asset_job(
        job_name(feed),
        selection=dg.AssetSelection.groups(feed.name),
        description=f"Takes a day (or a range) of {feed.name} through all five assets.",
    )
    return dg.Definitions(
        assets=feed_assets(feed),
        asset_checks=feed_checks(feed),
        jobs=[job],
        schedules=[build_schedule(feed)],
        sensors=[build_sensor(feed)],
    )


def _render(value: Any, context: dg.ResolutionContext) -> Any:
    """Renders the strings that hold templates. Jinja would turn others, such as "10", to numbers.

    Raises:
        ValueError: a template renders to nothing, as that of an unset variable does.
    """
    if isinstance(value, Mapping):
        return {key: _render(item, context.at_path(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_render(item, context.at_path(index)) for index, item in enumerate(value)]
    if not has_template(value):
        return value
    rendered: object = context.resolve_value(value, as_type=object)
    if rendered is None:
        field = ".".join(map(str, context.path[1:]))
        raise ValueError(f"{field}: {value} renders to nothing; set the variable that it names")
    return rendered
