"""Lets only their owner read the files that the site writes: the database, logs, media and credentials."""

import os
from pathlib import Path

PRIVATE = 0o077  # the permissions of everybody but the owner
# Root's `make stack` lets the group of the user `nobody`, who runs its PostgreSQL, pass through a folder.
_MORE_THAN_PASS = 0o067


def protect(folder: Path) -> None:
    """Make new files of this process and its children private, and a folder that others can read with all in it."""
    os.umask(PRIVATE)
    if folder.is_dir() and folder.stat().st_mode & _MORE_THAN_PASS:
        for path in (*folder.rglob("*"), folder):
            _protect_path(path)


def _protect_path(path: Path) -> None:
    try:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o7777 & ~PRIVATE)
    except (FileNotFoundError, PermissionError):
        return  # another process has removed the file, or it belongs to another user
