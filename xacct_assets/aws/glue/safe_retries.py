"""Prevents botocore from repeating a request that may have started work.

aws-claims: job-start-has-no-token
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import error_code, http_status

if TYPE_CHECKING:
    from botocore.client import BaseClient


def forbid_unsafe_retries(client: BaseClient, operation: str) -> None:
    """Stop botocore from repeating an operation that may have been done.

    Throttling is still retried (nothing was done), and so is a connection that was never made. A
    time-out, a broken connection or a 5xx leaves open whether the work was done; it is raised at
    once.

    Args:
        client: the boto3 client; its event handlers are changed.
        operation: of the service model, such as ``StartJobRun``.
    """
    from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

    def raise_if_unsafe(
        response: tuple[Any, Any] | None,
        caught_exception: Exception | None,
        **_: Any,
    ) -> None:
        if caught_exception is not None:
            if isinstance(caught_exception, ConnectTimeoutError | EndpointConnectionError):
                return
            raise caught_exception
        if response is not None:
            failure = ClientError(response[1], operation)
            if http_status(failure) >= 500 and "Throttl" not in error_code(failure):
                raise failure

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(
        f"needs-retry.{service}.{operation}",
        raise_if_unsafe,
        unique_id=f"xacct-once-{operation}",
    )
