"""Shows how far a long step of the demo is: a bar on a terminal, and otherwise a line at each tenth."""

import sys
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

_LINES = 10


class Progress:
    """The progress of one step, from the beginning of a `with` block to its end.

    Args:
        title: what the step does.
        total: how many times the step advances.
        stream: where the progress is written; None for nowhere.
    """

    def __init__(self, title: str, total: int, stream: TextIO | None = sys.stderr) -> None:
        self._title, self._total, self._stream = title, total, stream
        self._done = self._tenth = 0
        self._bar = tqdm(desc=title, total=total, file=stream) if stream is not None and stream.isatty() else None

    def __enter__(self) -> Self:
        """Show that the step begins."""
        self._write_line()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int = 1) -> None:
        """Show that `count` more of the total are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._total and (tenth := self._done * _LINES // self._total) > self._tenth:
            self._tenth = tenth
            self._write_line()

    def _write_line(self) -> None:
        if self._bar is None and self._stream is not None:
            print(f"{self._title}: {self._done} of {self._total}", file=self._stream, flush=True)
