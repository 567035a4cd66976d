"""Makes Dagster faster on one machine. Opt-in: only the repository's ``dagster.yaml`` names it.

An instance whose ``dagster.yaml`` does not name `run_launcher` imports nothing of this package.
"""
