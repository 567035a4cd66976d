"""Dagster's web server behind a guard: who may drive the UI from a browser.

``python -m xacct_assets.web_ui`` is the command ``dagster-webserver`` with it. ``dg dev`` has it
through the ``dagster.yaml`` of `local_runtime`.
"""
