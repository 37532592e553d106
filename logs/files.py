"""The files: `<context>.log` for everything of a context, `<context>-errors.log` for what is WARN and above.

Several processes write the same files, and any of them rotates them: concurrent-log-handler's locks see to that. A
batch is one write under one lock. What the disk cut short is taken back, and what a killed writer left half done is
cut off by the next one, so that no line is half a line.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler

from logs.contexts import Context
from logs.formatters import context

ROTATE_AT = 10 * 1024 * 1024  # bytes
AT_ONCE = 200  # lines
TAIL = 64 * 1024  # bytes


class RotatingFile(ConcurrentRotatingFileHandler):
    """One file, written by the batch."""

    def write(self, lines: list[str]) -> None:
        """Append lines, and take out of the list what is in the file.

        Raises:
            OSError: the disk does not take them.
        """
        self._lock()
        try:
            self._check_stream()
            while lines:
                self._append("".join(f"{line}\n" for line in lines[:AT_ONCE]).encode(errors="backslashreplace"))
                del lines[:AT_ONCE]
        finally:
            self._do_unlock()

    def _lock(self) -> None:
        """Lock what others lock too: not a file that is gone, together with its folder, say."""
        while True:
            if self.stream_lock is None:
                Path(self.lockFilename).parent.mkdir(parents=True, exist_ok=True)
            self._do_lock()
            if self.stream_lock is not None and _is_at(self.stream_lock.fileno(), self.lockFilename):
                return
            self.shut()

    def _append(self, data: bytes) -> None:
        """Append what is one or more lines, past Python's buffers: what is in one of them would be written again."""
        handle = self._handle()
        size = _whole(handle)
        if size and size + len(data) > self.maxBytes:
            self.doRollover()
            handle, size = self._handle(), 0
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(handle, left) :]
        except OSError:
            os.ftruncate(handle, size)
            raise

    def _handle(self) -> int:
        if self.stream is None or self.stream.closed:
            self.stream = self.do_open("a+")
        return self.stream.fileno()

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Rotate by renaming alone, the oldest first: whoever is killed in between leaves a gap, and loses nothing."""
        self._close()
        old = [Path(f"{self.baseFilename}.{number}") for number in range(1, self.backupCount + 1)]
        gap = next((place for place, path in enumerate(old) if not path.exists()), len(old) - 1)
        for place in range(gap, 0, -1):
            old[place - 1].replace(old[place])
        Path(self.baseFilename).replace(old[0])

    def close(self) -> None:
        """Do nothing: `logging.shutdown` closes every handler there is, and the listener may be writing to this one."""

    def flush(self) -> None:
        """Do nothing, as above: there is nothing in any buffer."""

    def shut(self) -> None:
        """Close the file, and its lock's; the next write opens them again."""
        self._do_unlock()
        super().close()


class ContextFiles:
    """The files of all contexts in one folder, each made when it is first needed.

    Args:
        directory: the folder; made with the first file.
        keep: old files that are kept of each.
        rotate_at: bytes that a file has at most.
    """

    def __init__(self, directory: Path, *, keep: int, rotate_at: int = ROTATE_AT) -> None:
        # All handlers now: to make one takes a lock of `logging`, which somebody may hold who waits for the listener.
        self._files = {
            name: RotatingFile(str(directory / name), maxBytes=rotate_at, backupCount=keep, encoding="utf-8")
            for one in Context
            for name in names(one, logging.WARNING)
        }
        self._waiting: dict[str, list[str]] = {}

    def add(self, record: logging.LogRecord, line: str) -> None:
        """Add a record's line to what is to be written."""
        for name in names(context(record), record.levelno):
            self._waiting.setdefault(name, []).append(line)

    def write(self) -> None:
        """Write what was added. What cannot be written waits for the next time, and keeps no other file waiting.

        Raises:
            OSError: a file cannot be written.
        """
        failure: OSError | None = None
        for name in list(self._waiting):
            try:
                self._files[name].write(self._waiting[name])
            except OSError as error:
                failure = error
            else:
                del self._waiting[name]
        if failure is not None:
            raise failure

    def forget(self) -> None:
        """Forget what waits: in a forked process it is the parent's to write."""
        self._waiting.clear()

    def close(self) -> None:
        """Close all files; the next write opens them again."""
        for file in self._files.values():
            file.shut()


def names(context: Context, level: int) -> Sequence[str]:
    """Return the names of the files that take a record of a context and a level."""
    return (f"{context}.log", f"{context}-errors.log") if level >= logging.WARNING else (f"{context}.log",)


ALL = [file for one in Context for name in names(one, logging.WARNING) for file in (name, f".__{Path(name).stem}.lock")]


def _is_at(handle: int, path: str) -> bool:
    """Whether an open file is still the one at a path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), Path(path).stat())
    return False


def _whole(handle: int) -> int:
    """Return the size of a file without the half line at its end, if there is one, which it cuts off."""
    size = end = os.fstat(handle).st_size
    if not size or os.pread(handle, 1, size - 1) == b"\n":
        return size
    while end:
        start = max(0, end - TAIL)
        after = os.pread(handle, end - start, start).rfind(b"\n") + 1
        end = start + after if after else start
        if after:
            break
    os.ftruncate(handle, end)
    return end
