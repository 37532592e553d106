"""Makes `.venv` hold what a lock file lists: `python3 -I whatsai/install.py [LOCK [VENV]]`, which `make` runs first.

Runs on the system's Python with the standard library only. An environment is trusted when it carries a copy of the
very lock file and its interpreter starts; one whose making or filling was cut short is made again from nothing.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_VENV = "this Python cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install"
NO_VENV += " python3-venv), or name another Python, 3.11 or newer, with PYTHON=…"


def main(arguments: list[str]) -> int:
    """Install the lock file named, if any, into the folder named; one clear line when that cannot be done."""
    lock = (ROOT / arguments[0]) if arguments else None
    venv = ROOT / (arguments[1] if arguments[1:] else ".venv")
    try:
        with _alone(ROOT):
            ensure_venv(venv, lock)
    except (OSError, InstallFailed) as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


class InstallFailed(Exception):
    """The environment could not be made or filled; the message says which."""


def ensure_venv(venv: Path, lock: Path | None) -> None:
    """Make `venv` when it is absent, broken or unfinished, then install `lock` unless it is there already.

    Raises:
        InstallFailed: Python cannot make environments, or pip could not install.
        OSError: the folder cannot be written.
    """
    unfinished = venv / "unfinished"
    if unfinished.exists() or not is_usable(venv):
        _make(venv, unfinished)
    if lock is None or _installed(venv, lock):
        return
    print(f"Installing the packages of {lock.relative_to(ROOT)} into {venv.name} (once) …", file=sys.stderr)
    unfinished.touch()
    _run([venv / "bin" / "python", "-I", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock])
    _record(venv, lock).write_bytes(lock.read_bytes())
    unfinished.unlink()


def _make(venv: Path, unfinished: Path) -> None:
    if not find_spec("ensurepip"):
        raise InstallFailed(NO_VENV)
    if venv.exists():
        shutil.rmtree(venv)
    venv.mkdir()
    unfinished.touch()
    # The base interpreter: this one may live in the very environment that has just been removed.
    _run([getattr(sys, "_base_executable", sys.executable), "-I", "-m", "venv", venv])
    unfinished.unlink()


def is_usable(venv: Path) -> bool:
    """Tell whether the environment's interpreter starts and is of the version that runs this."""
    python = venv / "bin" / "python"
    if not python.exists():
        return False
    script = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False)
    return answer.stdout.split() == [str(part) for part in sys.version_info[:2]]


def _record(venv: Path, lock: Path) -> Path:
    return venv / f"installed-{lock.parent.name}.txt"


def _installed(venv: Path, lock: Path) -> bool:
    record = _record(venv, lock)
    return record.exists() and record.read_bytes() == lock.read_bytes()


def _run(command: list[str | Path]) -> None:
    if subprocess.run(command, check=False).returncode:
        raise InstallFailed("the virtual environment could not be filled; the lines above say why. Try again.")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time in: two `make` at once share one environment."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
