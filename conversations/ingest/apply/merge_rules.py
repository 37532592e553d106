"""The merge rules: pure functions that decide what a row contains after a fact is merged into it.

Each merge rule is commutative, associative and idempotent, which property tests check; therefore the same events give
the same rows, in any order and even if events are repeated. The merge rules use model instances as plain values and
access no database.
"""

from collections.abc import Iterable, Mapping
from itertools import accumulate, islice, takewhile
from typing import Any, Protocol

from conversations.evolution import coerce
from conversations.evolution.calls import STAGES as CALL_STAGES
from conversations.evolution.calls import is_of_event
from conversations.models import Message, Participant

Values = Mapping[str, Any]

# Message fields whose values all come from the same copy of the message. The field `text` is not in COPY_FIELDS,
# because an edit replaces the text.
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
EDITED = "edited"  # the name in `Message.details` of the details after the latest edit, and the edit's time in `at`
STATEMENT_FIELDS = ("reactions", "poll_results")  # a statement of each author
# Authors in each of these fields. Groups have 1,024 members, but a sender may name any number of voters, and a row is
# read and written as a whole for each of them.
MAX_AUTHORS = 1024
# Characters of JSON in each of these fields, up to the statement that reaches them: twice as many as the votes of 1,024
# members for one option each.
MAX_STATEMENTS_JSON = 2**18
_LONGEST = 5_000  # characters of JSON that a statement has at most, with its addresses
MERGED_FIELDS = (
    *COPY_FIELDS,
    *STATEMENT_FIELDS,
    "text",
    "timestamp",
    "sent_order",
    "status",
    "is_history",
    "from_device",
    "original_text",
    "edited_at",
    "edited_at_is_estimated",
    "is_deleted",
)


class Update(Protocol):
    """An update of a chat message: `facts.MessageUpdate`, or a row of `models.PendingUpdate`."""

    @property
    def kind(self) -> str:
        """One of `models.PendingUpdate.Kind`."""

    @property
    def rank_or_ms(self) -> int:
        """The rank of a delivery status; for other kinds of update, the time in milliseconds since the epoch."""

    @property
    def value(self) -> Any:
        """A JSON object whose fields depend on the update's `kind`."""


def snapshot(row: Message) -> dict[str, Any]:
    """Return the current values of the message fields that a merge can change."""
    statements = {name: dict(getattr(row, name)) for name in STATEMENT_FIELDS}  # a merge changes these in place
    return {name: getattr(row, name) for name in MERGED_FIELDS} | statements


def changed_fields(row: Message, before: Values) -> set[str]:
    """Return the names of the message fields whose values differ from the snapshot `before`."""
    return {name for name, value in before.items() if getattr(row, name) != value}


# --- which of two values wins -----------------------------------------------------------------------------------------
def tie_breaker(value: Any) -> str:
    """Return a text by which values with equal clocks are compared; the text for None is the least."""
    return "" if value is None else coerce.canonical_json(value)


def statement_key(rank_or_ms: int, value: Values) -> tuple[bool, int, bool, str]:
    """Return the sort key of an update; of two updates with the same kind, author and message, the greater key wins.

    A time that WhatsApp states beats one estimated from the clock of the Evolution host. Evolution reports each edit
    with both, and the estimate may be hours late.
    If a reaction and its removal have the same time, the removal wins, because a reaction is set before it is removed.
    """
    return not value.get("is_estimated"), rank_or_ms, value.get("emoji") == "", tie_breaker(value)


def is_newer(value: Any, clock: str, new: Any, new_clock: str) -> bool:
    """Return whether a new latest-state value replaces the current one; with equal clocks `tie_breaker` decides."""
    return new_clock > clock if new_clock != clock else tie_breaker(new) > tie_breaker(value)


def membership_order(row: Participant) -> tuple[str, bool, str]:
    """Return the sort key of a membership; of two memberships of a participant, the one with the greater key wins."""
    return row.clock, row.is_present, row.role


# --- messages ---------------------------------------------------------------------------------------------------------
def merge_copy(row: Message, copy: Values) -> None:
    """Merge a copy of a chat message into the message's row.

    The row shows the content of the copy with the least `precedence`. The earliest timestamp, the earliest `sent_order`
    other than 0 and the highest status of all copies win. `from_device` is true if it is for any copy, `is_history` if
    it is for all copies.

    Args:
        row: the message, whose `precedence` is "" before the first copy.
        copy: the copy's values of `COPY_FIELDS`, `text`, `timestamp`, `sent_order`, `status`, `is_history` and
            `from_device`.
    """
    is_first = not row.precedence
    before = row.details
    are_events = is_of_event(copy["precedence"]) and (is_first or is_of_event(row.precedence))
    if is_first or copy["precedence"] < row.precedence:
        edited = before.get(EDITED)
        for name in COPY_FIELDS:
            setattr(row, name, copy[name])
        if edited:
            row.details = {**row.details, EDITED: edited}
        setattr(row, "text" if row.edited_at is None else "original_text", copy["text"])
    if are_events:  # any other copy hides all events of the call
        row.details = _joined_call(row.details, before, copy["details"])
    row.timestamp = min(row.timestamp, copy["timestamp"])
    row.sent_order = min(filter(None, (row.sent_order, copy["sent_order"])), default=0)
    row.status = max(row.status, copy["status"])
    row.is_history = copy["is_history"] and (is_first or row.is_history)
    row.from_device = row.from_device or copy["from_device"]


