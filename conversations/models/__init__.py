"""The domain's rows. Import models from here."""

from conversations.evolution.coerce import EPOCH
from conversations.models.contact import Contact, ContactAddress
from conversations.models.conversation import Conversation, Participant
from conversations.models.ingestion import IngestCounter, IngestLease, PendingUpdate, StateClock, WebhookEvent
from conversations.models.instance import Instance
from conversations.models.message import Message

__all__ = [
    "EPOCH",
    "Contact",
    "ContactAddress",
    "Conversation",
    "IngestCounter",
    "Instance",
    "Message",
    "PendingUpdate",
    "Participant",
    "StateClock",
    "IngestLease",
    "WebhookEvent",
]
