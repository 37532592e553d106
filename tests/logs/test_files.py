"""Log files contain only complete lines, and no log line is lost if a full disk gets free space again."""

import errno
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logs import files
from logs.contexts import Context
from logs.files import ContextFiles
from logs.tail import rotated_files
from tests.logs.conftest import run

MakeFiles = Callable[..., ContextFiles]


def record(level: int = logging.INFO, name: str = "whatsai.cache") -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, "", None, None)


@pytest.fixture
def make_files(directory: Path, request: pytest.FixtureRequest) -> MakeFiles:
    def one(**options: Any) -> ContextFiles:
        made = ContextFiles(**{"directory": directory, "backup_count": 3, **options})
        request.addfinalizer(made.close)
        return made

    return one


def write(where: ContextFiles, *lines: str, level: int = logging.INFO, name: str = "whatsai.cache") -> None:
    for line in lines:
        where.add(record(level, name), line)
    where.write()


def test_the_folder_and_a_file_are_created_with_the_first_line(make_files: MakeFiles, directory: Path) -> None:
    where = make_files()
    assert not directory.exists()
    write(where, "a")
    assert sorted(path.name for path in directory.iterdir()) == [".__cache.lock", "cache.log"]


@pytest.mark.parametrize("context", Context)
def test_every_context_has_two_files(context: Context, make_files: MakeFiles, directory: Path) -> None:
    where = make_files()
    write(where, "info", name=context.logger.name)
    write(where, "warn", level=logging.WARNING, name=context.logger.name)
    write(where, "fatal", level=logging.CRITICAL, name=f"{context.logger.name}.part")
    assert (directory / f"{context}.log").read_text() == "info\nwarn\nfatal\n"
    assert (directory / f"{context}-errors.log").read_text() == "warn\nfatal\n"


# --- rotation ---------------------------------------------------------------------------------------------------------
def test_a_file_is_rotated_at_its_maximum_size_and_the_oldest_is_deleted(
    make_files: MakeFiles, directory: Path
) -> None:
    where = make_files(max_file_bytes=10)
    for text in ("one", "two", "three", "four", "five", "six", "seven"):
        write(where, text * 2)
    found = {path.name: path.read_text().split() for path in rotated_files(directory / "cache.log")}
    assert found == {
        "cache.log": ["sevenseven"],
        "cache.log.1": ["sixsix"],
        "cache.log.2": ["fivefive"],
        "cache.log.3": ["fourfour"],
    }


def test_a_line_larger_than_the_maximum_gets_its_own_file(make_files: MakeFiles, directory: Path) -> None:
    where = make_files(max_file_bytes=10)
    for text in ("a", "x" * 100, "b"):
        write(where, text)
    assert [path.read_text() for path in rotated_files(directory / "cache.log")] == ["a\n", "x" * 100 + "\n", "b\n"]


def test_an_interrupted_rotation_loses_no_file(make_files: MakeFiles, directory: Path) -> None:
    where = make_files(max_file_bytes=3)
    for text in ("1", "2", "3"):
        write(where, text * 2)
    # Rename the files like a rotation whose process is killed before it renames `cache.log` to `cache.log.1`.
    (directory / "cache.log.1").rename(directory / "cache.log.2.new")
    shutil.move(directory / "cache.log.2", directory / "cache.log.3")
    (directory / "cache.log.2.new").rename(directory / "cache.log.2")
    write(where, "44")
    assert [path.read_text().strip() for path in rotated_files(directory / "cache.log")] == ["11", "22", "33", "44"]


def test_a_file_rotated_by_another_process_is_reopened(make_files: MakeFiles, directory: Path) -> None:
    first, second = make_files(max_file_bytes=6), make_files(max_file_bytes=6)
    for place in range(4):
        write(first, f"a{place}")
        write(second, f"b{place}")
    found = "".join(path.read_text() for path in rotated_files(directory / "cache.log")).split()
    assert found == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]


