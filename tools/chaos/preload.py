"""Imported by the fork server, so that the runs' processes need not load the jobs."""

from tools.chaos.run_process import jobs

jobs()
