"""The AWS clients as a Dagster resource, so that the UI shows which installation is worked on."""

import functools
from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import Field

from xacct_assets.aws_clients import AwsClients
from xacct_assets.key_settings import Keys
from xacct_assets.settings import Settings


class AwsClientsResource(dg.ConfigurableResource[AwsClients]):
    """Clients for the two accounts. No secret is in here: logins are read when they are used."""

    account_a: str = Field(description="Account id of the central account (raw and exports).")
    account_b: str = Field(description="Account id of the processing account.")
    suffix: str = Field(description="Ends every name of the installation.")
    region: str = Field(description="AWS Region of both accounts.")
    input_bucket: str = Field(description="Raw bucket in the central account.")
    export_bucket: str = Field(description="Export bucket in the central account.")
    processing_bucket: str = Field(
        description="Working bucket in the processing account: scripts, rejects, Pipes messages."
    )
    role_a_arn: str = Field(description="Role of the central account that writes exports.")
    role_b_arn: str = Field(description="Role attached to Redshift; first of UNLOAD's chain.")
    workgroup: str = Field(description="Redshift Serverless workgroup.")
    database: str = Field(description="Database in the workgroup.")
    redshift_secret: str = Field(description="Name or ARN of the secret with Redshift's login.")
    data_api_secret: str | None = Field(
        default=None,
        description="Name or ARN of a JSON secret for the Data API, if the other is a URI.",
    )
    redshift_login: str = Field(
        default="secret", description="How to log in to Redshift: secret, or iam."
    )
    warehouse_host: str | None = Field(
        default=None, description="Host of Redshift, if not the workgroup's own; for login by IAM."
    )
    warehouse_port: int | None = Field(default=None, description="Its port, likewise.")
    glue_connection: str = Field(description="Glue connection that leads to Redshift.")
    console_url: str = Field(description="AWS Console that links in metadata lead to.")
    extra_feeds_dir: str | None = Field(
        default=None, description="Folder of feeds besides those of the package, with their SQL."
    )
    dagster_url: str | None = Field(
        default=None, description="Dagster UI that links in alerts lead to."
    )
    export_key: str = Field(
        default="",
        description="KMS key of exports: its ARN, create for the template's own, empty for S3's.",
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The resource of an installation."""
        values = {name: getattr(settings, name) for name in _FIELDS}
        folder = settings.extra_feeds_dir
        values["extra_feeds_dir"] = None if folder is None else str(folder)
        return cls(**values, export_key=settings.keys.export)

    def create_resource(self, context: dg.InitResourceContext) -> AwsClients:
        """The process's clients: built once, however many steps and ticks ask for them."""
        values = {name: getattr(self, name) for name in _FIELDS}
        folder = None if self.extra_feeds_dir is None else Path(self.extra_feeds_dir)
        keys = Keys(export=self.export_key)
        return _aws_clients(Settings(**{**values, "extra_feeds_dir": folder, "keys": keys}))


_FIELDS = tuple(name for name in AwsClientsResource.model_fields if name != "export_key")


@functools.cache
def _aws_clients(settings: Settings) -> AwsClients:
    return AwsClients(settings)
