"""What a COPY or an UNLOAD may use of the session that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from xacct_sandbox.redshift import roles
from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.server.faults import SessionFaults
from xacct_sandbox.redshift.server.identity import Identity
from xacct_sandbox.redshift.sql.system_catalog import SystemCatalog, utc_now


@dataclass(frozen=True)
class StatementContext:
    """One running COPY or UNLOAD.

    Attributes:
        query_id: Its number in the system views.
        sql: Its text.
        backend: The client's database connection. Nothing else uses it meanwhile.
        catalog: The sandbox's own connection, for rows that stay when the client rolls back.
        send_info: Sends the client an INFO message.
        cancel_query: Cancels what runs on ``backend``.
        start: UTC.
    """

    query_id: int
    sql: str
    identity: Identity
    backend: Backend
    catalog: SystemCatalog
    faults: SessionFaults
    send_info: Callable[[str], None]
    cancel_query: Callable[[], Awaitable[None]]
    start: datetime = field(default_factory=utc_now)

    async def role_chain(
        self, named_roles: tuple[str, ...] | str
    ) -> tuple[roles.Namespace, tuple[str, ...]]:
        """The namespace, and the role chain that IAM_ROLE names.

        Raises:
            RedshiftError: There is no namespace, or the role is not attached to it.
        """
        namespace = await self.catalog.namespace()
        chain = roles.resolve_chain(namespace, named_roles)
        assert namespace is not None
        return namespace, chain

    async def assume(
        self, namespace: roles.Namespace, chain: tuple[str, ...], region: str | None
    ) -> roles.RoleSession:
        """Assume the role chain.

        Raises:
            RedshiftError: A role was denied.
        """
        return await asyncio.to_thread(
            roles.assume_chain, namespace, chain, self.identity.user, region=region
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[bool]:
        """Run the block in the client's transaction, or in one of its own if none is open.

        Yields:
            Whether it is the block's own. That one is committed, or rolled back on an error.
        """
        backend = self.backend
        own = backend.status == b"I"
        if own:
            await backend.query("BEGIN")
        try:
            yield own
            if own:
                await backend.query("COMMIT")
        except BaseException:
            if own and backend.status != b"I":
                await backend.query("ROLLBACK")
            raise
