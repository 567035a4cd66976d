"""botocore's service models, read from its files once per process.

Every botocore session reads the models of its services again: megabytes of JSON, and 0.14 s of a
run. The sessions of a process share one loader, and the process that runs are forked from has read
the models in advance.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from botocore.session import Session

#: The services that every run calls.
SERVICES_OF_A_RUN = ("sts", "s3", "glue", "redshift-data", "secretsmanager", "logs")


@functools.cache
def shared_loader(data_path: str | None) -> Loader:
    """The loader of service models that this process shares.

    Args:
        data_path: botocore's setting ``data_path``: folders with further models.
    """
    from botocore.loaders import create_loader

    return create_loader(data_path)


def read_ahead() -> None:
    """Read the models that the clients of a run need, by making clients; no request is sent."""
    from botocore.session import Session

    session = Session()
    use_shared(session)
    for service in SERVICES_OF_A_RUN:
        session.create_client(
            service,
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 -- the client asks for one, and is not used
        )


def use_shared(session: Session) -> None:
    """Make a botocore session use the shared loader."""
    loader = shared_loader(session.get_config_variable("data_path"))
    session.register_component("data_loader", loader)
