"""Who a session belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from xacct_sandbox.redshift.storage.postgres import SUPERUSER


@dataclass
class Identity:
    """The client of one session; empty until it logs in.

    Attributes:
        user: The database user. SET SESSION AUTHORIZATION changes it.
        database: The database it is connected to.
        application: The ``application_name`` the client gave.
        session_id: The process ID of its PostgreSQL backend.
    """

    user: str = ""
    database: str = ""
    application: str = ""
    session_id: int = 0

    @property
    def is_superuser(self) -> bool:
        """Whether this is rdsdb, the sandbox's own user."""
        return self.user == SUPERUSER
