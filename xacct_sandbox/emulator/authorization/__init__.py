"""Judges every call: what it does, to what, under which conditions, and whether policies allow it.

``calls.py`` and ``s3_calls.py`` read a request as its handler will read it; what they do not know
is refused. ``documents.py`` reads and validates policies, ``conditions.py`` and ``evaluation.py``
evaluate them. None of these knows the emulator. ``callers.py`` finds a principal's policies there,
``judgement.py`` combines the two.
"""
