"""What botocore knows of AWS's services, read from its files once a process.

Every botocore session reads the descriptions of its services anew, megabytes of JSON: a seventh of
a second of a run, most of it before its first call. Sessions of a process share them here, and the
process that runs are forked from has read them before.
"""

from __future__ import annotations

import functools
from typing import Any

#: The services that every run calls.
OF_A_RUN = ("sts", "s3", "glue", "redshift-data", "secretsmanager", "logs")


@functools.cache
def shared_loader(data_path: str | None) -> Any:
    """The process's one reader of service descriptions.

    Args:
        data_path: botocore's setting ``data_path``: folders with descriptions of one's own.
    """
    from botocore.loaders import create_loader

    return create_loader(data_path)


def read_ahead() -> None:
    """Read what the clients of a run are made from, by making them; nothing is called."""
    from botocore.session import Session

    session = Session()
    use_shared(session)
    for service in OF_A_RUN:
        session.create_client(
            service,
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 -- the client asks for one, and is not used
        )


def use_shared(session: Any) -> None:
    """Have a botocore session read its descriptions from here."""
    loader = shared_loader(session.get_config_variable("data_path"))
    session.register_component("data_loader", loader)
