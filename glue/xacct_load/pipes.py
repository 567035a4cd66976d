"""Dagster Pipes over S3, in the way the orchestrator's side of it expects."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster_pipes import (
    PipesContextData,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    PipesS3MessageWriterChannel,
)


class ContextLoader(PipesS3ContextLoader):
    """Reads the context from the job's arguments if it is short enough for them, else from S3."""

    @contextmanager
    def load_context(self, params: Mapping[str, Any]) -> Iterator[PipesContextData]:
        if "data" in params:
            yield params["data"]
        else:
            with super().load_context(params) as context:
                yield context


class SingleObjectChannel(PipesS3MessageWriterChannel):
    """Writes all messages as one object when the script ends.

    The orchestrator reads them when the job run has ended, so writing them in parts has no use. The
    thread that Pipes starts for that looks at its queue once a second and would delay the end of
    the script by two seconds.
    """

    @contextmanager
    def buffered_upload_loop(self) -> Iterator[None]:
        try:
            yield
        finally:
            messages = self.flush_messages()
            if messages:
                self.upload_messages_chunk(io.StringIO("\n".join(map(json.dumps, messages))), 1)


class MessageWriter(PipesS3MessageWriter):
    """The S3 message writer of Pipes, with one object for all messages."""

    def make_channel(self, params: Mapping[str, Any]) -> SingleObjectChannel:
        return SingleObjectChannel(
            client=self._client, bucket=params["bucket"], key_prefix=params["key_prefix"]
        )
