"""Only one process can hold a file lock, and the lock is released when the process ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logs.file_lock import AlreadyLocked, exclusive_lock
from tests.logs.conftest import PROGRAM_TIMEOUT, ROOT, run

pytestmark = pytest.mark.once

HOLDER = """
import os, sys
from pathlib import Path
from logs.file_lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    {then}
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(params=["a file", "a folder"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path if request.param == "a folder" else tmp_path / "lock"


@contextmanager
def locked_elsewhere(path: Path, then: str = "pass") -> Iterator["subprocess.Popen[str]"]:
    """Hold the lock of a file in another process until the block ends."""
    with subprocess.Popen(  # noqa: S603 - the test runs its own program
        [sys.executable, "-c", HOLDER.format(then=then), str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_without_a_timeout_a_locked_path_raises_at_once(path: Path) -> None:
    waits: list[None] = []
    with (
        locked_elsewhere(path),
        pytest.raises(AlreadyLocked, match=str(path)),
        exclusive_lock(path, timeout=0, on_wait=lambda: waits.append(None)),
    ):
        pass
    assert not waits


def test_a_waiting_process_gets_the_lock_when_the_holder_is_killed(path: Path) -> None:
    with locked_elsewhere(path) as holder, exclusive_lock(path, timeout=PROGRAM_TIMEOUT, on_wait=holder.kill):
        assert holder.wait(PROGRAM_TIMEOUT)


def test_waiting_ends_at_the_timeout(path: Path) -> None:
    waits: list[None] = []
    with (
        locked_elsewhere(path),
        pytest.raises(AlreadyLocked),
        exclusive_lock(path, timeout=0.01, on_wait=lambda: waits.append(None)),
    ):
        pass
    assert len(waits) == 1


def test_the_lock_ends_with_the_block_even_after_an_exception(path: Path) -> None:
    with pytest.raises(KeyError), exclusive_lock(path, timeout=0):
        raise KeyError
    with exclusive_lock(path, timeout=0):
        pass


def test_a_forked_child_does_not_keep_the_lock_of_its_parent(path: Path) -> None:
    with locked_elsewhere(path, then="os.fork() or (os.read(0, 1), os._exit(0))") as holder:
        holder.kill()
        holder.wait(PROGRAM_TIMEOUT)
        with exclusive_lock(path, timeout=PROGRAM_TIMEOUT):  # the child may not have run its fork handlers yet
            pass


def test_a_child_that_leaves_the_block_does_not_close_another_file(directory: Path) -> None:
    run(
        directory,
        """
        from logs.file_lock import exclusive_lock

        with exclusive_lock(Path(sys.argv[1]).parent):
            child = os.fork()
            if not child:
                other = os.open(os.devnull, os.O_RDONLY)  # gets the number of the descriptor closed by the fork
        if child:
            assert os.waitpid(child, 0)[1] == 0
        else:
            os.fstat(other)
        """,
    )


def test_a_path_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), exclusive_lock(tmp_path / "missing" / "lock"):
        pass
