"""Measurements of what the project claims about cost; `make bench` writes docs/benchmarks.md."""
