"""A boto3 client in memory, validated against botocore's service models."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@functools.cache
def _operation_names(service: str) -> dict[str, str]:
    """The wire name of each operation, by the name of the client's method."""
    return {botocore.xform_name(name): name for name in _model(service).operation_names}


class _Events:
    """Records the registered handlers. Nothing is sent, so none of them is called."""

    def __init__(self) -> None:
        self.registered: dict[str, Any] = {}

    def register_first(self, name: str, handler: Any, unique_id: str | None = None) -> None:
        self.registered[name] = handler


class _Meta:
    def __init__(self, service: str) -> None:
        self.service_model = _model(service)
        self.region_name = "us-east-1"
        self.events = _Events()


class ModelledClient:
    """A client whose operations are plain functions.

    Requests and answers are validated against the service's model.

    Args:
        service: boto3's name of the service.
        operations: a function per method of the client.

    Attributes:
        calls: method and request of each call, in order.
    """

    def __init__(self, service: str, **operations: Callable[..., dict[str, Any]]) -> None:
        self.meta = _Meta(service)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._service = service
        self._operations = operations

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if name.startswith("_") or name not in self._operations:
            raise AttributeError(f"the fake has no operation {name}")
        wire_name = _operation_names(self._service)[name]
        operation = self.meta.service_model.operation_model(wire_name)

        def call(**request: Any) -> dict[str, Any]:
            self._validate(request, operation.input_shape, f"request of {wire_name}")
            self.calls.append((name, request))
            answer = self._operations[name](**request)
            if operation.output_shape is not None:
                outside = ("Body", "ResponseMetadata")
                plain = {key: value for key, value in answer.items() if key not in outside}
                self._validate(plain, operation.output_shape, f"answer of {wire_name}")
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        """A paginator of an operation that is paged by ContinuationToken."""
        client = self

        class Paginator:
            def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
                token: dict[str, str] = {}
                while True:
                    page = getattr(client, name)(**request, **token)
                    yield page
                    if "NextContinuationToken" not in page:
                        return
                    token = {"ContinuationToken": page["NextContinuationToken"]}

        return Paginator()

    def named(self, name: str) -> list[dict[str, Any]]:
        """The requests of one method, in order."""
        return [request for operation, request in self.calls if operation == name]

    @staticmethod
    def _validate(value: dict[str, Any], shape: Any, label: str) -> None:
        report = ParamValidator().validate(value, shape)
        assert not report.has_errors(), f"{label}: {report.generate_report()}"


def client_error(
    code: str, message: str = "no", status: int = 400, operation: str = "Op"
) -> ClientError:
    """The error that boto3 raises for an error answer."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        operation,
    )
