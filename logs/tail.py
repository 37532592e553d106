"""Reads log files: lines of many files in the order of time, old files among them, and what is added from now on."""

import datetime as dt
import heapq
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

POLL = 0.25  # seconds
OUT_OF_ORDER = 2000  # lines: several processes write a file, each a batch at a time
_ALWAYS = ("timestamp", "level", "context", "message")  # what a line of ours has

Line = Mapping[str, Any]


def rotated_files(path: Path) -> list[Path]:
    """Return a file with the older ones that it was rotated away into, the oldest first."""
    older = [(int(end), one) for one in path.parent.glob(f"{path.name}.*") if (end := one.suffix[1:]).isdecimal()]
    return [*(one for _, one in sorted(older, reverse=True)), *([path] if path.exists() else [])]


def merged(paths: Iterable[Path], since: float = 0.0) -> Iterator[Line]:
    """Yield what files hold, their older generations too, in the order of time.

    Args:
        paths: of the files.
        since: seconds since the epoch; files that were last written before are passed over.
    """
    return heapq.merge(*(_in_order(_lines_of(path, since)) for path in paths), key=_moment)


def _lines_of(path: Path, since: float) -> Iterator[Line]:
    for one in rotated_files(path):
        with suppress(FileNotFoundError, IsADirectoryError):  # it was rotated away just now, and the next one is it
            if one.stat().st_mtime >= since:
                with one.open("rb") as file:
                    yield from _parsed(file)


def _in_order(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield lines that are nearly in the order of time in that order."""
    kept: list[tuple[str, int, Line]] = []
    for place, line in enumerate(lines):
        one = (_moment(line), place, line)
        if len(kept) < OUT_OF_ORDER:
            heapq.heappush(kept, one)
        else:
            yield heapq.heappushpop(kept, one)[2]
    yield from (line for _, _, line in sorted(kept))


def _moment(line: Line) -> str:
    moment: str = line["timestamp"]
    return moment


def _parsed(lines: Iterable[bytes]) -> Iterator[Line]:
    for line in lines:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and all(isinstance(said.get(name), str) for name in _ALWAYS):
            with suppress(ValueError):
                dt.datetime.fromisoformat(said["timestamp"])
                yield said


class Tail:
    """Reads what is added to a file, across its rotations, from its present end on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open(path, at_end=True)

    def new(self) -> Iterator[Line]:
        """Yield what was added since the last time."""
        yield from _parsed(self._complete())
        for path in self._newer():
            yield from _parsed(self._complete())  # what came before it was rotated away, and after it was last read
            self._open(path)
            yield from _parsed(self._complete())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _complete(self) -> list[bytes]:
        """Return the lines that are complete; the beginning of another one waits for its end."""
        if self._file is None:
            return []
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return lines

    def _newer(self) -> list[Path]:
        """Return the files that have taken this one's place since, the oldest first."""
        paths = rotated_files(self._path)
        if self._file is None:
            return paths[-1:]
        own = os.fstat(self._file.fileno())
        for place, path in enumerate(paths):
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), own):
                    return paths[place + 1 :]
        return paths

    def _open(self, path: Path, *, at_end: bool = False) -> None:
        self.close()
        self._file, self._rest = None, b""
        with suppress(FileNotFoundError):
            self._file = path.open("rb")
            self._file.seek(0, os.SEEK_END if at_end else os.SEEK_SET)


class Tails:
    """Follows several files from the moment at which this is made."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._followers = [Tail(path) for path in paths]

    def __iter__(self) -> Iterator[Line]:
        """Yield what is added, for ever."""
        while True:
            yield from sorted((line for follower in self._followers for line in follower.new()), key=_moment)
            time.sleep(POLL)

    def close(self) -> None:
        """Close all files."""
        for follower in self._followers:
            follower.close()
