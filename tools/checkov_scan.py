"""Runs checkov: ``.venv/checkov/bin/python -m tools.checkov_scan``, with checkov's arguments.

The JSONPath library that checkov uses makes the tables of its parser anew for each path, which took
29 of the 45 seconds of a run. Here they are made once.
"""

from __future__ import annotations

import runpy
from typing import Any

import ply.yacc

_make = ply.yacc.yacc
_parsers: dict[tuple[type, str], Any] = {}


def _made_once(*, module: object, start: str, **options: Any) -> Any:
    key = type(module), start
    if key not in _parsers:
        _parsers[key] = _make(module=module, start=start, **options)
    return _parsers[key]


if __name__ == "__main__":
    ply.yacc.yacc = _made_once
    runpy.run_module("checkov.main", run_name="__main__")
