"""Pure decisions: what a row becomes by a fact. Each is a join — commutative, associative, idempotent.

Rows are the models' instances, used as plain values: nothing here reads or writes the database. That any order and any
repetition of events end in the same rows follows from these functions being joins, and is tested as a property.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from conversations.evolution import coerce
from conversations.models import Message

Values = Mapping[str, Any]

# What one copy of a message shows, all of it from the same copy. `text` is apart: an edit covers it.
COPY_FIELDS = (
    "sender_id",
    "sender_name",
    "source",
    "kind",
    "media",
    "details",
    "quoted_key_id",
    "quoted_sender",
    "quoted_text",
    "precedence",
)
MERGED_FIELDS = (
    *COPY_FIELDS,
    "text",
    "timestamp",
    "status",
    "is_history",
    "from_device",
    "original_text",
    "edited_at",
    "is_deleted",
    "reactions",
    "poll_results",
)


class Update(Protocol):
    """Something said of a message: `facts.MessageUpdate`, or its row `models.PendingUpdate`."""

    @property
    def kind(self) -> str:
        """What is said, one of `models.PendingUpdate.Kind`."""

    @property
    def at(self) -> int:
        """When, in ms since the epoch; the rank of a status."""

    @property
    def value(self) -> Any:
        """What the kind needs beside the time."""

    @property
    def subject(self) -> str:
        """Who says it, where each person has a say."""


def snapshot(row: Message) -> dict[str, Any]:
    """Return the values of a row that joins may change."""
    return {name: getattr(row, name) for name in MERGED_FIELDS}


def changed_fields(row: Message, before: Values) -> set[str]:
    """Return the names of the fields that have changed since `before`, a snapshot."""
    return {name for name, value in before.items() if getattr(row, name) != value}


def tie_breaker(value: Any) -> str:
    """Return a text that orders values of one field where their times are equal; no value is the least."""
    return "" if value is None else coerce.canonical_json(value)


def statement_key(at: int, value: Values) -> tuple[int, bool, str]:
    """Return what orders two statements of one thing; the greater one holds.

    At the same moment a removed reaction comes after the reaction: there was one to remove.
    """
    return at, value.get("emoji") == "", tie_breaker(value)


def merge_copy(row: Message, copy: Values) -> None:
    """Join one copy of the message into its row: `copy` has the fields of JOINED that a copy can have."""
    if not row.precedence or copy["precedence"] < row.precedence:
        for name in COPY_FIELDS:
            setattr(row, name, copy[name])
        setattr(row, "text" if row.edited_at is None else "original_text", copy["text"])
    row.timestamp = min(row.timestamp, copy["timestamp"])
    row.status = max(row.status, copy["status"])
    row.is_history = row.is_history or copy["is_history"]
    row.from_device = row.from_device or copy["from_device"]


def merge_update(row: Message, update: Update) -> None:
    """Join something said of the message into its row."""
    _TOLD[update.kind](row, update)


def merge_messages(row: Message, other: Message) -> None:
    """Join a second row of the same message into the first (two halves of a conversation have met)."""
    base = other.text if other.edited_at is None else other.original_text
    merge_copy(row, {name: getattr(other, name) for name in MERGED_FIELDS} | {"text": base})
    if other.edited_at is not None:
        _edit(row, coerce.ms_of(other.edited_at), other.text)
    row.is_deleted = row.is_deleted or other.is_deleted
    for who, said in other.reactions.items():
        _react(row, who, said)
    for who, said in other.poll_results.items():
        _vote(row, who, said)


def is_newer(value: Any, clock: str, new: Any, new_clock: str) -> bool:
    """Say whether a newly said value takes the place of one said before, each with its clock."""
    return new_clock > clock if new_clock != clock else tie_breaker(new) > tie_breaker(value)


def _edit(row: Message, at: int, text: str) -> None:
    if row.edited_at is None:
        row.original_text = row.text
    elif statement_key(at, {"text": text}) <= statement_key(coerce.ms_of(row.edited_at), {"text": row.text}):
        return
    row.text, row.edited_at = text, coerce.from_ms(at)


def _react(row: Message, who: str, said: Values) -> None:
    row.reactions = {**row.reactions, who: _later(row.reactions.get(who), said)}


def _vote(row: Message, who: str, said: Values) -> None:
    row.poll_results = {**row.poll_results, who: _later(row.poll_results.get(who), said)}


def _later(known: Values | None, said: Values) -> dict[str, Any]:
    """Of two statements, each with its own time `at`, return the one that holds."""
    if not known:
        return dict(said)
    values = ({name: value for name, value in one.items() if name != "at"} for one in (known, said))
    (old, new), (was, now) = values, (known["at"], said["at"])
    return dict(said if statement_key(now, new) > statement_key(was, old) else known)


def _told_status(row: Message, update: Update) -> None:
    row.status = max(row.status, update.at)


def _told_edit(row: Message, update: Update) -> None:
    _edit(row, update.at, update.value["text"])


def _told_delete(row: Message, _update: Update) -> None:
    row.is_deleted = True


def _told_reaction(row: Message, update: Update) -> None:
    _react(row, update.subject, {**update.value, "at": update.at})


def _told_vote(row: Message, update: Update) -> None:
    _vote(row, update.subject, {**update.value, "at": update.at})


_TOLD: dict[str, Callable[[Message, Update], None]] = {
    "status": _told_status,
    "edit": _told_edit,
    "delete": _told_delete,
    "reaction": _told_reaction,
    "poll": _told_vote,
}
