"""Airflow in a virtual environment of its own, made by the benchmark."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE.parent.parent / ".xacct" / "bench"


class InstallationFailed(Exception):
    """pip could not install the reference."""


def installed(say: Callable[[str], None]) -> Path:
    """The folder of its programs; installed if it is not, or if the pins changed.

    Raises:
        InstallationFailed: with the end of pip's output.
    """
    venv = PLACE / "airflow"
    pins = b"".join((HERE / name).read_bytes() for name in ("requirements.txt", "constraints.txt"))
    wanted, ready = hashlib.sha256(pins).hexdigest(), venv / "ready"
    if ready.exists() and ready.read_text(encoding="ascii") == wanted:
        return venv / "bin"
    say("installing Airflow and its Amazon provider into a virtual environment (a minute or two)")
    PLACE.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    _run(
        [
            *(str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"),
            *("--requirement", str(HERE / "requirements.txt")),
            *("--constraint", str(HERE / "constraints.txt")),
        ]
    )
    ready.write_text(wanted, encoding="ascii")
    say("Airflow is installed")
    return venv / "bin"


def versions() -> dict[str, str]:
    """Versions of what matters of it, as pinned."""
    pins = (HERE / "constraints.txt").read_text(encoding="utf-8").splitlines()
    known = dict(line.split("==") for line in pins if "==" in line)
    wanted = ("apache-airflow", "apache-airflow-providers-amazon", "boto3")
    return {name: known[name] for name in wanted}


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallationFailed(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-3000:]}")
