"""What the daemon and its Spark workers must agree on.

A worker writes these lines to both of its outputs: what stands between them is the script's.
"""

START_OF_OUTPUT = "\x1exacct-start-of-run"
END_OF_OUTPUT = "\x1exacct-end-of-run"
