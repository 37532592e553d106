"""The log files: `<context>.log` holds all records of a log context, `<context>-errors.log` only WARN and above.

Several processes write and rotate the same log files, one at a time, guarded by the lock files of
concurrent-log-handler. One batch of lines is one write under one lock. If the disk cuts a write short, the partial
write is removed again. If a process is killed during a write, the next writer removes the partial line. So every line
in a log file is complete.
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
BATCH_LINES = 200  # the maximum number of lines in one call of write(2)
SCAN_BYTES = 64 * 1024  # how many bytes one step of the search for the last complete line reads


class RotatingFile(ConcurrentRotatingFileHandler):
    """One rotating log file; lines are written in batches."""

    def write(self, lines: list[str]) -> None:
        """Append lines to the file, and remove the written lines from the list.

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
        """Lock the lock file that exists at the path now; a lock file opened earlier may have been deleted."""
        while True:
            if self.stream_lock is None:
                Path(self.lockFilename).parent.mkdir(parents=True, exist_ok=True)
            self._do_lock()
            if self.stream_lock is not None and _is_still_at(self.stream_lock.fileno(), self.lockFilename):
                return
            self.release_files()

    def _append(self, data: bytes) -> None:
        """Append complete lines without Python's buffer, which would write old data again after an error."""
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

    def doRollover(self) -> None:  # noqa: N802 - `logging` defines the name
        """Rotate by renaming files, oldest first: a process killed while rotating leaves a gap but loses no file."""
        self._close()
        rotated = [Path(f"{self.baseFilename}.{number}") for number in range(1, self.backupCount + 1)]
        gap = next((index for index, path in enumerate(rotated) if not path.exists()), len(rotated) - 1)
        for index in range(gap, 0, -1):
            rotated[index - 1].replace(rotated[index])
        Path(self.baseFilename).replace(rotated[0])

    def close(self) -> None:
        """Do nothing: `logging.shutdown` closes every handler, but the writer thread may still use this handler."""

    def flush(self) -> None:
        """Do nothing, because `write` buffers no data."""

    def release_files(self) -> None:
        """Close the log file and its lock file; the next write opens both files again."""
        self._do_unlock()
        super().close()


class ContextFiles:
    """The log files of all log contexts in one folder; a file is created when its first line is written.

    Args:
        directory: the folder of the log files; created together with the first log file.
        backup_count: how many rotated files are kept of each log file.
        max_file_bytes: the size in bytes at which a log file is rotated.
    """

    def __init__(self, directory: Path, *, backup_count: int, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        # All file handlers are created in advance, because creating a handler takes a lock of `logging`. The writer
        # thread could deadlock on this lock, because another thread may hold the lock while waiting for the writer.
        self._files = {
            name: RotatingFile(
                str(directory / name), maxBytes=max_file_bytes, backupCount=backup_count, encoding="utf-8"
            )
            for context in Context
            for name in file_names(context, logging.WARNING)
        }
        self._pending: dict[str, list[str]] = {}

    def add(self, record: logging.LogRecord, line: str) -> None:
        """Add the formatted line of a record to the lines that `write` will write."""
        for name in file_names(record_context(record), record.levelno):
            self._pending.setdefault(name, []).append(line)

    def write(self) -> None:
        """Write all added lines. The lines of a file that cannot be written stay for the next call of `write`.

        Raises:
            OSError: a log file cannot be written.
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
        """Discard the lines not yet written; in a forked child, these lines belong to the parent process."""
        self._pending.clear()

    def close(self) -> None:
        """Close all log files; the next write opens the files again."""
        for file in self._files.values():
            file.release_files()


def file_names(context: Context, level: int) -> Sequence[str]:
    """Return the names of the log files for a record with a given log context and level."""
    return (f"{context}.log", f"{context}-errors.log") if level >= logging.WARNING else (f"{context}.log",)


ALL_FILES = [
    file
    for context in Context
    for name in file_names(context, logging.WARNING)
    for file in (name, f".__{Path(name).stem}.lock")
]


def _is_still_at(descriptor: int, path: str) -> bool:
    """Return whether an open file is the same file that exists at a path now."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    return False


def _truncate_partial_line(descriptor: int) -> int:
    """Cut off the incomplete line at the end of a file, if there is one; return the size of the remaining file."""
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
