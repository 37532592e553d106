"""Creates temporary folders for unix sockets.

The path of a unix socket is limited to about 100 characters. PostgreSQL refuses to run as root, so another user may
need access to the folder.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.scratch import SHORT_PARENT, scratch_folder

MAX_PARENT_CHARS = 60  # maximum length of the path of the parent folder


@contextmanager
def short_tempdir() -> Iterator[Path]:
    """Create a temporary folder, and remove the folder when the `with` block ends.

    The folder is in /tmp if the path of the default folder is too long, or if the current user is root.
    """
    default = tempfile.gettempdir()
    is_usable = len(default) <= MAX_PARENT_CHARS and os.geteuid() != 0
    parent = default if is_usable else SHORT_PARENT
    with scratch_folder("stack", parent) as folder:
        yield Path(folder)
