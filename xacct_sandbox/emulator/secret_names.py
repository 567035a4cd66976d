"""Keeps the name of a deleted secret taken until its recovery window ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator, Response


def patch_secret_names(emulator: Emulator) -> None:
    """Makes CreateSecret tell a deleted secret from one that is there (CreateSecret, Errors).

    aws-claims: secret-deleted-can-be-restored
    """
    secrets = emulator.secrets
    create = secrets._create_secret

    def create_secret(data: Mapping[str, Any]) -> Response:
        found = secrets._secrets.get(data.get("Name"))
        if found and found.get("DeletedDate"):
            refusal: Response = emulator.responses.error_response_json(
                "InvalidRequestException",
                "You can't create this secret because a secret with this name is already scheduled "
                "for deletion.",
                400,
            )
            return refusal
        response: Response = create(data)
        return response

    secrets._create_secret = create_secret
