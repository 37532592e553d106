"""The files: no line is half a line, whatever the disk does, and none is lost when it takes them again."""

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

Make = Callable[..., ContextFiles]


def record(level: int = logging.INFO, name: str = "whatsai.cache") -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, "", None, None)


@pytest.fixture
def make(directory: Path, request: pytest.FixtureRequest) -> Make:
    def one(**options: Any) -> ContextFiles:
        made = ContextFiles(**{"directory": directory, "backup_count": 3, **options})
        request.addfinalizer(made.close)
        return made

    return one


def write(where: ContextFiles, *lines: str, level: int = logging.INFO, name: str = "whatsai.cache") -> None:
    for line in lines:
        where.add(record(level, name), line)
    where.write()


def test_the_folder_and_a_file_are_made_when_they_are_needed(make: Make, directory: Path) -> None:
    where = make()
    assert not directory.exists()
    write(where, "a")
    assert sorted(path.name for path in directory.iterdir()) == [".__cache.lock", "cache.log"]


@pytest.mark.parametrize("context", Context)
def test_every_context_has_two_files(context: Context, make: Make, directory: Path) -> None:
    where = make()
    write(where, "info", name=context.logger.name)
    write(where, "warn", level=logging.WARNING, name=context.logger.name)
    write(where, "fatal", level=logging.CRITICAL, name=f"{context.logger.name}.part")
    assert (directory / f"{context}.log").read_text() == "info\nwarn\nfatal\n"
    assert (directory / f"{context}-errors.log").read_text() == "warn\nfatal\n"


# --- rotation ---------------------------------------------------------------------------------------------------------
def test_a_file_is_rotated_before_it_is_too_large_and_old_ones_go(make: Make, directory: Path) -> None:
    where = make(max_file_bytes=10)
    for text in ("one", "two", "three", "four", "five", "six", "seven"):
        write(where, text * 2)
    found = {path.name: path.read_text().split() for path in rotated_files(directory / "cache.log")}
    assert found == {
        "cache.log": ["sevenseven"],
        "cache.log.1": ["sixsix"],
        "cache.log.2": ["fivefive"],
        "cache.log.3": ["fourfour"],
    }


def test_a_line_that_is_too_large_for_a_file_has_one_of_its_own(make: Make, directory: Path) -> None:
    where = make(max_file_bytes=10)
    for text in ("a", "x" * 100, "b"):
        write(where, text)
    assert [path.read_text() for path in rotated_files(directory / "cache.log")] == ["a\n", "x" * 100 + "\n", "b\n"]


def test_a_rotation_that_was_cut_short_loses_nothing(make: Make, directory: Path) -> None:
    where = make(max_file_bytes=3)
    for text in ("1", "2", "3"):
        write(where, text * 2)
    (directory / "cache.log.1").rename(directory / "cache.log.2.new")
    shutil.move(directory / "cache.log.2", directory / "cache.log.3")
    (directory / "cache.log.2.new").rename(directory / "cache.log.2")  # killed before the last step
    write(where, "44")
    assert [path.read_text().strip() for path in rotated_files(directory / "cache.log")] == ["11", "22", "33", "44"]


def test_another_process_may_have_rotated_the_file(make: Make, directory: Path) -> None:
    ours, theirs = make(max_file_bytes=6), make(max_file_bytes=6)
    for place in range(4):
        write(ours, f"o{place}")
        write(theirs, f"t{place}")
    found = "".join(path.read_text() for path in rotated_files(directory / "cache.log")).split()
    assert found == ["o0", "t0", "o1", "t1", "o2", "t2", "o3", "t3"]


def test_two_that_rotate_at_once_lose_nothing(make: Make, directory: Path) -> None:
    def work(where: ContextFiles, name: int) -> None:
        for place in range(300):
            write(where, f"{name} {place}")

    threads = [
        threading.Thread(target=work, args=(make(max_file_bytes=50, backup_count=1000), name)) for name in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [line for path in rotated_files(directory / "cache.log") for line in path.read_text().splitlines()]
    assert sorted(found) == sorted(f"{name} {place}" for name in range(2) for place in range(300))


# --- disks ------------------------------------------------------------------------------------------------------------
class Disk:
    """Takes so many bytes more, then none."""

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
def test_a_full_disk_leaves_no_half_line_and_loses_nothing(
    room: int, make: Make, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, disk = make(), Disk(monkeypatch)
    write(where, "before")
    disk.room = room
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            write(where, "aaa", "bbb", "ccc")
        assert (directory / "cache.log").read_text() == "before\n"
    disk.room = 1_000_000
    write(where, "after")
    assert (directory / "cache.log").read_text().split() == ["before", *["aaa", "bbb", "ccc"] * 2, "after"]


def test_what_was_written_before_the_disk_was_full_is_not_written_again(
    make: Make, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, disk = make(), Disk(monkeypatch)
    monkeypatch.setattr(files, "BATCH_LINES", 2)
    disk.room = 5
    with pytest.raises(OSError, match="No space left"):
        write(where, *"abcdef")
    assert (directory / "cache.log").read_text().split() == ["a", "b"]
    disk.room = 1000
    where.write()
    assert (directory / "cache.log").read_text().split() == list("abcdef")


def test_a_file_that_cannot_be_written_keeps_no_other_waiting(make: Make, directory: Path) -> None:
    where = make()
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


def test_a_limit_of_the_system_is_like_a_full_disk(directory: Path) -> None:
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


# --- what others leave behind -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "kept"),
    [("a\nb\nhalf", "a\nb\n"), ("half", ""), ("a\n" + "x" * 200_000, "a\n"), ("x" * 200_000, ""), ("a\n", "a\n")],
)
def test_a_half_line_is_cut_off(left: str, kept: str, make: Make, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "cache.log").write_text(left)
    write(make(), "new")
    assert (directory / "cache.log").read_text() == kept + "new\n"


@pytest.mark.parametrize("gone", ["the folder", "the file", "the lock"])
def test_what_is_removed_is_made_again(gone: str, make: Make, directory: Path) -> None:
    ours, theirs = make(), make()
    write(ours, "a")
    write(theirs, "b")
    if gone == "the folder":
        shutil.rmtree(directory)
    else:
        (directory / ("cache.log" if gone == "the file" else ".__cache.lock")).unlink()
    write(ours, "c")
    write(theirs, "d")
    assert (directory / "cache.log").read_text().split()[-2:] == ["c", "d"]
    assert (directory / ".__cache.lock").exists()


def test_a_lock_that_was_made_anew_is_the_one_that_is_locked(make: Make, directory: Path) -> None:
    ours, theirs = make(), make()
    write(ours, "a")
    (directory / ".__cache.lock").unlink()
    write(theirs, "b")
    write(ours, "c")
    lock = (directory / ".__cache.lock").stat().st_ino
    assert {os.fstat(one._files["cache.log"].stream_lock.fileno()).st_ino for one in (ours, theirs)} == {lock}  # type: ignore[union-attr] # noqa: SLF001


def test_characters_that_no_encoding_has_are_written_as_json_does(make: Make, directory: Path) -> None:
    write(make(), '"\udc80é"')
    assert json.loads((directory / "cache.log").read_bytes()) == "\udc80é"


def test_closing_every_handler_that_logging_knows_closes_no_file_under_the_listener(
    make: Make, directory: Path
) -> None:
    where = make()
    write(where, "a")
    handle = where._files["cache.log"].stream.fileno()  # type: ignore[union-attr] # noqa: SLF001 - which must stay open
    for file in where._files.values():  # noqa: SLF001 - as `logging.shutdown` does
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
