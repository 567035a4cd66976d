"""Fakes that hold each request and answer against botocore's own service models."""

import functools
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from xacct_assets.aws.denials import set_permission_hints
from xacct_assets.iam_hints import grant_hint


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


class _Events:
    """Takes registrations; nothing is ever sent, so none is ever called."""

    def __init__(self) -> None:
        self.registered: dict[str, Any] = {}

    def register_first(self, name: str, handler: Any, unique_id: str | None = None) -> None:
        self.registered[name] = handler


class ModelledClient:
    """A client whose operations are plain functions; what goes in and out must fit the model."""

    class _Meta:
        def __init__(self, service: str) -> None:
            self.service_model = _model(service)
            self.region_name = "us-east-1"
            self.events = _Events()

    def __init__(self, service: str, **operations: Callable[..., dict[str, Any]]) -> None:
        self.meta = self._Meta(service)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._operations = operations
        self._model = _model(service)

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if name.startswith("_") or name not in self._operations:
            raise AttributeError(f"the fake has no operation {name}")
        wire_name = next(
            operation
            for operation in self._model.operation_names
            if botocore.xform_name(operation) == name
        )
        operation = self._model.operation_model(wire_name)

        def call(**request: Any) -> dict[str, Any]:
            self._fit(request, operation.input_shape, f"request of {wire_name}")
            self.calls.append((name, request))
            answer = self._operations[name](**request)
            if operation.output_shape is not None:
                outside = ("Body", "ResponseMetadata")
                plain = {key: value for key, value in answer.items() if key not in outside}
                self._fit(plain, operation.output_shape, f"answer of {wire_name}")
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        client = self

        class Paginator:
            def paginate(self, **request: Any) -> Any:
                token: dict[str, str] = {}
                while True:
                    page = getattr(client, name)(**request, **token)
                    yield page
                    if "NextContinuationToken" not in page:
                        return
                    token = {"ContinuationToken": page["NextContinuationToken"]}

        return Paginator()

    def named(self, name: str) -> list[dict[str, Any]]:
        """The requests of one operation."""
        return [request for operation, request in self.calls if operation == name]

    @staticmethod
    def _fit(value: dict[str, Any], shape: Any, what: str) -> None:
        report = ParamValidator().validate(value, shape)
        assert not report.has_errors(), f"{what} does not fit the model: {report.generate_report()}"


def _refusal(code: str, message: str = "no", status: int = 400, operation: str = "Op") -> Any:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        operation,
    )


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += max(seconds, 0.001)


@pytest.fixture(autouse=True)
def _hints_about_this_repository() -> None:
    set_permission_hints(grant_hint)


@pytest.fixture
def modelled() -> type[ModelledClient]:
    return ModelledClient


@pytest.fixture
def refusal() -> Callable[..., ClientError]:
    return _refusal


@pytest.fixture
def clock() -> Clock:
    return Clock()
