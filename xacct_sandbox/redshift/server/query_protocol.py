"""What the simple and the extended query protocol of a session share."""

from __future__ import annotations

from dataclasses import dataclass

from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.server.client_connection import ClientConnection
from xacct_sandbox.redshift.server.faults import SessionFaults
from xacct_sandbox.redshift.server.identity import Identity
from xacct_sandbox.redshift.server.query_history import QueryHistory
from xacct_sandbox.redshift.server.relay import Relay
from xacct_sandbox.redshift.server.statement_executor import StatementExecutor
from xacct_sandbox.redshift.sql.errors import (
    FEATURE_NOT_SUPPORTED,
    INSUFFICIENT_PRIVILEGE,
    RedshiftError,
)
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Refuse, SwitchUser
from xacct_sandbox.redshift.sql.system_catalog import SystemCatalog


@dataclass(frozen=True)
class SessionParts:
    """The parts of one session."""

    client: ClientConnection
    backend: Backend
    relay: Relay
    executor: StatementExecutor
    history: QueryHistory
    faults: SessionFaults
    catalog: SystemCatalog


class QueryProtocol:
    """Handles the messages of one query protocol."""

    def __init__(self, parts: SessionParts) -> None:
        self._client = parts.client
        self._backend = parts.backend
        self._relay = parts.relay
        self._executor = parts.executor
        self._history = parts.history
        self._faults = parts.faults
        self._catalog = parts.catalog

    async def _planned_fault(self, plans: list[Plan], sql: str) -> RedshiftError | None:
        """The error that the statements are to fail with, if a fault is planned for them."""
        in_transaction = self._backend.status != b"I"
        return await self._faults.before(plans, sql, in_transaction=in_transaction)


def permitted(plan: Plan, sql: str, identity: Identity) -> Plan:
    """The plan for this user. The sandbox's own user may use all of PostgreSQL."""
    if identity.is_superuser:
        if isinstance(plan, Refuse) and plan.error.sqlstate == FEATURE_NOT_SUPPORTED:
            return Pass(sql)
        return plan
    if isinstance(plan, SwitchUser):
        return Refuse(
            RedshiftError(
                "permission denied to set session authorization", sqlstate=INSUFFICIENT_PRIVILEGE
            )
        )
    return plan