def test_concurrent_rotations_lose_no_line(make_files: MakeFiles, directory: Path) -> None:
    def work(where: ContextFiles, name: int) -> None:
        for place in range(300):
            write(where, f"{name} {place}")

    threads = [
        threading.Thread(target=work, args=(make_files(max_file_bytes=50, backup_count=1000), name))
        for name in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [line for path in rotated_files(directory / "cache.log") for line in path.read_text().splitlines()]
    assert sorted(found) == sorted(f"{name} {place}" for name in range(2) for place in range(300))


# --- disks ------------------------------------------------------------------------------------------------------------
class Disk:
    """A test double of a disk that accepts a number of bytes and then raises ENOSPC."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1_000_000
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, handle: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._write(handle, data[: self.room])
        self.room -= taken
        return taken


@pytest.mark.parametrize("room", [0, 1, 3, 4, 5, 7, 8])
def test_a_full_disk_leaves_no_partial_line_and_loses_no_line(
    room: int, make_files: MakeFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, disk = make_files(), Disk(monkeypatch)
    write(where, "before")
    disk.room = room
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            write(where, "aaa", "bbb", "ccc")
        assert (directory / "cache.log").read_text() == "before\n"
    disk.room = 1_000_000
    write(where, "after")
    assert (directory / "cache.log").read_text().split() == ["before", *["aaa", "bbb", "ccc"] * 2, "after"]


def test_lines_written_before_the_disk_was_full_are_not_written_again(
    make_files: MakeFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, disk = make_files(), Disk(monkeypatch)
    monkeypatch.setattr(files, "BATCH_LINES", 2)
    disk.room = 5
    with pytest.raises(OSError, match="No space left"):
        write(where, *"abcdef")
    assert (directory / "cache.log").read_text().split() == ["a", "b"]
    disk.room = 1000
    where.write()
    assert (directory / "cache.log").read_text().split() == list("abcdef")


def test_a_failing_file_does_not_stop_the_others(make_files: MakeFiles, directory: Path) -> None:
    where = make_files()
    (directory / "cache.log").mkdir(parents=True)
    where.add(record(), "kept")
    where.add(record(name="whatsai.api"), "written")
    with pytest.raises(IsADirectoryError):
        where.write()
    assert (directory / "api.log").read_text() == "written\n"
    (directory / "cache.log").rmdir()
    where.write()
    assert (directory / "cache.log").read_text() == "kept\n"
    assert (directory / "api.log").read_text() == "written\n"


def test_a_file_size_limit_is_handled_like_a_full_disk(directory: Path) -> None:
    errors = run(
        directory,
        """
        import resource
        set_up()
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, most))
        for place in range(1000):
            log.info("%d", place)
        logging.getLogger().handlers[0].writer.flush(0.3)
        size = os.stat(os.path.join(sys.argv[1], "cache.log")).st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert 0 < size <= 50_000, size
        """,
    )
    assert errors.count("cannot write, trying again") == 1
    written = [json.loads(line)["message"] for line in (directory / "cache.log").read_text().splitlines()]
    assert written == [str(place) for place in range(1000)]


# --- files changed by others ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "kept"),
    [("a\nb\nhalf", "a\nb\n"), ("half", ""), ("a\n" + "x" * 200_000, "a\n"), ("x" * 200_000, ""), ("a\n", "a\n")],
)
def test_a_partial_line_is_removed(left: str, kept: str, make_files: MakeFiles, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "cache.log").write_text(left)
    write(make_files(), "new")
    assert (directory / "cache.log").read_text() == kept + "new\n"


@pytest.mark.parametrize("gone", ["the folder", "the file", "the lock"])
def test_deleted_files_are_created_again(gone: str, make_files: MakeFiles, directory: Path) -> None:
    first, second = make_files(), make_files()
    write(first, "a")
    write(second, "b")
    if gone == "the folder":
        shutil.rmtree(directory)
    else:
        (directory / ("cache.log" if gone == "the file" else ".__cache.lock")).unlink()
    write(first, "c")
    write(second, "d")
    assert (directory / "cache.log").read_text().split()[-2:] == ["c", "d"]
    assert (directory / ".__cache.lock").exists()


def test_a_recreated_lock_file_is_the_one_that_is_locked(make_files: MakeFiles, directory: Path) -> None:
    first, second = make_files(), make_files()
    write(first, "a")
    (directory / ".__cache.lock").unlink()
    write(second, "b")
    write(first, "c")
    lock = (directory / ".__cache.lock").stat().st_ino
    assert {os.fstat(one._files["cache.log"].stream_lock.fileno()).st_ino for one in (first, second)} == {lock}  # type: ignore[union-attr] # noqa: SLF001


def test_lone_surrogates_are_escaped_as_in_json(make_files: MakeFiles, directory: Path) -> None:
    write(make_files(), '"\udc80é"')
    assert json.loads((directory / "cache.log").read_bytes()) == "\udc80é"


def test_logging_shutdown_closes_no_file_that_the_writer_uses(make_files: MakeFiles, directory: Path) -> None:
    where = make_files()
    write(where, "a")
    handle = where._files["cache.log"].stream.fileno()  # type: ignore[union-attr] # noqa: SLF001 - the test checks that the file descriptor stays open
    for file in where._files.values():  # noqa: SLF001 - the loop does what `logging.shutdown` does
        file.acquire()
        file.flush()
        file.close()
        file.release()
    os.fstat(handle)
    write(where, "b")
    assert (directory / "cache.log").read_text() == "a\nb\n"
    where.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)
