"""Answers a reader: the changes after its cursor, or that it must load its rows anew.

Pages, streams and outgoing messages can all be made from `follow`, and differ only in how they wait for new changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from conversations.changes import log
from conversations.changes.coalescing import Step, coalesce
from conversations.changes.cursor import Cursor, UnknownCursor, decode, encode, fingerprint
from conversations.changes.history import current_history
from conversations.changes.log import Entry, Position, Selection

NOW = "now"
RESET_ALL = Entry(0, 0, None, None, None, "", "reset")
ENTRIES_PER_CHANGE = 4  # entries that are read at once for each change that is wanted


@dataclass(frozen=True)
class Batch:
    """An answer to a reader.

    Attributes:
        steps: one for each changed row; `RESET_ALL` alone if all rows must be loaded anew.
        end: the position after the steps.
        history, selection: the other parts of the reader's cursor.
        has_more: whether more changes can be read at once.
    """

    steps: Sequence[Step]
    end: Position
    history: str
    selection: str
    has_more: bool = False

    @property
    def cursor(self) -> str:
        """The cursor of a reader that has made all steps."""
        return encode(Cursor(self.end, self.history, self.selection))

    def first(self, count: int) -> "Batch":
        """Return the batch of the first steps alone, at least one."""
        return replace(self, steps=self.steps[:count], end=self.steps[count - 1].end, has_more=True)


def follow(after: str, selection: Selection, limit: int, until: Position | None = None) -> Batch:
    """Return the changes after a cursor; the first cursor, without changes, if `after` is "" or `NOW`.

    Args:
        after: the cursor of the batch before.
        selection: what the reader wants and may see. If it differs from that of the cursor, all rows must be loaded.
        limit: maximum number of changes.
        until: an earlier end of the log, after which nothing is read.

    Raises:
        UnknownCursor: `after` is no cursor of this database's history.
    """
    history, selected = current_history(), _fingerprint(selection)
    if after in ("", NOW):
        return Batch((), log.head(), history, selected)
    known, floor = decode(after), log.removed_until(history)
    if known.history != history:
        raise UnknownCursor
    if known.selection != selected or log.is_before(known.position, floor):
        return _reset(history, selected)
    if not log.is_possible(known.position, floor=floor):
        raise UnknownCursor
    window = log.read(known.position, selection, limit * ENTRIES_PER_CHANGE, until)
    if log.is_before(known.position, log.removed_until(history)):  # retention has removed a part of it meanwhile
        return _reset(history, selected)
    batch = Batch(coalesce(window.entries), window.end, history, selected, not window.is_last)
    return batch.first(limit) if len(batch.steps) > limit else batch


def check_cursor(text: str) -> None:
    """Check that a cursor is one of this database's history; it may be older than the log.

    Raises:
        UnknownCursor: it is not.
    """
    known, history = decode(text), current_history()
    floor = log.removed_until(history)
    if known.history != history:
        raise UnknownCursor
    if not log.is_before(known.position, floor) and not log.is_possible(known.position, floor=floor):
        raise UnknownCursor


def cursor_at(position: Position, selection: Selection, history: str | None = None) -> str:
    """Return the cursor of a reader that knows all changes up to a position, by default of the present history."""
    return encode(Cursor(position, history or current_history(), _fingerprint(selection)))


def _reset(history: str, selected: str) -> Batch:
    end = log.head()
    return Batch([Step(RESET_ALL, end)], end, history, selected)


def _fingerprint(selection: Selection) -> str:
    chosen = (selection.instances, selection.resources, selection.conversations)
    return fingerprint(*(None if one is None else sorted(one) for one in chosen))
