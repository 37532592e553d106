"""Installs the packages of a lock file into a virtual environment; `make` runs this script before other commands.

Usage: `python3 -I whatsai/install.py [LOCK [VENV]]`. The script runs on the system's Python and imports only the
standard library. A virtual environment is complete if its interpreter starts and it contains a copy of the lock file.
After an interrupted creation or installation, the script deletes the virtual environment and creates a new one.
"""

import fcntl
import gettext as translations
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from gettext import gettext as _
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTING, UNPACKING = "Collecting ", "Installing collected packages"  # the beginnings of lines that pip prints
PINNED = re.compile(r"^[\w.\[\]-]+==(?!.*win32)", re.MULTILINE)  # a package in a lock file
# The first that is set names the language: the setting, or else the locale of the machine.
LANGUAGE_VARIABLES = ("LANGUAGE_CODE", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
LINE_EVERY = 10  # packages, if the output is not a terminal


def main(arguments: list[str]) -> int:
    """Install the lock file into the virtual environment, and return the exit status of the script.

    Args:
        arguments: the paths `[LOCK [VENV]]` from the command line, relative to the project's folder.
    """
    lock = (ROOT / arguments[0]) if arguments else None
    venv = ROOT / (arguments[1] if arguments[1:] else ".venv")
    try:
        with _exclusive_lock(ROOT):
            ensure_venv(venv, lock)
    except (OSError, InstallFailed) as error:
        _show(f"make: {error}")
        return 1
    return 0


def speak() -> None:
    """Use the catalogues of the project, in the language that `LANGUAGE_CODE` or else the machine's locale names.

    This function repeats the rules of `environment.default_language`, because a script run with `python -I` cannot
    import the project.
    """
    translations.bindtextdomain("django", str(ROOT / "whatsai" / "locale"))
    translations.textdomain("django")
    named = next(filter(None, map(os.environ.get, LANGUAGE_VARIABLES)), "")
    os.environ["LANGUAGE"] = "pt_BR" if named.lower().startswith("pt") else "en"


def _show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class InstallFailed(Exception):
    """Raised if a virtual environment cannot be created, or if pip fails; the error text says which step failed."""


def ensure_venv(venv: Path, lock: Path | None) -> None:
    """Create the virtual environment `venv` unless it is usable, then install `lock` unless it is installed already.

    Raises:
        InstallFailed: Python cannot create virtual environments, or pip failed.
        OSError: the project's folder is not writable.
    """
    unfinished = venv / "unfinished"
    if unfinished.exists() or not is_usable(venv):
        _create(venv, unfinished)
    if lock is None or _is_installed(venv, lock):
        return
    names = {"lock": lock.relative_to(ROOT), "folder": venv.name}
    _show(_("Installing the packages of %(lock)s into %(folder)s (once) …") % names)
    unfinished.touch()
    _install(venv, lock)
    _installed_copy(venv, lock).write_bytes(lock.read_bytes())
    unfinished.unlink()


def _create(venv: Path, unfinished: Path) -> None:
    if not find_spec("ensurepip"):
        text = _(
            "this Python cannot create virtual environments: install its venv module (Debian, Ubuntu: apt install "
            "python3-venv), or choose another Python, 3.11 or newer, with PYTHON=…"
        )
        raise InstallFailed(text)
    if venv.exists():
        shutil.rmtree(venv)
    _show(_("Creating %(folder)s (once) …") % {"folder": venv.name})
    venv.mkdir()
    unfinished.touch()
    # Run the base interpreter, because the current interpreter may be in the environment that was just removed.
    _run([getattr(sys, "_base_executable", sys.executable), "-I", "-m", "venv", venv])
    unfinished.unlink()


def is_usable(venv: Path) -> bool:
    """Return whether the environment's interpreter starts and has the same version as the current interpreter."""
    python = venv / "bin" / "python"
    if not python.exists():
        return False
    script = "import sys; print(*sys.version_info[:2])"
    result = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False)
    return result.stdout.split() == [str(part) for part in sys.version_info[:2]]


def _installed_copy(venv: Path, lock: Path) -> Path:
    return venv / f"installed-{lock.parent.name}.txt"


def _is_installed(venv: Path, lock: Path) -> bool:
    copy = _installed_copy(venv, lock)
    return copy.exists() and copy.read_bytes() == lock.read_bytes()


def _install(venv: Path, lock: Path) -> None:
    """Run pip, and show how many packages it has reached: each one on a terminal, otherwise every tenth.

    Raises:
        InstallFailed: pip failed.
    """
    total = len(PINNED.findall(lock.read_text(encoding="utf-8")))
    options: list[str | Path] = ["--require-hashes", "--progress-bar", "off", "--disable-pip-version-check", "-r", lock]
    command: list[str | Path] = [venv / "bin" / "python", "-I", "-m", "pip", "install", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as pip:
        for text in progress(pip.stdout or (), total, is_terminal=sys.stderr.isatty()):
            sys.stderr.write(text)
            sys.stderr.flush()
    if pip.returncode:
        raise InstallFailed(_("the packages could not be installed; the lines above show the reason. Try again."))


def progress(lines: Iterable[str], total: int, *, is_terminal: bool) -> Iterator[str]:
    """Yield what to show while pip prints these lines; `total` is the number of packages in the lock file."""
    start, end = ("\r\x1b[K", "") if is_terminal else ("", "\n")
    count = 0
    for line in lines:
        if line.startswith(COLLECTING):
            count += 1
            name = line.removeprefix(COLLECTING).partition("==")[0].strip()
            if is_terminal or count in (1, total) or count % LINE_EVERY == 0:
                text = _("package %(number)s of %(total)s: %(name)s")
                yield f"{start}  {text % {'number': count, 'total': total, 'name': name}}{end}"
        elif line.startswith(UNPACKING):
            yield f"{start}  {_('unpacking ...')}\n"


def _run(command: list[str | Path]) -> None:
    if subprocess.run(command, check=False).returncode:
        raise InstallFailed(_("the packages could not be installed; the lines above show the reason. Try again."))


@contextmanager
def _exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder, so that two `make` processes never install into the same environment.

    This function repeats code of `logs.file_lock`, because a script run with `python -I` cannot import the project.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    speak()
    sys.exit(main(sys.argv[1:]))
