"""Dagster Pipes over S3 with keys that follow from the load.

The messages of a load are under ``pipes/<feed>/<load_id>/`` in the processing bucket, not under a
random prefix as with Dagster's own classes. So a step that reattaches to the job run of an earlier
attempt finds its messages. They are read once, after the job run has ended: Dagster's reader polls
S3 all the time and waits ten seconds more at the end. Progress is in the job's log, which is
followed anyway. A lifecycle rule deletes the prefix. A short context is passed as a job argument,
which saves a request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_pipes import encode_param

from xacct_assets.aws.errors import NotFound
from xacct_assets.aws.polling import suppress_and_log

if TYPE_CHECKING:
    from dagster_pipes import PipesContextData, PipesParams

    from xacct_assets.aws.s3.bucket import Bucket

#: A context of at most this many characters, as Pipes encodes it, is passed as a job argument. The
#: Glue API reference names no limit for arguments; the context of a month is about half of this.
INLINE_CHARACTERS = 6_000


@dataclass(frozen=True)
class LoadContextInjector(dg.PipesContextInjector):
    """Passes the context as a job argument, or writes it under the load's prefix.

    Attributes:
        bucket: the processing bucket.
        prefix: of the load's keys; ends with a slash.
    """

    bucket: Bucket
    prefix: str

    @contextmanager
    def inject_context(self, context: PipesContextData) -> Iterator[PipesParams]:
        """What the job script finds its context by."""
        inline: PipesParams = {"data": context}
        if len(encode_param(inline)) <= INLINE_CHARACTERS:
            yield inline
            return
        key = f"{self.prefix}context.json"
        self.bucket.put(key, json.dumps(context).encode())
        # Not deleted: the job run may outlive this process, and a later attempt reattaches.
        yield {"bucket": self.bucket.name, "key": key}

    def no_messages_debug_text(self) -> str:
        """Where the context is, for Dagster's warning that no message came."""
        return f"The context was passed as a job argument, or as {self.prefix}context.json."


@dataclass(frozen=True)
class LoadMessageReader(dg.PipesMessageReader):
    """Reads the load's messages once the job run has ended.

    Attributes:
        bucket: the processing bucket.
        prefix: of the load's keys; ends with a slash.
    """

    bucket: Bucket
    prefix: str

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[PipesParams]:
        """Where the job script writes messages; they are delivered when the block ends."""
        # The job's message writer appends /1.json to this prefix.
        try:
            yield {"bucket": self.bucket.name, "key_prefix": f"{self.prefix}messages"}
        except BaseException:
            # Messages from before the failure help, but must not hide the failure.
            suppress_and_log(
                lambda: self._deliver(handler), f"reading messages under {self.prefix}"
            )
            raise
        self._deliver(handler)

    def _deliver(self, handler: Any) -> None:
        for message in self._messages():
            handler.handle_message(message)

    def _messages(self) -> list[Mapping[str, Any]]:
        """The messages of the load's last job run: one object, written when the script ends."""
        try:
            body = self.bucket.read(f"{self.prefix}messages/1.json")
        except NotFound:
            return []
        return [json.loads(line) for line in body.decode().splitlines()]

    def no_messages_debug_text(self) -> str:
        """Where messages are looked for, for Dagster's warning that none came."""
        return f"Messages are read from s3://{self.bucket.name}/{self.prefix}messages/1.json."
