"""The folder of media files, in which a file under a name is complete or does not exist.

The name of a media file is the hash of its content. So two processes may write the same file at once: either result is
right, and no second name is needed. The time of a file says when its content was last received. So the deletion of an
old file can notice that it was received again meanwhile.
"""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast, runtime_checkable
from uuid import uuid4

from django.core.files.storage import FileSystemStorage, default_storage

if TYPE_CHECKING:
    from django.core.files.base import File

PART = ".part"  # the extension of files that are being written


class StoredFile(NamedTuple):
    """The name of a stored file, and when its content was last received."""

    name: str
    received_at: dt.datetime


class SweptStorage(Protocol):
    """What the deletion of old files needs besides Django's methods of a storage."""

    def touch(self, name: str) -> bool:
        """Note that a file's content was received again; return whether the file exists."""

    def folders(self) -> list[str]:
        """Return the names of the outermost folders."""

    def files(self, folder: str) -> Iterator[StoredFile]:
        """Yield the files in a folder and the folders in it. A file that is deleted meanwhile may be left out."""

    def delete_older(self, name: str, moment: dt.datetime) -> bool:
        """Delete a file unless it was received at `moment` or later; return whether it was deleted."""


@runtime_checkable
class Expecting(Protocol):
    """An open file on another server, which should not send more than is read."""

    def expect(self, length: int) -> None:
        """Note that the next `length` bytes will be read, in several steps."""


def seek_part(file: "File[bytes]", first: int, length: int) -> None:
    """Set the position of an open file, from which `length` bytes will be read."""
    file.seek(first)
    opened: object = file.file
    if isinstance(opened, Expecting):
        opened.expect(length)


def swept_storage() -> SweptStorage:
    """Return the storage of media files."""
    return cast("SweptStorage", default_storage)


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

    def touch(self, name: str) -> bool:
        """See `SweptStorage`."""
        try:
            os.utime(self.path(name))
        except FileNotFoundError:
            return False
        return True

    def folders(self) -> list[str]:
        """See `SweptStorage`."""
        return list(self.listdir("")[0])

    def files(self, folder: str) -> Iterator[StoredFile]:
        """See `SweptStorage`."""
        for parent, _, names in os.walk(self.path(folder)):
            for name in names:
                path = Path(parent, name)
                try:
                    received_at = _time_of(path)
                except FileNotFoundError:
                    continue
                yield StoredFile(path.relative_to(self.location).as_posix(), received_at)

    def delete_older(self, name: str, moment: dt.datetime) -> bool:
        """See `SweptStorage`. The file is renamed first, so that `touch` either comes before or does not find it."""
        path = Path(self.path(name))
        renamed = path.with_name(f"{uuid4().hex}{PART}")
        try:
            path.rename(renamed)
        except FileNotFoundError:
            return False
        if _time_of(renamed) >= moment:
            renamed.rename(path)
            return False
        renamed.unlink()
        return True


def _time_of(path: Path) -> dt.datetime:
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
