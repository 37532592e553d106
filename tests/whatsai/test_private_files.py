"""Only the owner can read what is in `var/`, also if an earlier version has written it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devstack.servers import let_pass
from whatsai.private_files import protect


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_new_files_and_folders_are_private(tmp_path: Path) -> None:
    protect(tmp_path / "var")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "db.sqlite3").touch()
    assert (mode(tmp_path / "var"), mode(tmp_path / "var" / "db.sqlite3")) == (0o700, 0o600)


def test_existing_files_and_folders_become_private(tmp_path: Path) -> None:
    file = tmp_path / "var" / "log" / "general.log"
    file.parent.mkdir(parents=True)
    file.touch()
    outside = tmp_path / "outside"
    outside.touch()
    (tmp_path / "var" / "link").symlink_to(outside)
    (tmp_path / "var" / "broken").symlink_to(tmp_path / "nothing")
    protect(tmp_path / "var")
    assert [mode(path) for path in (tmp_path / "var", file.parent, file)] == [0o700, 0o700, 0o600]
    assert mode(outside) == 0o644


def test_a_folder_that_its_group_may_only_pass_through_stays(tmp_path: Path) -> None:
    tmp_path.chmod(0o710)
    protect(tmp_path)
    assert mode(tmp_path) == 0o710


def test_a_folder_that_everybody_may_pass_through_becomes_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    protect(tmp_path)
    assert mode(tmp_path) == 0o700


def test_root_lets_only_the_group_of_its_database_pass_through(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "stack" / "postgresql"
    folder.mkdir(parents=True)
    (tmp_path / "var").chmod(0o711)
    let_pass(folder, os.getgid(), tmp_path / "var")
    assert [mode(path) for path in (tmp_path / "var", tmp_path / "var" / "stack")] == [0o710, 0o710]
    protect(tmp_path / "var")
    assert mode(tmp_path / "var") == 0o710
