"""Temporary folders for unix sockets.

The path of a socket is limited to about 100 characters. Another user may need to reach it, because PostgreSQL does not
run as root.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_PARENT_CHARS = 60  # length of the parent folder's path


@contextmanager
def short_tempdir() -> Iterator[Path]:
    """Create a temporary folder; in /tmp if the default is too long or if root runs this, and remove it at the end."""
    default = tempfile.gettempdir()
    is_usable = len(default) <= MAX_PARENT_CHARS and os.geteuid() != 0
    parent = default if is_usable else "/tmp"  # noqa: S108 - TemporaryDirectory creates a private folder
    with tempfile.TemporaryDirectory(prefix="whatsai-", dir=parent) as folder:
        yield Path(folder)
