"""Temporary folders, named after their process, so that a later process removes those of killed processes."""

import os
import re
import shutil
import tempfile
from pathlib import Path

SHORT_PARENT = "/tmp"  # noqa: S108 - for unix sockets, whose path must be short; the folders in it are private
NAME = re.compile(r"whatsai-[a-z]+-(\d+)-\w+")


def scratch_folder(purpose: str, parent: str | None = None) -> "tempfile.TemporaryDirectory[str]":
    """Return a new temporary folder, which is removed at the end; remove what killed processes have left.

    Args:
        purpose: a word for the name.
        parent: the folder that contains it; None for the one of the system.
    """
    remove_leftovers(parent)
    prefix = f"whatsai-{purpose}-{os.getpid()}-"
    return tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)


def remove_leftovers(parent: str | None = None) -> None:
    """Remove the folders of processes that do not exist any more."""
    for path in Path(parent or tempfile.gettempdir()).glob("whatsai-*"):
        name = NAME.fullmatch(path.name)
        if name and not _is_running(int(name[1])):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # a process of somebody else; no process
        return True
    return True
