"""A stored file is complete or does not exist, and keeps its name when it is written twice."""

from io import BytesIO
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File

from conversations.media.storage import MediaStorage


class BrokenFile(BytesIO):
    """A file that cannot be read to its end."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("read error")
        return super().read(size and 1)


@pytest.fixture
def storage(tmp_path: Path) -> MediaStorage:
    return MediaStorage(location=tmp_path)


def content(storage: MediaStorage, name: str) -> bytes:
    with storage.open(name) as file:
        return bytes(file.read())


def test_a_file_written_twice_is_one_file(storage: MediaStorage, tmp_path: Path) -> None:
    for _ in range(2):
        assert storage.save("1/ab/abc", ContentFile(b"same")) == "1/ab/abc"
    assert content(storage, "1/ab/abc") == b"same"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["abc"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(storage: MediaStorage, tmp_path: Path) -> None:
    broken = File(BrokenFile(b"two bytes"))
    with pytest.raises(OSError, match="read error"):
        storage.save("1/ab/abc", broken)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_is_private(storage: MediaStorage, tmp_path: Path) -> None:
    storage.save("1/ab/abc", ContentFile(b"same"))
    assert (tmp_path / "1/ab/abc").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["../abc", "/etc/abc", "1/../../abc"])
def test_a_name_outside_of_the_folder_is_refused(storage: MediaStorage, name: str) -> None:
    with pytest.raises(SuspiciousFileOperation):
        storage.save(name, ContentFile(b"same"))
