"""Labels: what the instance calls them, and which chats have them."""

from collections.abc import Iterator

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import ConversationState, Fact, InstanceState


def label(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what labels.edit says."""
    edit = coerce.require_object(raw, "the label")
    label_id = coerce.text(edit.get("id"), 64)
    if not label_id:
        raise UnknownShapeError("the label has no id")
    value = {
        "name": coerce.text(edit.get("name"), 255),
        "color": coerce.small_integer(edit.get("color")),
        "deleted": edit.get("deleted") is True,
    }
    yield InstanceState({f"label:{label_id}": value}, f"1:{envelope.clock}")


def association(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield that a chat has a label, or no longer (labels.association). Of a message it looks the same."""
    said = coerce.require_object(raw, "the label's association")
    chat, label_id = jid.parse(said.get("chatId")), coerce.text(said.get("labelId"), 64)
    kind = coerce.one_of(said.get("type"), ("add", "remove"))
    if chat is None or not label_id or not kind:
        raise UnknownShapeError("the label's association is not complete")
    yield ConversationState(chat, {f"label:{label_id}": kind == "add"}, f"1:{envelope.clock}")
