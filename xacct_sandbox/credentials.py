"""Temporary AWS credentials, in the form that all parts of the sandbox use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Credentials:
    """The credentials of a role session. The secrets are left out of ``repr``."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: datetime

    @classmethod
    def from_sts(cls, credentials: Mapping[str, Any]) -> Credentials:
        """Reads the ``Credentials`` of an STS response (AssumeRole, GetSessionToken)."""
        return cls(
            access_key_id=credentials["AccessKeyId"],
            secret_access_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"],
            expiration=credentials["Expiration"],
        )

    @classmethod
    def from_document(cls, document: Mapping[str, str]) -> Credentials:
        """Reads what ``document`` wrote."""
        return cls(
            access_key_id=document["access_key_id"],
            secret_access_key=document["secret_access_key"],
            session_token=document["session_token"],
            expiration=datetime.fromisoformat(document["expiration"]),
        )

    def document(self) -> dict[str, str]:
        """The credentials as a JSON object, secrets included."""
        return {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "session_token": self.session_token,
            "expiration": self.expiration.isoformat(),
        }
