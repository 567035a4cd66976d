"""The accounts that the claims are tried on: one sandbox for all of them, unless `make test-aws`
hands in two real accounts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance import cleanup, plan
from tests.conformance.target import Account, Target, new_prefix
from tests.conformance.warehouse import Warehouse, warehouse_of
from tests.support.sandbox import RunningSandbox, running_sandbox

#: The name under which ``tests.conformance.__main__`` registers its plug-in with the real accounts.
GIVEN = "claims-target"


@pytest.fixture(scope="package")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """Both accounts. At the end nothing is left, and no more was used than is planned.

    The sandbox is not that of other tests: it has one Redshift namespace, which is made here.
    """
    given: Any = request.config.pluginmanager.get_plugin(GIVEN)
    if given is not None:
        # Removed by the command, which also runs after an interrupt.
        yield given.target
        return
    with running_sandbox() as sandbox:
        target = of_sandbox(sandbox)
        yield target
        left = cleanup.remove_everything(target, patience=60)
        assert [str(item) for item in left] == []
        assert plan.exceeded(target.spent) == []


def of_sandbox(sandbox: RunningSandbox) -> Target:
    """The two accounts of a sandbox."""
    options = {
        "endpoint_url": sandbox.config.endpoint_url,
        "verify": str(sandbox.config.ca_pem),
    }
    return Target(
        a=Account(sandbox.config.account_a, sandbox.session("account-a-admin"), options),
        b=Account(sandbox.config.account_b, sandbox.session("account-b-admin"), options),
        region=sandbox.config.region,
        prefix=new_prefix(),
        patience=20,
        pause=0.1,
    )


@pytest.fixture(scope="package")
def warehouse(target: Target) -> Iterator[Warehouse]:
    """A namespace and a workgroup, with the roles that COPY and UNLOAD need in both accounts."""
    started = time.monotonic()
    yield warehouse_of(target)
    target.spent["warehouse seconds"] = round(time.monotonic() - started)
