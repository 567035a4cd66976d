"""The exception that every emulated operation raises to answer with an AWS error."""

from __future__ import annotations


class ServiceError(Exception):
    """An AWS error response.

    Args:
        code: the error code, e.g. ``AccessDeniedException``.
        message: the text for the caller.
        status: the HTTP status of the response.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
