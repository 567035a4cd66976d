"""CloudFormation's behaviour that ministack does not have, or has otherwise.

- ``requests.py``: what is refused; ``change_sets.py``: change sets;
- ``replacement.py``, with the data in ``schemas.py``: what replaces a resource;
- ``existing.py``, ``generated_names.py``: resources that are there already, and names;
- ``held.py``: types that are held with their properties and not run; ``held_calls.py``: what a hand
  may do to them;
- ``drift.py``: what drift detection compares; ``drift_aware.py``: change sets that revert it.
"""

from __future__ import annotations

from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.stacks.change_sets import patch_change_sets
from xacct_sandbox.emulator.stacks.conditions import patch_conditions
from xacct_sandbox.emulator.stacks.drift import patch_drift
from xacct_sandbox.emulator.stacks.drift_aware import patch_drift_aware
from xacct_sandbox.emulator.stacks.existing import patch_existing
from xacct_sandbox.emulator.stacks.replacement import patch_replacement
from xacct_sandbox.emulator.stacks.requests import patch_requests


def patch_stacks(emulator: Emulator) -> None:
    """Installs the patches of this package that come before the checks of rights."""
    patch_conditions(emulator)
    patch_replacement(emulator)
    patch_existing(emulator)
    patch_change_sets(emulator)
    patch_drift(emulator)
    patch_drift_aware(emulator)
    patch_requests(emulator)
