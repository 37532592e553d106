"""Lets only their owner read the files that the site writes: the database, logs, media and credentials."""

import os
from pathlib import Path

PRIVATE = 0o077  # the permissions of everybody but the owner
# A folder that others may only pass through shows them nothing, and root's PostgreSQL of `make stack` needs that.
_READ_OR_WRITE = 0o066


def protect(folder: Path) -> None:
    """Make new files of this process and its children private, and a folder that others can read with all in it."""
    os.umask(PRIVATE)
    if folder.is_dir() and folder.stat().st_mode & _READ_OR_WRITE:
        for path in (*folder.rglob("*"), folder):
            _protect_path(path)


def _protect_path(path: Path) -> None:
    try:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o7777 & ~PRIVATE)
    except (FileNotFoundError, PermissionError):
        return  # another process has removed the file, or it belongs to another user
