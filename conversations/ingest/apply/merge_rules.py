"""The merge rules: pure functions that decide what a row contains after a fact.

Each rule is commutative, associative and idempotent, which property tests check. Therefore any order and any repetition
of events give the same rows. Model instances are used as plain values; nothing here reads or writes the database.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from conversations.evolution import coerce
from conversations.models import Message, Participant

Values = Mapping[str, Any]

# Fields that a message takes together from one copy. `text` is not among them, because an edit replaces it.
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
    """An update of a message: `facts.MessageUpdate`, or a row of `models.PendingUpdate`."""

    @property
    def kind(self) -> str:
        """One of `models.PendingUpdate.Kind`."""

    @property
    def rank_or_ms(self) -> int:
        """The rank of a status; for other kinds the time in ms since the epoch."""

    @property
    def value(self) -> Any:
        """An object with the fields that the kind needs."""

    @property
    def subject(self) -> str:
        """The author of a reaction or a vote: an address key, or `me`."""


def snapshot(row: Message) -> dict[str, Any]:
    """Return the values of the fields that merges can change."""
    return {name: getattr(row, name) for name in MERGED_FIELDS}


def changed_fields(row: Message, before: Values) -> set[str]:
    """Return the names of the fields that differ from a snapshot."""
    return {name for name, value in before.items() if getattr(row, name) != value}


# --- which of two values wins -----------------------------------------------------------------------------------------
def tie_breaker(value: Any) -> str:
    """Return a text that orders values with equal clocks; None is the least."""
    return "" if value is None else coerce.canonical_json(value)


def statement_key(rank_or_ms: int, value: Values) -> tuple[int, bool, str]:
    """Return the sort key of an update; of two updates of the same thing the greater one wins.

    At equal times a removed reaction wins over the reaction, because it can only have been removed after it was set.
    """
    return rank_or_ms, value.get("emoji") == "", tie_breaker(value)


def is_newer(value: Any, clock: str, new: Any, new_clock: str) -> bool:
    """Return whether a new latest-state value replaces the current one; with equal clocks `tie_breaker` decides."""
    return new_clock > clock if new_clock != clock else tie_breaker(new) > tie_breaker(value)


def membership_order(row: Participant) -> tuple[str, bool, str]:
    """Return the sort key of a membership; of two of the same participant the greater one wins."""
    return row.clock, row.is_present, row.role


# --- messages ---------------------------------------------------------------------------------------------------------
def merge_copy(row: Message, copy: Values) -> None:
    """Merge a copy of the message into its row.

    The least precedence decides which copy's content the row shows. The earliest timestamp and the highest status win,
    and flags that any copy sets stay set.

    Args:
        row: the message; its `precedence` is "" before the first copy.
        copy: values of `COPY_FIELDS`, `text`, `timestamp`, `status`, `is_history` and `from_device`.
    """
    if not row.precedence or copy["precedence"] < row.precedence:
        for name in COPY_FIELDS:
            setattr(row, name, copy[name])
        setattr(row, "text" if row.edited_at is None else "original_text", copy["text"])
    row.timestamp = min(row.timestamp, copy["timestamp"])
    row.status = max(row.status, copy["status"])
    row.is_history = row.is_history or copy["is_history"]
    row.from_device = row.from_device or copy["from_device"]


def merge_update(row: Message, update: Update) -> None:
    """Merge an update into the message's row.

    Raises:
        ValueError: the kind is unknown.
    """
    match update.kind:
        case "status":
            row.status = max(row.status, update.rank_or_ms)
        case "edit":
            _merge_edit(row, update.rank_or_ms, update.value["text"])
        case "delete":
            row.is_deleted = True
        case "reaction":
            row.reactions = _merge_statement(row.reactions, update.subject, {**update.value, "at": update.rank_or_ms})
        case "poll":
            vote = {**update.value, "at": update.rank_or_ms}
            row.poll_results = _merge_statement(row.poll_results, update.subject, vote)
        case _:
            raise ValueError(f"unknown kind of update: {update.kind}")


def merge_messages(row: Message, other: Message) -> None:
    """Merge a second row of the same message into the first; two contacts' conversations were merged."""
    text = other.text if other.edited_at is None else other.original_text
    merge_copy(row, {name: getattr(other, name) for name in MERGED_FIELDS} | {"text": text})
    if other.edited_at is not None:
        _merge_edit(row, coerce.to_ms(other.edited_at), other.text)
    row.is_deleted = row.is_deleted or other.is_deleted
    for subject, reaction in other.reactions.items():
        row.reactions = _merge_statement(row.reactions, subject, reaction)
    for subject, vote in other.poll_results.items():
        row.poll_results = _merge_statement(row.poll_results, subject, vote)


def _merge_edit(row: Message, ms: int, text: str) -> None:
    """Show the text of the latest edit, and keep the text before all edits."""
    if row.edited_at is None:
        row.original_text = row.text
    elif statement_key(ms, {"text": text}) <= statement_key(coerce.to_ms(row.edited_at), {"text": row.text}):
        return
    row.text, row.edited_at = text, coerce.from_ms(ms)


def _merge_statement(statements: Mapping[str, Values], subject: str, new: Values) -> dict[str, Values]:
    """Return the statements (reactions or votes) by subject; the subject's later one, by its time `at` in ms, wins."""
    old = statements.get(subject)
    return {**statements, subject: dict(new if not old or _statement_order(new) > _statement_order(old) else old)}


def _statement_order(statement: Values) -> tuple[int, bool, str]:
    value = {name: field for name, field in statement.items() if name != "at"}
    return statement_key(statement["at"], value)
