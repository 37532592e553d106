"""Reads log files: lines of many files in the order of time, old files among them, and what is added from now on."""

import heapq
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

POLL = 0.25  # seconds

Line = Mapping[str, Any]


def generations(path: Path) -> list[Path]:
    """Return a file with the older ones that it was rotated away into, the oldest first."""
    older: list[Path] = []
    while (one := path.with_name(f"{path.name}.{len(older) + 1}")).exists():
        older.insert(0, one)
    return [*older, *([path] if path.exists() else [])]


def history(paths: Iterable[Path], since: float = 0.0) -> Iterator[Line]:
    """Yield what files hold, their older generations too, in the order of time.

    Args:
        paths: of the files.
        since: seconds since the epoch; files that were last written before are passed over.
    """
    return heapq.merge(*(_lines_of(path, since) for path in paths), key=lambda line: line["timestamp"])


def _lines_of(path: Path, since: float) -> Iterator[Line]:
    for one in generations(path):
        try:
            if one.stat().st_mtime >= since:
                with one.open(encoding="utf-8", errors="replace") as file:
                    yield from _parsed(file)
        except FileNotFoundError:  # it was rotated away just now, and the next one is it
            continue


def _parsed(lines: Iterable[str]) -> Iterator[Line]:
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and {"timestamp", "level", "context", "message"} <= said.keys():
            yield said


class Follower:
    """Reads what is added to a file, across its rotations, from its present end on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._rest = ""
        self._open(path, at_end=True)

    def new(self) -> Iterator[Line]:
        """Yield what was added since the last time."""
        yield from _parsed(self._complete())
        for path in self._newer():
            self._open(path)
            yield from _parsed(self._complete())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _complete(self) -> list[str]:
        """Return the lines that are complete; the beginning of another one waits for its end."""
        if self._file is None:
            return []
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        return lines

    def _newer(self) -> list[Path]:
        """Return the files that have taken this one's place since, the oldest first."""
        paths = generations(self._path)
        if self._file is None:
            return paths[-1:]
        own = os.fstat(self._file.fileno()).st_ino
        inodes = [path.stat().st_ino for path in paths]
        return paths[inodes.index(own) + 1 :] if own in inodes else paths

    def _open(self, path: Path, *, at_end: bool = False) -> None:
        self.close()
        self._rest = ""
        try:
            self._file = path.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            self._file = None
        else:
            self._file.seek(0, os.SEEK_END if at_end else os.SEEK_SET)


class Followers:
    """Follows several files from the moment at which this is made."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._followers = [Follower(path) for path in paths]

    def __iter__(self) -> Iterator[Line]:
        """Yield what is added, for ever."""
        while True:
            new = [line for follower in self._followers for line in follower.new()]
            yield from sorted(new, key=lambda line: line["timestamp"])
            time.sleep(POLL)

    def close(self) -> None:
        """Close all files."""
        for follower in self._followers:
            follower.close()
