"""Adds services of the query protocol to the emulator, authorized by IAM like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.loader import Operation, Response, booted
from xacct_sandbox.emulator.state import observed
from xacct_sandbox.service_errors import ServiceError


def add_query_service(
    name: str,
    namespace: str,
    operations: Mapping[str, Operation],
    checks: Callable[[str, dict[str, Any]], list[Check]],
) -> None:
    """Registers a service that gets a form and answers XML.

    Args:
        name: botocore's name of the service, which is also the prefix of its IAM actions.
        namespace: of the answers.
        operations: by name; they get the form's values as they are named there.
        checks: returns what the caller of a request (operation, form) must be allowed.
    """
    emulator = booted()

    def xml(status: int, root: str, inner: str) -> Response:
        body = f'<{root} xmlns="{namespace}">{inner}</{root}>'
        return status, {"Content-Type": "text/xml"}, body.encode()

    async def handle(
        _method: str, _path: str, _headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Response:
        form = parse_qs(body.decode(), keep_blank_values=True) if body else query
        request = {key: values[0] for key, values in form.items()}
        action, _ = request.pop("Action"), request.pop("Version", None)
        try:
            if action not in operations:
                raise ServiceError(
                    "InvalidAction", f"The sandbox does not support {name}:{action}."
                )
            answer = operations[action](request)
        except ServiceError as error:
            text = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
            return xml(error.status, "ErrorResponse", f"{text}<Type>Sender</Type></Error>")
        inner = "".join(_elements(answer))
        return xml(200, f"{action}Response", f"<{action}Result>{inner}</{action}Result>")

    emulator.app.SERVICE_HANDLERS[name] = observed(emulator, handle, frozenset())
    emulator.actions.SERVICE_TO_IAM_NAMESPACE[name] = name
    emulator.service_checks[name] = checks


def _elements(answer: Mapping[str, Any]) -> Iterator[str]:
    for key, value in answer.items():
        inner = "".join(_elements(value)) if isinstance(value, Mapping) else escape(str(value))
        yield f"<{key}>{inner}</{key}>"
