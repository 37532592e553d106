"""Maps the name of every event that Evolution sends to the function that parses the event."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from conversations.evolution import calls, coerce, connection, labels, people, records, updates
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact
from conversations.evolution.marking import mark as _

Parser = Callable[[object, Envelope], Iterator[Fact]]


@dataclass(frozen=True)
class ParseResult:
    """The facts parsed from one webhook body.

    Attributes:
        facts: the facts; they may be empty.
        problems: an error text for each item with an unknown structure.
        ignored: why there are no facts; "" if there are facts or problems.
    """

    facts: tuple[Fact, ...]
    problems: tuple[str, ...] = ()
    ignored: str = ""


QR_CODE = "qrcode.updated"  # the event with the codes that link a phone

# Events whose data is one item or an array of items, depending on Evolution's version and channel.
_PARSERS: dict[str, Parser] = {
    "messages.upsert": records.parse_record,
    "messages.set": partial(records.parse_record, is_history=True),
    "send.message": records.parse_record,
    "messages.update": updates.parse_update,
    "messages.edited": updates.parse_edit,
    "send.message.update": updates.parse_sent_edit,
    "messages.delete": updates.parse_deletion,
    "contacts.set": people.parse_contact,
    "contacts.upsert": people.parse_contact,
    "contacts.update": people.parse_contact,
    "chats.set": people.parse_listed_chat,
    "chats.upsert": people.parse_chat_update,
    "chats.update": people.parse_chat_update,
    "chats.delete": people.parse_chat_deletion,
    "presence.update": people.parse_presence,
    "groups.upsert": people.parse_group,
    "groups.update": people.parse_group,
    "group.update": people.parse_group,
    "group.participants.update": people.parse_participants_update,
    "labels.association": labels.parse_association,
    "labels.edit": labels.parse_label,
    "connection.update": connection.parse_connection_update,
    QR_CODE: connection.parse_qr_code,
    "status.instance": connection.parse_instance_status,
    "call": calls.parse_call,
}

# Events that are valid even if their data is null.
_NO_DATA: dict[str, Parser] = {
    "logout.instance": connection.parse_logout,
    "remove.instance": connection.parse_removal,
    "instance.delete": connection.parse_removal,
    "instance.create": connection.parse_creation,
}

# Known events from which no facts are parsed, and why; the admin translates the reasons.
_IGNORED = {
    "application.startup": _("it is about the Evolution server"),
    "messaging.history.set": _("it only counts the history that other events contain"),
    "typebot.start": _("it is about a bot of the Evolution server"),
    "typebot.change.status": _("it is about a bot of the Evolution server"),
    "error": _("it is about a failed request to the Evolution server"),
}
NOTHING_NEW = _("nothing in it is kept, such as a signal between WhatsApp clients or an empty list")


NAMES = tuple(sorted({*_PARSERS, *_NO_DATA, *_IGNORED}))


class UnknownEventError(ValueError):
    """Raised for an event that no parser is registered for."""


def parse(envelope: Envelope) -> ParseResult:
    """Parse an event into facts.

    Each item with an unknown structure is reported in `ParseResult.problems`; the remaining items are still parsed.

    Raises:
        UnknownEventError: no parser is registered for the event.
    """
    if envelope.event in _IGNORED:
        return ParseResult((), ignored=_IGNORED[envelope.event])
    if envelope.event in _NO_DATA:
        return ParseResult(tuple(_NO_DATA[envelope.event](envelope.data, envelope)))
    parser = _PARSERS.get(envelope.event)
    if parser is None:
        raise UnknownEventError(_("the event is not known"))
    if envelope.data is None:
        return ParseResult((), (_("the event carries no data"),))
    facts: list[Fact] = []
    problems: list[str] = []
    for item in coerce.records(envelope.data):
        try:
            facts += parser(item, envelope)  # an item may have facts before its problem
        except UnknownShapeError as error:
            problems.append(str(error))
    return ParseResult(tuple(facts), tuple(problems), "" if facts or problems else NOTHING_NEW)
