"""A service that a job's network does not reach times out, and no other does."""

from __future__ import annotations

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

from xacct_sandbox.glue.jobs.endpoints import cut_off


@pytest.mark.parametrize("service", ["secretsmanager", "sts", "s3", "glue"])
def test_a_call_to_a_service_out_of_reach_times_out(service: str) -> None:
    session = botocore.session.Session()
    session.set_config_variable("region", "us-east-1")
    session.set_credentials("a", "b")
    cut_off(session, ["secrets-manager"], 0)
    client = session.create_client(
        service,
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        config=Config(retries={"max_attempts": 0}),
    )
    call = {
        "secretsmanager": "list_secrets",
        "sts": "get_caller_identity",
        "s3": "list_buckets",
        "glue": "get_databases",
    }[service]
    expected = ConnectTimeoutError if service == "secretsmanager" else EndpointConnectionError
    with pytest.raises(expected) as raised:
        getattr(client, call)()
    if service == "secretsmanager":
        assert "secretsmanager.us-east-1.amazonaws.com" in str(raised.value)
