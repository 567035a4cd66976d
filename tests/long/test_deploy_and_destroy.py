"""Every resource changed and deleted by hand, one at a time; 30 kills of deploy and of destroy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.deployments import (
    delete_snapshots,
    restore_what_was_changed,
    survive_kills,
    xacct,
)
from tests.support.sandbox import RunningSandbox, own_sandbox
from xacct_assets.operations.deployment.changes import UNREADABLE
from xacct_assets.operations.deployment.plan import resource_types, template
from xacct_assets.sources import sources_root

RESOURCES = [
    logical_id
    for file in ("account_a", "account_b", "feed")
    for logical_id, type_ in resource_types(template(sources_root(), f"{file}.yaml")).items()
    # Made only of an adopted URI.
    if type_ not in UNREADABLE and logical_id != "JsonSecret"
]


@pytest.fixture(scope="module")
def own() -> Iterator[RunningSandbox]:
    with own_sandbox() as running:
        yield running
        # Each holds the whole database, and all that is stored is searched for secrets at the end.
        delete_snapshots(running)


@pytest.mark.timeout(7200)
def test_deploy_and_destroy_survive_30_kills_each(own: RunningSandbox) -> None:
    survive_kills(own, each=30)


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "changed"])
@pytest.mark.parametrize("logical_id", RESOURCES)
def test_every_resource_is_restored(own: RunningSandbox, logical_id: str, deleted: bool) -> None:
    xacct(own, "deploy", "--yes")
    restore_what_was_changed(own, logical_id, delete=deleted)
