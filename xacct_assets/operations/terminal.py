"""Exit codes of `xacct` and its output to the terminal."""

import sys
import time

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def show(text: str) -> None:
    """Print a line to standard output, at once also if it is a pipe."""
    print(text, flush=True)  # noqa: T201


def show_error(text: str) -> None:
    """Print a line to standard error."""
    print(f"xacct: {text}", file=sys.stderr, flush=True)  # noqa: T201


def confirmed(question: str) -> bool:
    """Ask a question that the user answers with y or n; no, unless somebody can answer."""
    if not sys.stdin.isatty():
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        show("")
        return False


class Progress:
    """Prints lines that begin with the seconds since the command started."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print a line."""
        show(f"[{time.monotonic() - self._started:6.1f} s] {text}")
