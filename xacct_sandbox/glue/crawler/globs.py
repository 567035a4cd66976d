"""The glob patterns of a crawler's Exclusions.

Rules (Glue developer guide, "Include and exclude patterns"): ``*`` stays within one folder,
``**`` crosses folders, ``?`` is one character, ``[...]`` a set (``!`` first negates it), ``{a,b}``
alternatives that cannot be nested, ``\\`` escapes the next character. A pattern is matched against
the key relative to the include path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


class InvalidGlob(ValueError):
    """The pattern is not a valid glob."""


def excluder(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A test for keys, relative to the include path, that one of the patterns excludes.

    Raises:
        InvalidGlob: naming a pattern that is not valid.
    """
    compiled = [compile_glob(pattern) for pattern in patterns]
    return lambda relative_key: any(glob.fullmatch(relative_key) for glob in compiled)


def compile_glob(pattern: str) -> re.Pattern[str]:
    """The regular expression of one exclude pattern.

    Raises:
        InvalidGlob: unclosed or nested group, unclosed set, or a backslash at the end.
    """
    out: list[str] = []
    in_group = False
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            if pattern[at : at + 1] == "*":
                at += 1
                # Unlike in Java's globs, "**/x" also matches x in the include path itself: Glue's
                # documentation excludes "**.csv" at every level, including the first.
                out.append(".*")
            else:
                out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            closing = pattern.find("]", at + 1 if pattern[at : at + 1] != "!" else at + 2)
            if closing < 0:
                raise InvalidGlob(f"exclude pattern {pattern!r}: '[' is never closed")
            out.append(_bracket(pattern[at:closing]))
            at = closing + 1
        elif char == "{":
            if in_group:
                raise InvalidGlob(f"exclude pattern {pattern!r}: groups cannot be nested")
            in_group = True
            out.append("(?:")
        elif char == "}" and in_group:
            in_group = False
            out.append(")")
        elif char == "," and in_group:
            out.append("|")
        elif char == "\\":
            if at == len(pattern):
                raise InvalidGlob(f"exclude pattern {pattern!r} ends in a lone backslash")
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(char))
    if in_group:
        raise InvalidGlob(f"exclude pattern {pattern!r}: '{{' is never closed")
    return re.compile("".join(out), re.DOTALL)


def _bracket(content: str) -> str:
    negated = content.startswith("!")
    body = content[1:] if negated else content
    escaped = body.replace("\\", "\\\\").replace("^", "\\^").replace("[", "\\[")
    escaped = escaped.replace("&", "\\&").replace("~", "\\~").replace("|", "\\|")
    # A set never matches the folder delimiter.
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
