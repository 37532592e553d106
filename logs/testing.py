"""For tests: what was logged, as it would be written.

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


class Captured(list[dict[str, Any]]):
    """The lines, each as the object that its JSON says."""

    def matching(self, *, message: str = "", **fields: Any) -> list[dict[str, Any]]:
        """Return the lines whose message has a text in it and whose fields have these values, whatever their case."""
        return [
            line
            for line in self
            if message in line["message"] and all(_same(line.get(name), value) for name, value in fields.items())
        ]

    def one(self, **wanted: Any) -> dict[str, Any]:
        """Return the only line that matches.

        Raises:
            AssertionError: there is none, or more than one.
        """
        found = self.matching(**wanted)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} lines match {wanted}, of these: {json.dumps(self, indent=1)}")
        return found[0]


class _Capture(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines = Captured()
        self._format, self._redact = JsonFormatter().format, RedactionFilter()

    def emit(self, record: logging.LogRecord) -> None:
        taken = snapshot(record, self._redact.redactor)
        self._redact.filter(taken)
        self.lines.append(json.loads(self._format(taken)))


@contextmanager
def capture(level: int = logging.DEBUG) -> Iterator[Captured]:
    """Capture what is logged inside the block, from that level on, by the project and by libraries."""
    root, project, handler = logging.getLogger(), logging.getLogger("whatsai"), _Capture()
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


def _same(found: object, wanted: object) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return found.casefold() == wanted.casefold()
    return found == wanted
