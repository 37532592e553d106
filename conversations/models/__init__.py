"""The domain's rows. Import models from here."""

from conversations.evolution.wire import EPOCH
from conversations.models.contact import Contact, ContactAddress
from conversations.models.conversation import Conversation, Participant
from conversations.models.ingestion import IngestCount, ParkedUpdate, StateClock, Turn, WebhookEvent
from conversations.models.instance import Instance
from conversations.models.message import Message

__all__ = [
    "EPOCH",
    "Contact",
    "ContactAddress",
    "Conversation",
    "IngestCount",
    "Instance",
    "Message",
    "ParkedUpdate",
    "Participant",
    "StateClock",
    "Turn",
    "WebhookEvent",
]
