"""The folder of media files, in which a file under a name is complete or does not exist.

The name of a media file is the hash of its content. So two processes may write the same file at once: either result is
right, and no second name is needed.
"""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from django.core.files.storage import FileSystemStorage

if TYPE_CHECKING:
    from django.core.files.base import File

PART = ".part"  # the extension of files that are being written


class MediaStorage(FileSystemStorage):
    """Django's storage of files, with complete files only."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002 - Django defines the signature
        """Return the name itself."""
        return name

    def _save(self, name: str, content: "File[bytes]") -> str:
        """Write a file beside the old one, and then replace the old one."""
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, suffix=PART, delete=False) as part:
            try:
                for chunk in content.chunks():
                    part.write(chunk)
                part.close()
                os.replace(part.name, path)  # noqa: PTH105 - `Path.replace` does the same
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
        return name
