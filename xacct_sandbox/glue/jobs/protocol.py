"""Lines with which a Spark worker marks the output of a script, in both of its streams."""

START_OF_OUTPUT = "\x1exacct-start-of-run"
END_OF_OUTPUT = "\x1exacct-end-of-run"
