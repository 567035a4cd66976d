"""`python -m benchmarks [name]`: run one benchmark, or all of them."""

from __future__ import annotations

import sys
from importlib import import_module

#: Name on the command line, and the module whose ``main()`` measures it and writes its section.
BENCHMARKS = {"sensor": "benchmarks.sensor_tick"}


def main(arguments: list[str]) -> int:
    """The exit code of the first that fails."""
    if unknown := [name for name in arguments if name not in BENCHMARKS]:
        sys.stderr.write(
            f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}\n"
        )
        return 2
    for name in arguments or BENCHMARKS:
        if code := import_module(BENCHMARKS[name]).main():
            return int(code)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
