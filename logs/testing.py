"""For tests: captures log records in the form in which they would be written to a file.

with capture() as logged:
    do_something()
assert logged.one(context="cache", level="WARN")["message"].startswith("Cache DEGRADED")
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from logs.formatters import JsonFormatter
from logs.handler import snapshot
from logs.redaction import RedactionFilter


class CapturedLines(list[dict[str, Any]]):
    """The captured log lines, each as a parsed JSON object."""

    def matching(self, *, message: str = "", **fields: Any) -> list[dict[str, Any]]:
        """Return the lines whose message contains a text and whose fields have given values (in any letter case)."""
        return [
            line
            for line in self
            if message in line["message"] and all(_equal(line.get(name), value) for name, value in fields.items())
        ]

    def one(self, **expected: Any) -> dict[str, Any]:
        """Return the only captured log line that matches.

        Raises:
            AssertionError: no log line matches, or more than one log line.
        """
        found = self.matching(**expected)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} lines match {expected}, of these: {json.dumps(self, indent=1)}")
        return found[0]


class _CaptureHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines = CapturedLines()
        self._format, self._redact = JsonFormatter().format, RedactionFilter()

    def emit(self, record: logging.LogRecord) -> None:
        copy = snapshot(record, self._redact.redactor)
        self._redact.filter(copy)
        self.lines.append(json.loads(self._format(copy)))


@contextmanager
def capture(level: int = logging.DEBUG) -> Iterator[CapturedLines]:
    """Capture the log records of the project and of libraries inside the block, at `level` and above."""
    root, project, handler = logging.getLogger(), logging.getLogger("whatsai"), _CaptureHandler()
    before = root.level, project.level
    root.addHandler(handler)
    root.setLevel(level)
    project.setLevel(level)
    try:
        yield handler.lines
    finally:
        root.setLevel(before[0])
        project.setLevel(before[1])
        root.removeHandler(handler)


def _equal(found: object, expected: object) -> bool:
    if isinstance(found, str) and isinstance(expected, str):
        return found.casefold() == expected.casefold()
    return found == expected
