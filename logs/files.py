"""The log files: `<context>.log` holds all records of a context, `<context>-errors.log` those at WARN and above.

Several processes write the same files, and any of them may rotate them; concurrent-log-handler's lock files serialize
this. One batch is one write under one lock. A write that the disk cuts short is truncated again. The next writer
removes the partial line of a killed process. So every line in a file is complete.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler

from logs.contexts import Context
from logs.formatters import record_context

MAX_FILE_BYTES = 10 * 1024 * 1024
BATCH_LINES = 200  # lines of one write(2)
SCAN_BYTES = 64 * 1024  # bytes read at once in the search for the last complete line


class RotatingFile(ConcurrentRotatingFileHandler):
    """One rotating log file; lines are written in batches."""

    def write(self, lines: list[str]) -> None:
        """Append lines, and remove the written ones from the list.

        Raises:
            OSError: the file cannot be written; the remaining lines stay in the list.
        """
        self._lock()
        try:
            self._check_stream()
            while lines:
                self._append("".join(f"{line}\n" for line in lines[:BATCH_LINES]).encode(errors="backslashreplace"))
                del lines[:BATCH_LINES]
        finally:
            self._do_unlock()

    def _lock(self) -> None:
        """Take the lock of the lock file that is at its path now. The file opened before may be deleted."""
        while True:
            if self.stream_lock is None:
                Path(self.lockFilename).parent.mkdir(parents=True, exist_ok=True)
            self._do_lock()
            if self.stream_lock is not None and _is_still_at(self.stream_lock.fileno(), self.lockFilename):
                return
            self.release_files()

    def _append(self, data: bytes) -> None:
        """Append whole lines without Python's buffer, which would write its content again after an error."""
        descriptor = self._descriptor()
        size = _truncate_partial_line(descriptor)
        if size and size + len(data) > self.maxBytes:
            self.doRollover()
            descriptor, size = self._descriptor(), 0
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            os.ftruncate(descriptor, size)
            raise

    def _descriptor(self) -> int:
        if self.stream is None or self.stream.closed:
            self.stream = self.do_open("a+")
        return self.stream.fileno()

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Rotate by renaming files, oldest first: a process killed in between leaves a gap and loses no file."""
        self._close()
        rotated = [Path(f"{self.baseFilename}.{number}") for number in range(1, self.backupCount + 1)]
        gap = next((index for index, path in enumerate(rotated) if not path.exists()), len(rotated) - 1)
        for index in range(gap, 0, -1):
            rotated[index - 1].replace(rotated[index])
        Path(self.baseFilename).replace(rotated[0])

    def close(self) -> None:
        """Do nothing: `logging.shutdown` closes every handler, but the writer thread may be using this one."""

    def flush(self) -> None:
        """Do nothing: no data is buffered."""

    def release_files(self) -> None:
        """Close the log file and its lock file; the next write opens them again."""
        self._do_unlock()
        super().close()


class ContextFiles:
    """The log files of all contexts in one folder. Each file is created with its first line.

    Args:
        directory: the folder; created with the first file.
        backup_count: rotated files kept of each log file.
        max_file_bytes: size at which a file is rotated.
    """

    def __init__(self, directory: Path, *, backup_count: int, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        # All handlers are created here because that takes a lock of `logging`. In the writer thread this could
        # deadlock: another thread may hold that lock while it waits for the writer.
        self._files = {
            name: RotatingFile(
                str(directory / name), maxBytes=max_file_bytes, backupCount=backup_count, encoding="utf-8"
            )
            for context in Context
            for name in file_names(context, logging.WARNING)
        }
        self._pending: dict[str, list[str]] = {}

    def add(self, record: logging.LogRecord, line: str) -> None:
        """Add a record's line to the lines to write."""
        for name in file_names(record_context(record), record.levelno):
            self._pending.setdefault(name, []).append(line)

    def write(self) -> None:
        """Write all added lines. After an error, the lines of that file stay for the next call; other files go on.

        Raises:
            OSError: a file cannot be written.
        """
        failure: OSError | None = None
        for name in list(self._pending):
            try:
                self._files[name].write(self._pending[name])
            except OSError as error:
                failure = error
            else:
                del self._pending[name]
        if failure is not None:
            raise failure

    def discard_pending(self) -> None:
        """Discard the lines to write: in a forked child they belong to the parent, which writes them."""
        self._pending.clear()

    def close(self) -> None:
        """Close all files; the next write opens them again."""
        for file in self._files.values():
            file.release_files()


def file_names(context: Context, level: int) -> Sequence[str]:
    """Return the names of the files for a record of a context and a level."""
    return (f"{context}.log", f"{context}-errors.log") if level >= logging.WARNING else (f"{context}.log",)


ALL_FILES = [
    file
    for context in Context
    for name in file_names(context, logging.WARNING)
    for file in (name, f".__{Path(name).stem}.lock")
]


def _is_still_at(descriptor: int, path: str) -> bool:
    """Return whether an open file is the one that is at a path now."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    return False


def _truncate_partial_line(descriptor: int) -> int:
    """Cut off the incomplete line at the end of a file, if there is one; return the size of the rest."""
    size = end = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    while end:
        start = max(0, end - SCAN_BYTES)
        after = os.pread(descriptor, end - start, start).rfind(b"\n") + 1
        end = start + after if after else start
        if after:
            break
    os.ftruncate(descriptor, end)
    return end
