"""Parses label events: the definition of a label, and the attachment of a label to a chat."""

from collections.abc import Iterator

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope, live_clock
from conversations.evolution.facts import ConversationState, Fact, InstanceState
from conversations.evolution.marking import mark as _

MAX_NAME_CHARS = 100  # of a label; each read of an instance reads the names of all its labels


def parse_label(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `labels.edit`: a label's name and color, and whether the label was deleted.

    Raises:
        UnknownShapeError: the label has no id.
    """
    edit = coerce.require_object(raw, _("the label"))
    label_id = coerce.text(edit.get("id"), 64)
    if not label_id:
        raise UnknownShapeError(_("the label has no id"))
    value = {
        "name": coerce.text(edit.get("name"), MAX_NAME_CHARS),
        "color": coerce.int32(edit.get("color")),
        "deleted": edit.get("deleted") is True,
    }
    yield InstanceState({f"label:{label_id}": value}, live_clock(envelope))


def parse_association(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `labels.association`: a chat received or lost a label.

    Evolution sends the same payload for the label of a single chat message, so any label counts as the chat's.

    Raises:
        UnknownShapeError: the event lacks the chat, the label's id or the action.
    """
    association = coerce.require_object(raw, _("the label's association"))
    chat, label_id = jid.parse(association.get("chatId")), coerce.text(association.get("labelId"), 64)
    action = coerce.one_of(association.get("type"), ("add", "remove"))
    if chat is None or not label_id or not action:
        raise UnknownShapeError(_("the label's association is not complete"))
    yield ConversationState(chat, {f"label:{label_id}": action == "add"}, live_clock(envelope))
