"""Imported by the process that runs are forked from: what is loaded here, no run has to load."""

from tools.chaos.run_process import jobs

jobs()
