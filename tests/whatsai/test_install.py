"""The installation reuses a complete `.venv`, and creates a broken or unfinished `.venv` again."""

import re
import shutil
from pathlib import Path

import pytest

from whatsai import install

pytestmark = pytest.mark.once

LOCK = "app/requirements.txt"
NOTHING = "# no packages: pip downloads nothing\n"


@pytest.fixture(scope="module")
def installed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the project once, which takes seconds; each test uses a copy of the installed project."""
    root = tmp_path_factory.mktemp("made")
    (root / "app").mkdir()
    (root / LOCK).write_text(NOTHING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(install, "ROOT", root)
        assert install.main([LOCK]) == 0
    return root


@pytest.fixture
def root(installed_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(installed_project, root, symlinks=True)
    (root / ".venv" / "since-then").touch()
    monkeypatch.setattr(install, "ROOT", root)
    return root


def was_recreated(root: Path) -> bool:
    return not (root / ".venv" / "since-then").exists()


def test_a_second_run_does_nothing(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert install.main([LOCK]) == 0
    assert capfd.readouterr() == ("", "")
    assert not was_recreated(root)


def test_a_changed_lock_is_installed_into_the_same_environment(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / LOCK).write_text(NOTHING * 2)

    assert install.main([LOCK]) == 0
    assert LOCK in capfd.readouterr().err
    assert not was_recreated(root)
    assert install.main([LOCK]) == 0
    assert capfd.readouterr().err == ""


def test_the_progress_of_pip_is_counted() -> None:
    lines = [f"Collecting package-{n}==1.{n} (from -r lock.txt)\n" for n in range(1, 26)]
    lines[5:5] = ["  Downloading package_5-1.5.whl (2 kB)\n"]
    lines += ["Installing collected packages: package-1, package-2\n", "Successfully installed package-1\n"]
    plain = list(install.progress(lines, 25, is_terminal=False))
    assert [text.split()[1] for text in plain[:-1]] == ["1", "10", "20", "25"]
    assert plain[0] == "  package 1 of 25: package-1\n"
    assert plain[-1] == "  unpacking ...\n"
    shown = list(install.progress(lines, 25, is_terminal=True))
    assert len(shown) == 26
    assert all(text.startswith("\r") for text in shown)


def test_the_packages_of_a_lock_file_are_counted() -> None:
    lock = "a-b==1 \\\n    --hash=sha256:00==\nc[x]==2 \\\nd==3 ; sys_platform == 'win32' \\\n"
    assert install.PINNED.findall(lock) == ["a-b==", "c[x]=="]


def test_a_second_environment_can_be_created(root: Path) -> None:
    assert install.main([LOCK, ".venv-other"]) == 0
    assert install.is_usable(root / ".venv-other")
    assert not was_recreated(root)


def test_a_failed_installation_is_one_line_and_the_next_run_starts_over(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / LOCK).write_text("./no-such-package\n")
    assert install.main([LOCK]) == 1
    assert capfd.readouterr().err.splitlines()[-1].startswith("make: ")
    (root / LOCK).write_text(NOTHING)

    assert install.main([LOCK]) == 0
    assert was_recreated(root)
    assert install.is_usable(root / ".venv")


def test_an_environment_without_its_python_is_not_usable(root: Path) -> None:
    python = root / ".venv" / "bin" / "python"
    assert install.is_usable(root / ".venv")
    python.unlink()
    python.symlink_to(root / "gone")

    assert not install.is_usable(root / ".venv")


def test_a_python_without_venv_is_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(root / ".venv")
    monkeypatch.setattr(install, "find_spec", lambda _name: None)

    assert install.main([LOCK]) == 1
    assert re.fullmatch(r"make: this Python cannot create virtual environments: .+\n", capfd.readouterr().err)


def test_an_environment_path_that_is_a_file_is_one_line(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(root / ".venv")
    (root / ".venv").touch()

    assert install.main([LOCK]) == 1
    assert capfd.readouterr().err.startswith("make: ")