def merge_update(row: Message, update: Update, subject: str = "") -> None:
    """Merge an update into the row of the chat message that the update is about.

    Args:
        row: the chat message.
        update: the update.
        subject: the author of a reaction or a vote, see `Message.reactions`.

    Raises:
        ValueError: the kind of the update is unknown.
    """
    match update.kind:
        case "status":
            row.status = max(row.status, update.rank_or_ms)
        case "edit":
            _merge_edit(row, update.rank_or_ms, update.value)
        case "details":
            row.details = _merge_details(row.details, {**update.value, "at": update.rank_or_ms})
        case "album":  # `MessageBatch` looks up the messages of albums
            pass
        case "delete":
            row.is_deleted = True
        case "reaction":
            _merge_statement(row.reactions, subject, {**update.value, "at": update.rank_or_ms})
        case "poll":
            _merge_statement(row.poll_results, subject, {**update.value, "at": update.rank_or_ms})
        case "call":
            if is_of_event(row.precedence):
                row.details = _joined_call(row.details, row.details, update.value)
        case _:
            raise ValueError(f"unknown kind of update: {update.kind}")


def merge_messages(row: Message, other: Message) -> None:
    """Merge `other`, a second row of the same chat message, into `row`, when two conversations are merged."""
    text = other.text if other.edited_at is None else other.original_text
    details = {name: value for name, value in other.details.items() if name != EDITED}
    merge_copy(row, {name: getattr(other, name) for name in MERGED_FIELDS} | {"text": text, "details": details})
    if EDITED in other.details:
        row.details = _merge_details(row.details, other.details[EDITED])
    if other.edited_at is not None:
        _merge_edit(row, coerce.to_ms(other.edited_at), _edit_value(other))
    row.is_deleted = row.is_deleted or other.is_deleted
    for name in STATEMENT_FIELDS:
        for subject, statement in getattr(other, name).items():
            _merge_statement(getattr(row, name), subject, statement)
    limit_statements(row)


def limit_statements(row: Message) -> None:
    """Remove the reactions and votes of authors for whom a row has no place.

    Those of the contacts that are known for longest stay, whoever stated something first. So the rows do not depend on
    the order of updates, with one exception: a place may become free, because a later vote is shorter, or because two
    authors turn out to be one person. Statements that were removed before do not come back.
    """
    for name in STATEMENT_FIELDS:
        statements = getattr(row, name)
        if len(statements) <= min(MAX_AUTHORS, MAX_STATEMENTS_JSON // _LONGEST):
            continue
        authors = sorted(statements, key=lambda author: (len(author), author))  # `ME`, then contacts by primary key
        sizes = (len(coerce.canonical_json([author, statements[author]])) for author in authors)
        for author in authors[first_within(MAX_AUTHORS, MAX_STATEMENTS_JSON, sizes) :]:
            del statements[author]


def first_within(count: int, size: int, sizes: Iterable[int]) -> int:
    """Return how many of the first values to keep: at most `count`, and the last is the one that reaches `size`.

    Without that one, a value after it could take its place when it comes again, so the order of values would matter.
    """
    return sum(1 for _ in takewhile(lambda before: before < size, islice(accumulate(sizes, initial=0), count)))


def _merge_edit(row: Message, ms: int, edit: Values) -> None:
    """Set `text` to the text of the latest edit, and keep the text before all edits in `original_text`."""
    if row.edited_at is None:
        row.original_text = row.text
    elif statement_key(ms, edit) <= statement_key(coerce.to_ms(row.edited_at), _edit_value(row)):
        return
    row.text, row.edited_at, row.edited_at_is_estimated = edit["text"], coerce.from_ms(ms), "is_estimated" in edit


def _edit_value(row: Message) -> Values:
    """Return the `value` of the update that edited a message last."""
    return {"text": row.text, **({"is_estimated": True} if row.edited_at_is_estimated else {})}


def _joined_call(details: Values, *known: Values) -> dict[str, Any]:
    """Return the details of a call with the last known stage; it is a video call if any event says so.

    WhatsApp's clients forget with the first end of a call what kind it was, so events of other ends do not say it.
    """
    stages = [stage for other in known if (stage := coerce.one_of(other.get("stage"), CALL_STAGES))]
    joined = dict(details)
    if stages:
        joined["stage"] = max(stages, key=CALL_STAGES.index)
    if any(other.get("is_video") is True for other in known):
        joined["is_video"] = True
    return joined


def replace_subjects(statements: Mapping[str, Values], subjects: Mapping[str, str]) -> dict[str, Values]:
    """Return reactions or votes by author, after some authors were replaced; `subjects` maps old to new authors."""
    merged: dict[str, Values] = {}
    for subject, statement in statements.items():
        _merge_statement(merged, subjects.get(subject, subject), statement)
    return merged


def _merge_details(details: Values, edited: Values) -> dict[str, Any]:
    """Return the details of a message after an edit, which replaces an earlier one."""
    merged = dict(details)
    _merge_statement(merged, EDITED, edited)
    return merged


def _merge_statement(statements: dict[str, Any], subject: str, new: Values) -> None:
    """Put a reaction or a vote among those by author, unless the author's old one is later.

    Others may have the old dict of all statements copied, but never the statement of one author, which is replaced.
    """
    old = statements.get(subject)
    if not old or _statement_order(new) > _statement_order(old):
        statements[subject] = dict(new)


def _statement_order(statement: Values) -> tuple[bool, int, bool, str]:
    value = {name: field for name, field in statement.items() if name != "at"}
    return statement_key(statement["at"], value)
