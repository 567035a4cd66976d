"""What the daemon and its Spark workers must agree on."""

END_OF_OUTPUT = "\x1exacct-end-of-run"
"""A worker writes it to both outputs after a script: what comes before it is the script's."""
