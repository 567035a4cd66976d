"""Compares the sandbox's decisions with a simulator that nobody here wrote: `make test-iam`."""
