"""Puts the local `awsglue` on the path, as it is in the sandbox's Spark workers."""

from __future__ import annotations

import sys

from xacct_sandbox.glue.jobs.worker import LOCAL_AWSGLUE

if str(LOCAL_AWSGLUE) not in sys.path:
    sys.path.append(str(LOCAL_AWSGLUE))
