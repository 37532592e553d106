"""Spans of traces: that a piece of work took so long. Without a recorder, as is usual, nothing is recorded.

`whatsai.tracing` sets the recorder. Attributes of spans come from the code: no URLs, texts, names, numbers or tokens.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Attributes = Mapping[str, str | int]


class Span:
    """A span that is being recorded; this one records nothing."""

    def describe(self, name: str, attributes: Attributes) -> None:
        """Rename the span, and add attributes."""


class Recorder(Protocol):
    """Records spans."""

    def root(self, name: str) -> AbstractContextManager[Span]:
        """Record a block as the first span of a new trace."""

    def past(self, name: str, seconds: float, attributes: Attributes) -> None:
        """Record work that has just ended as a part of the present span; without a present span, record nothing."""


recorder: Recorder | None = None
_NOTHING = Span()


def root(name: str) -> AbstractContextManager[Span]:
    """Record a block as the first span of a new trace, if spans are recorded."""
    return nullcontext(_NOTHING) if recorder is None else recorder.root(name)
