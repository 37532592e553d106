"""`.venv` is trusted only when it is whole: made again when it is broken, half-made or half-filled."""

import shutil
from pathlib import Path

import pytest

from whatsai import install

pytestmark = pytest.mark.once

LOCK = "app/requirements.txt"
NOTHING = "# lists nothing: pip has nothing to fetch\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose environment has been made: it takes seconds, so the tests get copies of it."""
    root = tmp_path_factory.mktemp("made")
    (root / "app").mkdir()
    (root / LOCK).write_text(NOTHING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(install, "ROOT", root)
        assert install.main([LOCK]) == 0
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(made, root, symlinks=True)
    (root / ".venv" / "since-then").touch()
    monkeypatch.setattr(install, "ROOT", root)
    return root


def made_again(root: Path) -> bool:
    return not (root / ".venv" / "since-then").exists()


def test_the_second_time_nothing_is_done(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert install.main([LOCK]) == 0
    assert capfd.readouterr() == ("", "")
    assert not made_again(root)


def test_a_changed_lock_is_installed_into_the_same_environment(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / LOCK).write_text(NOTHING * 2)

    assert install.main([LOCK]) == 0
    assert LOCK in capfd.readouterr().err
    assert not made_again(root)
    assert install.main([LOCK]) == 0
    assert capfd.readouterr().err == ""


def test_another_environment_may_stand_beside_it(root: Path) -> None:
    assert install.main([LOCK, ".venv-other"]) == 0
    assert install.is_usable(root / ".venv-other")
    assert not made_again(root)


def test_a_failed_installation_is_one_line_and_begins_from_nothing_the_next_time(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / LOCK).write_text("./no-such-package\n")
    assert install.main([LOCK]) == 1
    assert capfd.readouterr().err.splitlines()[-1].startswith("make: ")
    (root / LOCK).write_text(NOTHING)

    assert install.main([LOCK]) == 0
    assert made_again(root)
    assert install.is_usable(root / ".venv")


def test_an_environment_whose_python_has_gone_does_not_work(root: Path) -> None:
    python = root / ".venv" / "bin" / "python"
    assert install.is_usable(root / ".venv")
    python.unlink()
    python.symlink_to(root / "gone")

    assert not install.is_usable(root / ".venv")


def test_a_python_that_cannot_make_environments_is_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(root / ".venv")
    monkeypatch.setattr(install, "find_spec", lambda _name: None)

    assert install.main([LOCK]) == 1
    assert capfd.readouterr().err == f"make: {install.NO_VENV}\n"


def test_a_folder_that_takes_no_environment_is_one_line(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(root / ".venv")
    (root / ".venv").touch()

    assert install.main([LOCK]) == 1
    assert capfd.readouterr().err.startswith("make: ")
