"""Folders for sockets: a socket's whole path may have about 100 characters, and other users may need to reach it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_FOLDER = 60  # characters of the folder above ours


@contextmanager
def short_tempdir() -> Iterator[Path]:
    """A private temporary folder, in /tmp where the usual place is too long or closed to the user PostgreSQL gets."""
    usual = tempfile.gettempdir()
    fits = len(usual) <= LONGEST_FOLDER and os.geteuid() != 0
    with tempfile.TemporaryDirectory(prefix="whatsai-", dir=usual if fits else "/tmp") as folder:  # noqa: S108 - private
        yield Path(folder)
