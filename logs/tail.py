"""Reads log files: the lines of many files ordered by time, including rotated files, and lines that are added later."""

import datetime as dt
import heapq
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

POLL_SECONDS = 0.25
REORDER_LINES = 2000  # lines that may be out of order, because several processes write a log file in batches
MTIME_TOLERANCE = 1.0  # seconds by which the kernel's clock for file times may lag behind the clock for log records
_REQUIRED = ("timestamp", "level", "context", "message")

Line = Mapping[str, Any]


def rotated_files(path: Path) -> list[Path]:
    """Return the rotated files of a log file, oldest first, and at the end the current log file."""
    rotated = [(int(end), file) for file in path.parent.glob(f"{path.name}.*") if (end := file.suffix[1:]).isdecimal()]
    return [*(file for _, file in sorted(rotated, reverse=True)), *([path] if path.exists() else [])]


def merged(paths: Iterable[Path], since: float = 0.0) -> Iterator[Line]:
    """Yield the lines of log files and of rotated log files, ordered by time.

    Args:
        paths: the log files.
        since: a time in seconds since the epoch; log files last written before this time are skipped.
    """
    return heapq.merge(*(_sorted(_lines_of(path, since)) for path in paths), key=_timestamp)


def _lines_of(path: Path, since: float) -> Iterator[Line]:
    for file in rotated_files(path):
        with suppress(FileNotFoundError, IsADirectoryError):  # a file rotated just now is read as the next file
            if file.stat().st_mtime >= since - MTIME_TOLERANCE:
                with file.open("rb") as stream:
                    yield from _parse(stream)


def _sorted(lines: Iterable[Line]) -> Iterator[Line]:
    """Sort log lines by time; a line may be at most `REORDER_LINES` positions out of order."""
    heap: list[tuple[str, int, Line]] = []
    for index, line in enumerate(lines):
        entry = (_timestamp(line), index, line)
        if len(heap) < REORDER_LINES:
            heapq.heappush(heap, entry)
        else:
            yield heapq.heappushpop(heap, entry)[2]
    yield from (line for _, _, line in sorted(heap))


def _timestamp(line: Line) -> str:
    text: str = line["timestamp"]
    return text


def _parse(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines that are valid JSON log lines; skip all other lines."""
    for line in lines:
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict) and all(isinstance(data.get(name), str) for name in _REQUIRED):
            with suppress(ValueError):
                dt.datetime.fromisoformat(data["timestamp"])
                yield data


class Tail:
    """Reads the lines added to a log file after this object was created, even if the file is rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._partial_line = b""
        self._open(path, at_end=True)

    def read_new(self) -> Iterator[Line]:
        """Yield the log lines added since the last call of `read_new`."""
        yield from _parse(self._complete_lines())
        for path in self._newer_files():
            yield from _parse(self._complete_lines())  # lines added after the last read and before the rotation
            self._open(path)
            yield from _parse(self._complete_lines())

    def close(self) -> None:
        """Close the log file."""
        if self._file is not None:
            self._file.close()

    def _complete_lines(self) -> list[bytes]:
        """Read the new complete lines; keep a partial last line for the next call."""
        if self._file is None:
            return []
        *lines, self._partial_line = (self._partial_line + self._file.read()).split(b"\n")
        return lines

    def _newer_files(self) -> list[Path]:
        """Return the log files that are newer than the open log file, oldest first."""
        paths = rotated_files(self._path)
        if self._file is None:
            return paths[-1:]
        own = os.fstat(self._file.fileno())
        for index, path in enumerate(paths):
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), own):
                    return paths[index + 1 :]
        return paths

    def _open(self, path: Path, *, at_end: bool = False) -> None:
        self.close()
        self._file, self._partial_line = None, b""
        with suppress(FileNotFoundError):
            self._file = path.open("rb")
            self._file.seek(0, os.SEEK_END if at_end else os.SEEK_SET)


class Tails:
    """Reads the lines added to several log files after this object was created."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._tails = [Tail(path) for path in paths]

    def __iter__(self) -> Iterator[Line]:
        """Yield added log lines for ever; wait when there are none."""
        while True:
            yield from sorted((line for tail in self._tails for line in tail.read_new()), key=_timestamp)
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Close all log files."""
        for tail in self._tails:
            tail.close()
