"""The network: the one route, rule, endpoint or peering connection that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xacct_assets.aws.errors import InvalidRequest
from xacct_assets.network_paths import missing_piece, network_ids
from xacct_assets.operations.doctor.findings import NotProven

if TYPE_CHECKING:
    from xacct_assets.operations.doctor.installation import Installation


def network(here: Installation) -> str:
    """Everything between Dagster, Glue's jobs, the warehouse and AWS's services is there."""
    settings = here.settings
    created = settings.network == "create"
    ids = network_ids(settings, here.stack)
    if not ids:
        if created:
            raise InvalidRequest(
                f"stack {settings.stack_network} lacks outputs", fix="`xacct deploy`"
            )
        raise NotProven(
            "the network is your own, and this installation does not know its subnets",
            'give them: `xacct deploy --parameter WarehouseSubnetIds=…` (docs/deploy.md, "The '
            'network")',
        )
    missing = missing_piece(ids, here.aws.client("ec2"))
    if missing is None:
        return "Dagster, Glue's jobs and the warehouse reach each other, and AWS's services"
    raise InvalidRequest(
        missing,
        account=settings.account_b,
        fix="`xacct deploy` makes what infra/network.yaml says"
        if created
        else 'add it to your network (docs/deploy.md, "The network")',
    )
