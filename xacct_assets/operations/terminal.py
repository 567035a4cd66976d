"""Exit codes of `xacct` and its output to the terminal."""

import sys
import time
from collections.abc import Mapping

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


def chosen(
    question: str, choices: Mapping[str, str], likely: str | None, *, is_open: bool = False
) -> str | None:
    """Ask a question with several answers; None if nobody can answer.

    Args:
        question: to show.
        choices: the answers and what each means.
        likely: the answer of an empty line; None if one must be given.
        is_open: whether other answers are possible.
    """
    if not sys.stdin.isatty():
        return None
    show("\n  ".join([f"\n{question}", *(f"{one}: {what}" for one, what in choices.items())]))
    hint = f" [{likely}]" if likely is not None else ""
    try:
        while True:
            answer = input(f"Answer{hint}: ").strip() or likely
            if answer in choices or (answer and is_open):
                return answer
            show(f"Please give one of: {'  '.join(choices)}")
    except EOFError:
        show("")
        return None


class Progress:
    """Prints lines that begin with the seconds since the command started."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print a line."""
        show(f"[{time.monotonic() - self._started:6.1f} s] {text}")
