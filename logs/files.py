"""The files: `<context>.log` for everything of a context, `<context>-errors.log` for what is WARN and above.

Several processes write the same files, and any of them rotates them: concurrent-log-handler's locks see to that. A
batch is one write under one lock. A write that the disk cut short is taken back, so that no line is half a line.
"""

import logging
import os
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler

from logs.formats import context

ROTATE_AT = 10 * 1024 * 1024  # bytes
AT_ONCE = 200  # lines


class RotatingFile(ConcurrentRotatingFileHandler):
    """One file, written by the batch."""

    def write(self, lines: list[str]) -> None:
        """Append lines, and take out of the list what is in the file.

        Raises:
            OSError: the disk does not take them.
        """
        self._do_lock()
        try:
            self._check_stream()
            while lines:
                if self._shouldRollover():
                    self.doRollover()
                self.do_write("\n".join(lines[:AT_ONCE]))
                del lines[:AT_ONCE]
        finally:
            self._do_unlock()

    def do_write(self, msg: str) -> None:
        """Append a text, past Python's buffers: what is in one of them would be written again."""
        if self.stream is None or self.stream.closed:
            self.stream = self.do_open()
        handle = self.stream.fileno()
        size = os.fstat(handle).st_size
        left = memoryview(f"{msg}\n".encode(errors="backslashreplace"))
        try:
            while left:
                left = left[os.write(handle, left) :]
        except OSError:
            os.ftruncate(handle, size)
            raise


class ContextFiles:
    """The files of all contexts in one folder, each made when it is first needed.

    Args:
        directory: the folder; made with the first file.
        keep: old files that are kept of each.
    """

    def __init__(self, directory: Path, *, keep: int) -> None:
        self._directory = directory
        self._keep = keep
        self._files: dict[str, RotatingFile] = {}
        self._waiting: dict[str, list[str]] = {}

    def add(self, record: logging.LogRecord, line: str) -> None:
        """Add a record's line to what is to be written."""
        name = context(record).value
        self._waiting.setdefault(f"{name}.log", []).append(line)
        if record.levelno >= logging.WARNING:
            self._waiting.setdefault(f"{name}-errors.log", []).append(line)

    def write(self) -> None:
        """Write what was added. What cannot be written waits for the next time.

        Raises:
            OSError: a file cannot be written.
        """
        while self._waiting:
            name, lines = next(iter(self._waiting.items()))
            self._file(name).write(lines)
            del self._waiting[name]

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> RotatingFile:
        file = self._files.get(name)
        if file is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            path = str(self._directory / name)
            file = self._files[name] = RotatingFile(path, maxBytes=ROTATE_AT, backupCount=self._keep, encoding="utf-8")
        return file
