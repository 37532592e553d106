"""Every event that Evolution sends, and what reads it: one table. A payload in, facts out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from conversations.evolution import calls, coerce, connection, labels, people, records, updates
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact

Reader = Callable[[object, Envelope], Iterator[Fact]]


@dataclass(frozen=True)
class ParseResult:
    """What a body said. `problems` tell which of its items were not understood; the others' facts are there."""

    facts: tuple[Fact, ...]
    problems: tuple[str, ...] = ()


# Events whose data is one item, or an array of such items: each version and channel does it its own way.
_READERS: dict[str, Reader] = {
    "messages.upsert": records.read,
    "messages.set": partial(records.read, is_history=True),
    "send.message": records.read,
    "messages.update": updates.status,
    "messages.edited": updates.edited,
    "send.message.update": updates.sent_edit,
    "messages.delete": updates.deleted,
    "contacts.set": people.contact,
    "contacts.upsert": people.contact,
    "contacts.update": people.contact,
    "chats.set": people.listed_chat,
    "chats.upsert": people.named_chat,
    "chats.update": people.named_chat,
    "chats.delete": people.deleted_chat,
    "presence.update": people.presence,
    "groups.upsert": people.group,
    "groups.update": people.group,
    "group.update": people.group,
    "group.participants.update": people.participants,
    "labels.association": labels.association,
    "labels.edit": labels.label,
    "connection.update": connection.connection,
    "qrcode.updated": connection.pairing_image,
    "status.instance": connection.closed_status,
    "call": calls.call,
}

# Events that say all by their name; their data may be null.
_NO_DATA: dict[str, Reader] = {
    "logout.instance": connection.logged_out,
    "remove.instance": connection.removed,
    "instance.delete": connection.removed,
    "instance.create": connection.created,
}

# Known, and nothing in them belongs into the domain's rows.
_IGNORED = frozenset(
    {
        "application.startup",
        "messaging.history.set",
        "typebot.start",
        "typebot.change.status",
        "error",
    }
)


NAMES = tuple(sorted({*_READERS, *_NO_DATA, *_IGNORED}))


class UnknownEventError(ValueError):
    """No reader knows the event."""


def read(envelope: Envelope) -> ParseResult:
    """Return what an event says.

    Raises:
        UnknownEventError: no reader knows the event.
    """
    if envelope.event in _IGNORED:
        return ParseResult(())
    if envelope.event in _NO_DATA:
        return ParseResult(tuple(_NO_DATA[envelope.event](envelope.data, envelope)))
    reader = _READERS.get(envelope.event)
    if reader is None:
        raise UnknownEventError("the event is not known")
    if envelope.data is None:
        return ParseResult((), ("the event carries no data",))
    facts: list[Fact] = []
    problems: list[str] = []
    for item in coerce.as_list(envelope.data):
        try:
            facts += reader(item, envelope)
        except UnknownShapeError as error:
            problems.append(str(error))
    return ParseResult(tuple(facts), tuple(problems))
